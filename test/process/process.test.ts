/** The service as a process: how it starts, and how it refuses to. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { ROOT } from '../support/build.ts';
import { useDataDir } from '../support/data-dir.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { type Ran, run } from '../support/run.ts';
import type { ServiceProcess } from '../support/service-process.ts';

const data = useDataDir();

describe('a wrong configuration', () => {
  test('is reported with every problem by name, without secrets; exit 2', async () => {
    const service = data.run({
      env: {
        PORT: 'eighty',
        WORKER_HOST: '0.0.0.0',
        WORKER_API_KEYS: 'nobody:S3CRET-16-letter',
        STORE_URL: 'redis://user:S3CRET@:',
        AUTHENTICITY_PATHS: 'loja=S3CRET',
        ENCRYPTION_KEYS: 'S3CRET',
        TOKEN_TTL_SECONDS: '-1',
      },
    });
    expect(await service.exited).toEqual({ code: 2, signal: null });
    const named = service.stderr
      .trim()
      .split('\n')
      .map((line) => /^carat-authenticity: ([A-Z_]+): expected /.exec(line)?.[1]);
    const variables = ['AUTHENTICITY_PATHS', 'ENCRYPTION_KEYS', 'PORT', 'STORE_URL', 'TOKEN_TTL_SECONDS'];
    expect(named.sort()).toEqual(variables);
    expect(service.stderr).not.toContain('S3CRET');
    expect(service.log).toEqual([]);
  });

  test('names hosts that are not addresses of this machine together with the other problems; exit 2', async () => {
    const service = data.run({ env: { HOST: '192.0.2.1', WORKER_HOST: '127.0.0.1:8081', PORT: 'eighty' } });
    expect(await service.exited).toEqual({ code: 2, signal: null });
    expect(service.stderr).toMatch(
      /^carat-authenticity: HOST: expected an address of this machine, got "192\.0\.2\.1" /m,
    );
    expect(service.stderr).toMatch(/^carat-authenticity: WORKER_HOST: expected an address of this machine/m);
    expect(service.stderr).toMatch(/^carat-authenticity: PORT: expected a whole number/m);
  });

  test('names STORE_URL when its authority is missing; exit 2', async () => {
    const service = data.run({ env: { STORE_URL: 'rediss://127.0.0.1?ca=/no/such/ca.pem' } });
    expect(await service.exited).toEqual({ code: 2, signal: null });
    expect(service.stderr).toBe('carat-authenticity: STORE_URL: expected the file of "ca" to be readable: ENOENT\n');
  });

  test('is reported when two variables contradict one another', async () => {
    const service = data.run({ env: { WORKER_HOST: '0.0.0.0' } });
    expect(await service.exited).toEqual({ code: 2, signal: null });
    expect(service.stderr).toMatch(/^carat-authenticity: WORKER_API_KEYS: expected at least one key, .*\n$/);
  });
});

test('warns of a variable with a similar name', async () => {
  const service = await data.start({
    env: { WORKER_API_KEY: 'S3CRET-16-letters', DATADIR: '/S3CRET', HOMES: '/S3CRET' },
  });
  expect(service.troubles('unknown_variable')).toMatchObject([
    { variable: 'WORKER_API_KEY', meant: 'WORKER_API_KEYS' },
  ]);
  expect(JSON.stringify(service.log)).not.toContain('S3CRET');
});

describe('npm start', () => {
  const { start } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts as { start: string };
  const args = start
    .replace('exec node ', '')
    .replace('dist/main.js', join(ROOT, 'dist', 'main.js'))
    .split(' ');
  const inFolder = async (dotenv: string | undefined, env: Record<string, string>): Promise<Ran> => {
    const folder = await GuardedFolder.make('dotenv-');
    if (dotenv !== undefined) await writeFile(join(folder.path, '.env'), dotenv);
    const ran = await run(process.execPath, args, env, { cwd: folder.path });
    await folder.remove();
    return ran;
  };

  test('reads .env of the working directory; the environment has priority', async () => {
    const { code, error } = await inFolder('PORT="eighty"\nACCEPT=all\n', { ACCEPT: 'none' });
    expect(code).toBe(2);
    expect(error).toContain('PORT: expected a whole number from 0 to 65535, got "eighty"');
    expect(error).toContain('ACCEPT: expected one of any, expected, got "none"');
  });

  test('works without .env', async () => {
    const { code, error } = await inFolder(undefined, { PORT: 'eighty' });
    expect([code, error]).toEqual([2, expect.stringMatching(/^carat-authenticity: PORT: .*\n$/)]);
  });

  test('names lines of src/ in a stack trace', async () => {
    // Makes the first statement of the service that asks for an argument fail.
    const spoil =
      'const includes = Array.prototype.includes; Array.prototype.includes = function (what) {' +
      "if (what === '--dotenv') throw new Error('spoilt'); return includes.apply(this, arguments); };";
    const spoilt = ['--import', `data:text/javascript,${encodeURIComponent(spoil)}`, ...args];
    const { code, error } = await run(process.execPath, spoilt, {});
    expect(code).toBe(1);
    expect(error).toMatch(/at configuration \(.*\/src\/main\.ts:\d+:\d+\)/);
  });
});

test('a DATA_DIR in use by another process: exits 2, and the other process continues', async () => {
  const first = await data.start();
  const second = data.run();
  expect(await second.exited).toEqual({ code: 2, signal: null });
  expect(second.stderr).toBe(
    `carat-authenticity: DATA_DIR is in use by another process: ${join(data.path, 'tokens')}\n`,
  );
  expect(await first.post({ seid: 'still', sid: 'here' })).toBe(200);
  expect(await first.read({ sid: 'here' })).toMatchObject({ status: 200, value: 'still' });
});

describe.each(['PORT', 'WORKER_PORT'])('a %s in use', (variable) => {
  test('is reported with exit 1, and the lock of the directory is released', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    try {
      const { port } = squatter.address() as { port: number };
      const service = data.run({ env: { [variable]: String(port) } });
      expect(await service.exited).toEqual({ code: 1, signal: null });
      expect(service.stderr).toMatch(new RegExp(`^carat-authenticity: .*in use.*127\\.0\\.0\\.1:${port}\\n$`));
    } finally {
      squatter.close();
    }
    await data.start();
  });
});

describe('the start message', () => {
  test('has two commands that work', async () => {
    const service = await data.start();
    const [post, read] = commands(service);
    const sh = async (command = ''): Promise<string> =>
      (await promisify(execFile)('sh', ['-c', `exec ${command} --silent --noproxy '*'`])).stdout;
    expect(await sh(post)).toBe('OK');
    expect(JSON.parse(await sh(read))).toMatchObject({ value: 'first', merchant_data: '14114532781' });
  });

  test('has no secret path', async () => {
    const service = await data.start({ env: { AUTHENTICITY_PATHS: 'loja1=/a/5ecr37' } });
    const [post, read] = commands(service);
    expect(post).toMatch(/^curl -d 'seid=first&merchant_data=14114532781' http:\/\/127\.0\.0\.1:\d+\/YOUR-PATH$/);
    expect(read).toMatch(/^curl 'http:\/\/127\.0\.0\.1:\d+\/v1\/tokens\?.*merchant=loja1'$/);
    expect(JSON.stringify(service.log)).not.toContain('5ecr37');
  });

  function commands(service: ServiceProcess): string[] {
    return service.events('listening').flatMap((line) => line['try'] as string[]);
  }
});

test('the log contains no secret', async () => {
  const service = await data.start({ env: { LOG_LEVEL: 'trace', WORKER_API_KEYS: 'S3CRET-16-letters' } });
  expect(await service.post({ seid: 'S3CRETVALUE', sid: 'shown' })).toBe(200);
  const url = `${service.workerUrl}/v1/tokens?sid=shown`;
  expect((await fetch(url, { headers: { authorization: 'Bearer S3CRET-16-letters' } })).status).toBe(200);
  expect((await fetch(url, { headers: { authorization: 'Bearer S3CRETWRONG' } })).status).toBe(401);
  service.signal('SIGTERM');
  await service.exited;
  expect(service.events('handover')).toHaveLength(1);
  expect(JSON.stringify(service.log) + service.stderr).not.toContain('S3CRET');
});

describe('the two listeners', () => {
  test('are separate: the public one reaches nothing of the worker API', async () => {
    const service = await data.start();
    await service.post({ seid: 'kept', sid: 'apart' });
    const publicly = `http://127.0.0.1:${service.authenticityPort}`;
    expect((await fetch(`${publicly}/livez`)).status).toBe(200);
    const paths = ['/v1/tokens?sid=apart', '/v1/claims/a', '/v1/expectations', '/v1/events', '/v1/posts', '/metrics'];
    const others = ['/readyz', '/openapi.json', '/docs', '/', '/livez/', '/LIVEZ', '/authenticity/v1/tokens?sid=apart'];
    for (const path of [...paths, ...others, '//authenticity', '/authenticity//', '/Authenticity', '/%61uthenticity']) {
      for (const method of ['GET', 'POST', 'PUT', 'DELETE']) {
        const answer = await fetch(`${publicly}${path}`, { method });
        expect([method, path, answer.status, await answer.text()]).toEqual([method, path, 404, 'Not Found']);
      }
    }
    const worker = await fetch(`${service.workerUrl}/authenticity`, { method: 'POST', body: 'seid=x' });
    expect(worker.status).toBe(404);
    await worker.text();
    expect((await service.readiness()).status).toBe(200);
  });
});
