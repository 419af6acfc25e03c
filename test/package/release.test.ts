/** What `npm run release` leaves in its folder, and the client's package installed where nothing else is. */
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from '../support/build.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { type Ran, run } from '../support/run.ts';

const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
const ARCHIVE = `carat-authenticity-client-${version}.tgz`;
const FILES = [ARCHIVE, `carat-authenticity-${version}.cdx.json`, `carat-authenticity-${version}.tgz`, 'SHA256SUMS'];

let folder: string;
let out: string;
let made: Ran;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'release-'));
  out = join(folder, 'out');
  made = await release(['--without-image', '--out', out]);
});
afterAll(() => rm(folder, { recursive: true }));

function release(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return run(process.execPath, [join(ROOT, 'release.mjs'), ...args], env, { cwd: folder });
}

describe('npm run release', () => {
  it('writes the packages, the bill of materials and their checksums into a folder', async () => {
    expect(made).toMatchObject({ code: 0, error: '' });
    expect(made.out).toContain('without the image: --without-image\n');
    expect((await readdir(out)).sort()).toEqual([...FILES].sort());
    const sums = await readFile(join(out, 'SHA256SUMS'), 'utf8');
    for (const file of FILES.filter((one) => one !== 'SHA256SUMS')) {
      const sum = createHash('sha256').update(await readFile(join(out, file)));
      expect(sums).toContain(`${sum.digest('hex')}  ${file}\n`);
    }
    const bill = JSON.parse(await readFile(join(out, FILES[1] ?? ''), 'utf8'));
    const names = bill.components.map((one: { name: string }) => one.name);
    expect(names).toEqual(expect.arrayContaining(['fastify', 'ioredis']));
    expect(names).not.toContain('vitest');
  });

  it('exits 1 and writes nothing when no container engine answers', async () => {
    const bin = join(folder, 'without-engine');
    await mkdir(bin);
    const elsewhere = join(folder, 'elsewhere');
    const ran = await release(['--out', elsewhere], { PATH: bin });
    expect(ran).toMatchObject({ code: 1, out: '', error: expect.stringContaining('no container engine answers') });
    expect(ran.error).toContain('--without-image');
    await expect(readdir(elsewhere)).rejects.toThrow('ENOENT');
  });

  it('exits 2 for an unknown option', async () => {
    const ran = await release(['--with-image']);
    expect(ran).toMatchObject({ code: 2, out: '', error: expect.stringContaining('Usage: npm run release') });
  });

  it('builds and saves the image with the engine that answers', async () => {
    // A stand-in for Podman: the image itself is built by `npm run test:container`.
    const bin = join(folder, 'engine');
    await mkdir(bin);
    const asked = join(folder, 'asked');
    const engine = `#!/bin/sh\necho "$*" >> ${asked}\nif [ "$1" = save ]; then echo image > "$3"; fi\n`;
    await writeFile(join(bin, 'podman'), engine);
    await writeFile(join(bin, 'docker'), '#!/bin/sh\nexit 1\n');
    for (const name of ['podman', 'docker']) await chmod(join(bin, name), 0o755);
    await symlink(process.execPath, join(bin, 'node'));
    const withImage = join(folder, 'with-image');
    const ran = await release(['--out', withImage], { PATH: `${bin}:${process.env['PATH']}` });
    expect(ran).toMatchObject({ code: 0 });
    const file = join(withImage, `carat-authenticity-${version}.image.tar`);
    expect(await readFile(file, 'utf8')).toBe('image\n');
    const tag = `carat-authenticity:${version}`;
    expect((await readFile(asked, 'utf8')).split('\n')).toEqual([
      'info',
      expect.stringMatching(
        `^build --format docker --build-arg VERSION=${version} --build-arg REVISION=[0-9a-f]{40} -t ${tag} \\.$`,
      ),
      `save -o ${file} ${tag}`,
      '',
    ]);
  });
});

describe("the client's package", () => {
  let project: string;
  beforeAll(async () => {
    project = join(folder, 'project');
    await mkdir(project);
    await writeFile(join(project, 'package.json'), '{"private":true,"type":"module"}');
    // Offline: it has no dependencies to fetch.
    const options = ['--offline', '--no-audit', '--no-fund', '--loglevel=warn'];
    const installed = await run('npm', ['install', ...options, join(out, ARCHIVE)], {}, { cwd: project });
    expect(installed).toMatchObject({ code: 0, error: '' });
  });

  it('installs alone', async () => {
    const installed = await readdir(join(project, 'node_modules'));
    expect(installed.filter((name) => !name.startsWith('.'))).toEqual(['carat-authenticity-client']);
  });

  it('is well formed, with a README of its own name', async () => {
    const pkgDir = join(project, 'node_modules/carat-authenticity-client');
    expect((await publint({ pkgDir, pack: false, strict: true })).messages).toEqual([]);
    const readme = await readFile(join(pkgDir, 'README.md'), 'utf8');
    expect(readme).toContain("from 'carat-authenticity-client'");
    expect(readme).not.toMatch(/carat-authenticity\/client|\]\((?!https:)/);
  });

  it('compiles in a strict project that has nothing else', async () => {
    await writeFile(
      join(project, 'worker.ts'),
      `import { createWorkerClient, isWorkerError, type Token } from 'carat-authenticity-client';
       const client = createWorkerClient({ url: 'http://127.0.0.1:8081' });
       export const value: Promise<string> = client.withToken({ kind: 'seid' }, async () => {}, async (token) => token.value);
       export const read = (sid: string): Promise<Token | undefined> => client.waitForToken({ sid });
       export const isUsed = (error: unknown): boolean => isWorkerError(error, 'used');
       // @ts-expect-error two correlators
       void client.waitForToken({ sid: 'a', orderId: 'b' });`,
    );
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom'];
    expect(await run(process.execPath, [tsc, ...options, 'worker.ts'], {}, { cwd: project })).toEqual({
      code: 0,
      out: '',
      error: '',
    });
  });

  it('claims and settles a token of the service', async () => {
    const service = await RestartableService.start();
    try {
      await service.post({ token: 'installed-alone' });
      await writeFile(
        join(project, 'worker.mjs'),
        `import { createWorkerClient } from 'carat-authenticity-client';
         const client = createWorkerClient({ url: process.env.WORKER_URL });
         const token = await client.claim({ kind: 'token' }, { timeout: 0 });
         await client.used(token);
         console.log(token.value, await client.claim({ kind: 'token' }, { timeout: 0 }));`,
      );
      const ran = await run(process.execPath, ['worker.mjs'], { WORKER_URL: service.workerUrl }, { cwd: project });
      expect(ran).toEqual({ code: 0, out: 'installed-alone undefined\n', error: '' });
    } finally {
      await service.stop();
    }
  });
});
