import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { makeCertificate } from './certificate.ts';
import { LOOPBACK } from './ports.ts';
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts';
import { until } from './until.ts';

const started: RedisServer[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.stop()));
});

async function start(options?: RedisOptions): Promise<RedisServer> {
  const server = await startRedis(options);
  started.push(server);
  return server;
}

async function folderOf(server: RedisServer): Promise<string> {
  const [, folder] = (await server.command('CONFIG', 'GET', 'dir')) as string[];
  return String(folder);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

async function isRefused(port: number): Promise<boolean> {
  const socket = connect({ host: LOOPBACK, port });
  try {
    await once(socket, 'connect');
    return false;
  } catch {
    return true;
  } finally {
    socket.destroy();
  }
}

test('a server answers with the stated configuration, and stop leaves nothing', async () => {
  const server = await start({ config: { maxmemory: '100mb' } });
  expect(await server.command('SET', 'key', 'value')).toBe('OK');
  expect(await server.command('GET', 'key')).toBe('value');
  for (const [directive, value] of [
    ['appendonly', 'yes'],
    ['appendfsync', 'everysec'],
    ['save', ''],
    ['maxmemory', String(100 * 1024 * 1024)],
    ['maxmemory-policy', 'noeviction'],
    ['repl-diskless-sync-delay', '0'],
  ] as const) {
    expect(await server.command('CONFIG', 'GET', directive)).toEqual([directive, value]);
  }
  const folder = await folderOf(server);
  await server.stop();
  expect([await isRefused(server.port), await exists(folder), server.running]).toEqual([true, false, false]);
});

test('kill and restart keep the port and acknowledged writes', async () => {
  const server = await start();
  await server.command('SET', 'key', 'value');
  const { port, pid } = server;
  await server.kill();
  expect([server.running, await isRefused(port)]).toEqual([false, true]);
  await expect(server.command('PING')).rejects.toThrow();
  await server.restart();
  expect(server.port).toBe(port);
  expect(server.pid).not.toBe(pid);
  expect(await server.command('GET', 'key')).toBe('value');
});

test('a hanging server accepts connections and does not answer until it resumes', async () => {
  const server = await start();
  server.hang();
  expect(await isRefused(server.port)).toBe(false);
  await expect(server.command('PING')).rejects.toThrow('timed out');
  server.resume();
  expect(await until('it answers', () => server.command('PING'))).toBe('PONG');
  server.hang();
  await server.stop();
  expect(server.running).toBe(false);
});

test('with a password, the url carries it and others are refused', async () => {
  const server = await start({ config: { requirepass: 'se:cret' } });
  expect(server.url).toBe(`redis://:se%3Acret@127.0.0.1:${server.port}`);
  expect(await server.command('PING')).toBe('PONG');
  const stranger = connect({ host: LOOPBACK, port: server.port });
  stranger.write('PING\r\n');
  const [answer] = await once(stranger, 'data');
  stranger.destroy();
  expect(String(answer)).toContain('NOAUTH');
});

test('with a certificate, it speaks TLS', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'test-certificate-'));
  try {
    const server = await start({ tls: await makeCertificate(folder) });
    expect(server.url).toBe(`rediss://127.0.0.1:${server.port}`);
    expect(await server.command('PING')).toBe('PONG');
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a restart waits for a port that another process holds for a moment', async () => {
  const server = await start();
  await server.kill();
  const squatter = createServer((socket) => socket.destroy());
  squatter.listen(server.port, LOOPBACK);
  await once(squatter, 'listening');
  const restarted = server.restart();
  const pids = new Set<number>();
  await until('a start has failed and another was made', () => pids.add(server.pid).size === 3);
  squatter.close();
  await restarted;
  expect(await server.command('PING')).toBe('PONG');
});

test('a configuration that the server refuses is reported in its own words', async () => {
  await expect(startRedis({ config: { appendonly: 'perhaps' } })).rejects.toThrow(/argument must be 'yes' or 'no'/);
});

test('a server ends with the process that started it, however that ends', async () => {
  const script = `
    import { startRedis } from ${JSON.stringify(new URL('./redis.ts', import.meta.url).href)};
    const server = await startRedis();
    const [, folder] = await server.command('CONFIG', 'GET', 'dir');
    process.stdout.write(JSON.stringify({ port: server.port, folder }));
  `;
  const owner = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = await once(owner.stdout, 'data');
  const { port, folder } = JSON.parse(String(output)) as { port: number; folder: string };
  expect(await isRefused(port)).toBe(false);
  owner.kill('SIGKILL');
  await until('the server is gone', () => isRefused(port));
  await until('its folder is gone', async () => !(await exists(folder)));
});
