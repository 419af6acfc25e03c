/** The package as npm would publish it: packed, installed into an empty project, imported and run. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { run } from '../support/run.ts';

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
  await mkdir(join(project, 'node_modules/.bin'), { recursive: true });
  await writeFile(join(project, 'package.json'), '{"type":"module"}');
  // What npm does with a tarball; its dependencies are those that are installed here, so that no network is needed.
  await run('tar', ['-xzf', join(folder, filename), '-C', folder]);
  const own = join(project, 'node_modules/carat-authenticity');
  await run('mv', [join(folder, 'package'), own]);
  await symlink(join(ROOT, 'node_modules'), join(own, 'node_modules'));
  await symlink('../carat-authenticity/dist/cli/main.js', join(project, 'node_modules/.bin/carat-authenticity'));
  await run('chmod', ['+x', join(own, 'dist/cli/main.js')]);
});
afterAll(() => rm(folder, { recursive: true }));

it('holds what runs, its types, licence and documentation, and nothing else', () => {
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

it('can be imported: the client, with no dependency, and the calls to Carat', async () => {
  const script = `
    const { createWorkerClient } = await import('carat-authenticity/client');
    const { createCaratClient } = await import('carat-authenticity/carat');
    console.log(typeof createWorkerClient({ url: 'http://127.0.0.1:8081' }).withToken, typeof createCaratClient);`;
  const ran = await run('node', ['--input-type=module', '-e', script], {}, { cwd: project });
  expect(ran).toEqual({ code: 0, out: 'function function\n', error: '' });
  await rm(join(project, 'node_modules/carat-authenticity/node_modules'));
  const alone = `await import('carat-authenticity/client')`;
  expect((await run('node', ['--input-type=module', '-e', alone], {}, { cwd: project })).code).toBe(0);
  await symlink(join(ROOT, 'node_modules'), join(project, 'node_modules/carat-authenticity/node_modules'));
});

it('gives its types to a project that imports it', async () => {
  await writeFile(
    join(project, 'worker.ts'),
    `import { createWorkerClient } from 'carat-authenticity/client';
     const client = createWorkerClient({ url: 'http://127.0.0.1:8081' });
     export const value: Promise<string> = client.withToken({ kind: 'seid' }, async () => {}, async (token) => token.value);
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
}, 60_000);

it('runs as a command', async () => {
  const bin = join(project, 'node_modules/.bin/carat-authenticity');
  expect(existsSync(bin)).toBe(true);
  const ran = await run(bin, ['--help'], {}, { cwd: project });
  expect(ran).toMatchObject({ code: 0, error: '' });
  expect(ran.out).toContain('doctor');
});
