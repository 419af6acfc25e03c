/** The snippets of the README, each run by its interpreter against the service. */
import { readdirSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RestartableService } from '../support/restartable-service.ts';
import { interpret } from '../support/run.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
const SNIPPETS = join(ROOT, 'examples/snippets');
const INTERPRETERS: Record<string, string> = {
  '.sh': 'sh',
  '.mjs': 'node',
  '.py': 'python3',
  '.php': 'php',
  '.java': 'java',
};
const VALUE = 'qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjklzxcvbnm02';

// C# is checked by reading: an SDK is not among the tools of the tests.
const snippets = readdirSync(SNIPPETS)
  .filter((file) => extname(file) !== '.cs')
  .map((file) => ({ file, interpreter: INTERPRETERS[extname(file)] ?? '' }));

let folder: string;
let service: RestartableService;
let env: Record<string, string>;
beforeAll(async () => {
  // As in a project that has the package.
  folder = await mkdtemp(join(tmpdir(), 'snippets-'));
  await mkdir(join(folder, 'node_modules'));
  await symlink(ROOT, join(folder, 'node_modules/carat-authenticity'));
  for (const { file } of snippets) await copyFile(join(SNIPPETS, file), join(folder, file));
});
afterAll(() => rm(folder, { recursive: true }));
beforeEach(async () => {
  service = await RestartableService.start({ WORKER_API_KEYS: 'a-key-of-the-tests' });
  env = { WORKER_URL: service.workerUrl, WORKER_API_KEY: 'a-key-of-the-tests' };
});
afterEach(() => service.stop());

it('every language has one to wait and one to claim', () => {
  expect(snippets.map(({ file }) => file.toLowerCase()).sort()).toEqual(
    Object.keys(INTERPRETERS)
      .flatMap((extension) => [`claim${extension}`, `wait${extension}`])
      .sort(),
  );
});

describe.each(snippets)('$file', (snippet) => {
  it('prints its usage without arguments, and exits 2', async () => {
    const ran = await interpret(snippet.interpreter, [join(folder, snippet.file)], env);
    expect(ran).toMatchObject({ code: 2, out: '', error: expect.stringMatching(/^usage: /) });
  });
});

it('every snippet exits 3 when nothing came, and needs no key', async () => {
  const stub = createServer((_request, response) => response.writeHead(204, { connection: 'close' }).end());
  await new Promise<void>((resolve) => stub.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(stub.address() as AddressInfo).port}`;
  // At once: the client's functions ask again for a minute.
  const ends = await Promise.all(
    snippets.map(async ({ file, interpreter }) => ({
      file,
      ...(await interpret(interpreter, [join(folder, file), 'job-17'], { WORKER_URL: url })),
    })),
  );
  expect(ends).toEqual(snippets.map(({ file }) => ({ file, code: 3, out: '', error: 'nothing came\n' })));
  await new Promise((resolve) => stub.close(resolve));
});

describe.each(snippets)('$file', ({ file, interpreter }) => {
  it('does what it says', async () => {
    const waits = file.toLowerCase().startsWith('wait');
    await service.post(waits ? { seid: VALUE, merchant_data: 'edit & 1' } : { token: VALUE });
    const ran = await interpret(interpreter, [join(folder, file), waits ? 'edit & 1' : 'job-17'], env);
    expect(ran).toMatchObject({ code: 0, error: '' });
    expect(ran.out).toContain(VALUE);
    if (waits) return;
    const claims = `${service.workerUrl}/v1/claims/job-17/release`;
    const headers = { authorization: 'Bearer a-key-of-the-tests', connection: 'close' };
    const released = await fetch(claims, { method: 'POST', headers });
    expect(await released.json()).toMatchObject({ code: 'used' });
  });
});
