/** The package as npm would publish it: packed, installed into an empty project, imported and run. */
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run, start } from '../support/run.ts';
import { until } from '../support/until.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
let folder: string;
let project: string;
let files: string[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'package-'));
  project = join(folder, 'project');
  const packed = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    {},
    { cwd: ROOT },
  );
  const [{ filename, files: inside }] = JSON.parse(packed.out);
  files = inside.map(({ path }: { path: string }) => path);
  await mkdir(project);
  await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}');
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  // The way to the registry: an authority of its own, or a proxy.
  const way = ['NODE_EXTRA_CA_CERTS', 'HTTPS_PROXY', 'NO_PROXY'].map((name) => [name, process.env[name]]);
  const archive = join(folder, filename);
  const installed = await run('npm', ['install', ...quietly, archive], Object.fromEntries(way), { cwd: project });
  if (installed.code !== 0) throw new Error(`expected npm to install the package: ${installed.error}`);
});
afterAll(() => rm(folder, { recursive: true }));

it('has only the program, its types, licence and documentation', () => {
  const needed = [
    'LICENSE',
    'README.md',
    'dist/main.js',
    'dist/cli/main.js',
    'dist/client/index.js',
    'dist/client/index.d.ts',
  ];
  expect(files).toEqual(expect.arrayContaining([...needed, 'docs/openapi.json', 'docs/client.md', 'docs/cli.md']));
  expect(files.filter((file) => /^(src|test|scripts|coverage|data)\/|\.env$|\.test\./.test(file))).toEqual([]);
});

it('is well formed', async () => {
  const { messages } = await publint({
    pkgDir: join(project, 'node_modules/carat-authenticity'),
    pack: false,
    strict: true,
  });
  expect(messages).toEqual([]);
});

it('can be imported: the client, and the calls to Carat', async () => {
  const script = `
    const { createWorkerClient } = await import('carat-authenticity/client');
    const { createCaratClient } = await import('carat-authenticity/carat');
    console.log(typeof createWorkerClient({ url: 'http://127.0.0.1:8081' }).withToken, typeof createCaratClient);`;
  const ran = await run('node', ['--input-type=module', '-e', script], {}, { cwd: project });
  expect(ran).toEqual({ code: 0, out: 'function function\n', error: '' });
});

it('has a client without dependencies', async () => {
  const bare = join(folder, 'bare/node_modules');
  await mkdir(bare, { recursive: true });
  await cp(join(project, 'node_modules/carat-authenticity'), join(bare, 'carat-authenticity'), { recursive: true });
  const codeOf = async (name: string): Promise<number | null> => {
    const script = `await import('carat-authenticity/${name}')`;
    return (await run('node', ['--input-type=module', '-e', script], {}, { cwd: bare })).code;
  };
  expect(await codeOf('client')).toBe(0);
  // The other entry has dependencies. Otherwise this would prove nothing.
  expect(await codeOf('carat')).toBe(1);
});

it('provides its types to a project that imports it', async () => {
  await writeFile(
    join(project, 'worker.ts'),
    `import { type CaratClient, editSchedule } from 'carat-authenticity/carat';
     import { createTokenSource, createWorkerClient } from 'carat-authenticity/client';
     const client = createWorkerClient({ url: 'http://127.0.0.1:8081' });
     export const value: Promise<string> = client.withToken({ kind: 'seid' }, async () => {}, async (token) => token.value);
     export const edit = (carat: CaratClient, sid: string) =>
       editSchedule({ client: carat, source: createTokenSource(client) }, { sid, changes: { status: 'INA' } });
     // @ts-expect-error two correlators
     void client.waitForToken({ sid: 'a', orderId: 'b' });`,
  );
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom'];
  expect(await run('node', [tsc, ...options, 'worker.ts'], {}, { cwd: project })).toEqual({
    code: 0,
    out: '',
    error: '',
  });
});

it('runs as a command', async () => {
  const bin = join(project, 'node_modules/.bin/carat-authenticity');
  expect(existsSync(bin)).toBe(true);
  const ran = await run(bin, ['--help'], {}, { cwd: project });
  expect(ran).toMatchObject({ code: 0, error: '' });
  expect(ran.out).toContain('doctor');
  const version = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')).version;
  expect((await run('npx', ['carat-authenticity', '--version'], {}, { cwd: project })).out).toBe(`${version}\n`);
});

it('serves from its place of installation', async () => {
  const env = { HOST: '127.0.0.1', PORT: '0', WORKER_PORT: '0', DATA_DIR: join(folder, 'data') };
  const served = start(join(project, 'node_modules/.bin/carat-authenticity'), ['serve'], env, { cwd: project });
  try {
    const line = await until('it listens', () =>
      served
        .out()
        .split('\n')
        .find((one) => one.includes('"listening"')),
    );
    const { authenticity, workers } = JSON.parse(line);
    const body = new URLSearchParams({ seid: 'installed', sid: 'S' });
    expect((await fetch(`${authenticity}/authenticity`, { method: 'POST', body })).status).toBe(200);
    expect(await (await fetch(`${workers}/v1/tokens?sid=S`)).json()).toMatchObject({ value: 'installed' });
  } finally {
    served.child.kill('SIGTERM');
  }
  expect((await served.ended).code).toBe(0);
});
