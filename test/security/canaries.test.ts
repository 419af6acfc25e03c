/**
 * Canaries: sends every secret through every path, and searches for it where it must not be in
 * clear.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EventStream } from '../support/event-stream.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { RunningService } from '../support/service.ts';
import { NODE, ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';
import { monitor } from './monitor.ts';

const canary = (bytes = 24): string => randomBytes(bytes).toString('hex');
const TOKEN = canary(32);
const SECRETS = {
  token: TOKEN,
  unusable: canary(32),
  workerKey: canary(),
  encryptionKey: randomBytes(32).toString('base64'),
  password: canary(),
  path: canary(),
  merchantId: `L${canary(7)}`.slice(0, 15),
  merchantKey: canary(),
  webhook: canary(),
};

let redis: RedisServer;
let carat: Echo;
let folder: GuardedFolder;
let env: Record<string, string>;
beforeEach(async () => {
  folder = await GuardedFolder.make('canaries-');
  const config = { requirepass: SECRETS.password, 'slowlog-log-slower-than': '0', 'slowlog-max-len': '10000' };
  redis = await startRedis({ config });
  carat = await Echo.start();
  env = {
    LOG_LEVEL: 'trace',
    STORE_URL: redis.url,
    AUTHENTICITY_PATHS: `default=/a/${SECRETS.path}`,
    WORKER_API_KEYS: SECRETS.workerKey,
    ENCRYPTION_KEYS: SECRETS.encryptionKey,
    CARAT_CREDENTIALS: `default=${SECRETS.merchantId}:${SECRETS.merchantKey}`,
    CARAT_API_URL: carat.url,
    CARAT_RECHARGE_URL: carat.url,
    ALERT_WEBHOOK_URL: `${carat.url}/${SECRETS.webhook}`,
  };
});
afterEach(async () => {
  await redis.stop();
  await carat.stop();
  await folder.remove();
});

/** A Carat that refuses everything and repeats all that it was sent. */
class Echo {
  url = '';
  readonly #server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { url, headers } = request;
      const message = JSON.stringify({ url, headers, body: Buffer.concat(chunks).toString() });
      response.writeHead(400, { connection: 'close' }).end(JSON.stringify({ code: '9', message }));
    });
  });

  static async start(): Promise<Echo> {
    const echo = new Echo();
    await new Promise<void>((resolve) => echo.#server.listen(0, '127.0.0.1', resolve));
    echo.url = `http://127.0.0.1:${(echo.#server.address() as AddressInfo).port}`;
    return echo;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

/** Fails with the name of the secret: printing the secret would reveal it. */
function expectNoSecretIn(where: string, text: string, but: readonly string[] = []): void {
  for (const [name, secret] of Object.entries(SECRETS)) {
    const shapes = [secret, secret.toUpperCase(), encodeURIComponent(secret), Buffer.from(secret).toString('base64')];
    const found = shapes.some((shape) => text.includes(shape)) && !but.includes(secret);
    expect(found, `the ${name} is seen in ${where}`).toBe(false);
  }
}

async function everythingIn(directory: string): Promise<string> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return (await Promise.all(files.map((file) => readFile(join(file.parentPath, file.name), 'latin1')))).join('\n');
}

test('answers, log, metrics, Redis and disk contain no secret', async () => {
  const watched = await monitor(redis, SECRETS.password);
  const running = await RunningService.start({ env, dataDir: folder.path });
  const key = SECRETS.workerKey;
  const events = await EventStream.open(running.service.workerUrl, { key });
  const tokenAnswers: string[] = [];
  const others: string[] = [];
  const ask = async (method: string, path: string, body?: unknown, withKey = key): Promise<void> => {
    const answer = await running.worker(method, path, { key: withKey, body });
    (answer.status === 200 && answer.json?.value !== undefined ? tokenAnswers : others).push(
      JSON.stringify(answer.headers) + answer.text,
    );
  };
  try {
    const path = `/a/${SECRETS.path}`;
    for (const at of [path, `${path}/`, `${path}?${TOKEN}`]) {
      expect(await running.post({ token: TOKEN }, at)).toMatchObject({ status: 200, text: 'OK' });
      await running.post({ seid: TOKEN, sid: 'canary' }, at);
      await running.post({ seid: SECRETS.unusable, token: SECRETS.unusable }, at);
      await running.post({ nit: SECRETS.unusable, status: 'CON' }, at);
      await running.post({ token: `${SECRETS.unusable} ${SECRETS.unusable}` }, at);
    }
    const strange = await running.post({ token: TOKEN }, `/b/${SECRETS.path}`);
    expect(strange).toMatchObject({ status: 404, text: 'Not Found' });

    // On a busy machine, Redis may be unavailable for a moment.
    await until('both tokens are handed over', async () => {
      await ask('GET', '/v1/tokens?sid=canary');
      await ask('PUT', '/v1/claims/canary', { kind: 'token' });
      return tokenAnswers.length >= 2;
    });
    await ask('PUT', '/v1/claims/other', { sid: 'canary' });
    await ask('PUT', '/v1/claims/third', { sid: 'canary' });
    // Mistakes that workers make: the value where something else belongs.
    for (const wrong of [`kind=${TOKEN}`, `${TOKEN}=1`, `wait=${TOKEN}&sid=a`, `sid=a&merchant=${TOKEN}`]) {
      await ask('GET', `/v1/tokens?${wrong}`);
    }
    await ask('GET', `/v1/${TOKEN}/%zz`);
    await ask('DELETE', `/v1/tokens/${TOKEN}`);
    await ask('PUT', `/v1/claims/${TOKEN}!`, { kind: 'token' });
    await ask('PUT', '/v1/claims/canary', { kind: TOKEN, [TOKEN]: TOKEN });
    await ask('POST', '/v1/expectations', `{"kind":"${TOKEN}"`);
    await ask('GET', '/v1/tokens?sid=canary', undefined, `${key.slice(1)}x`);
    await ask('DELETE', '/v1/claims/canary');
    await ask('POST', '/v1/schedule-edits', { sid: TOKEN });
    await ask('POST', '/v1/generic-tokens', { [TOKEN]: TOKEN });
    await ask('POST', '/v1/generic-tokens', {});
    for (const page of ['/readyz', '/metrics', '/openapi.json', '/docs', '/', '/v1/posts']) await ask('GET', page);

    // Redis refuses, disconnects and is down: its errors, and those of the connection, are logged.
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    await running.post({ token: TOKEN, sid: 'refused' }, path);
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    await redis.command('SCRIPT', 'FLUSH');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await running.post({ token: canary(32) }, path);
    await redis.command('CONFIG', 'SET', 'requirepass', 'another-password');
    const heard = running.log.length;
    redis.hang();
    await until('the connection is given up', () => running.log.slice(heard).some((line) => line.includes('redis_')));
    redis.resume();
    await until('the password is refused', () => running.log.some((line) => line.includes('WRONGPASS')));
    await running.post({ token: TOKEN, sid: 'refused' }, path);
    await ask('GET', '/v1/tokens?sid=refused-too');
    await ask('GET', '/readyz');
    running.service.bug(Object.assign(new Error(`of ${TOKEN} with ${key}`), { command: { args: [TOKEN] } }));
    expect(JSON.parse(running.log.at(-1) ?? '')).toMatchObject({
      error: { message: 'of [64 characters] with [secret]' },
    });
    await events.until('the last event', ({ data }) => data.code === 'bug');
    expect(new Set(events.events.map(({ name }) => name))).toEqual(
      new Set(['post', 'door', 'handover', 'settled', 'trouble', 'expectation', 'ask']),
    );
  } finally {
    await running.stop();
    await watched.stop();
  }
  expectNoSecretIn('answers', others.join('\n'));
  expectNoSecretIn('token answers', tokenAnswers.join('\n'), [TOKEN]);
  expectNoSecretIn('events', events.text);
  expectNoSecretIn('the log', running.log.join('\n'));
  expect(watched.seen()).toContain('sealed ');
  expectNoSecretIn('MONITOR', watched.seen());
  expectNoSecretIn('the files of the service', await everythingIn(folder.path));
});

test('the slow log, dump and append-only file of Redis contain no secret', async () => {
  const running = await RunningService.start({ env, dataDir: folder.path });
  try {
    await running.post({ token: TOKEN }, `/a/${SECRETS.path}`);
    await running.worker('PUT', '/v1/claims/c', { key: SECRETS.workerKey, body: { kind: 'token' } });
  } finally {
    await running.stop();
  }
  expectNoSecretIn('SLOWLOG', JSON.stringify(await redis.command('SLOWLOG', 'GET', '-1')));
  await redis.command('SAVE');
  const directory = String(((await redis.command('CONFIG', 'GET', 'dir')) as string[])[1]);
  const files = await readdir(directory, { recursive: true });
  const kept = files.filter((file) => /\.(rdb|aof)$/.test(file));
  expect(kept.length).toBeGreaterThan(1);
  const bytes = await Promise.all(kept.map((file) => readFile(join(directory, file), 'latin1')));
  expect(bytes.join('')).toContain('sealed ');
  expectNoSecretIn('dump and append-only file', bytes.join('\n'));
});

test('a crash prints no secret', async () => {
  const crash = `
    process.on('SIGUSR2', () => {
      const error = new Error('ERR unknown command with ' + process.env.CANARY + ' ' + process.env.WORKER_API_KEYS);
      throw Object.assign(error, { command: { name: 'evalsha', args: [process.env.CANARY] } });
    });
  `;
  const command = [NODE[0], '--import', `data:text/javascript,${encodeURIComponent(crash)}`, ...NODE.slice(1)] as const;
  const service = await ServiceProcess.start({ command, env: { ...env, DATA_DIR: folder.path, CANARY: TOKEN } });
  service.signal('SIGUSR2');
  expect(await service.exited).toEqual({ code: 1, signal: null });
  expect(service.events('bug')).toHaveLength(1);
  expectNoSecretIn('crash output', service.stderr + JSON.stringify(service.log));
});
