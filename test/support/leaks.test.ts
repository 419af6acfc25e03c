import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Waiters } from '../../src/handoff/waiters.ts';
import { expectClosedSince, opened } from './leaks.ts';
import { LOOPBACK } from './ports.ts';

let shared: Server;

beforeAll(async () => {
  shared = createServer().listen(0, LOOPBACK);
  await once(shared, 'listening');
});

afterAll(() => {
  shared.close();
});

async function connected(): Promise<{ client: Socket; server: Socket }> {
  const accepted = once(shared, 'connection') as Promise<[Socket]>;
  const client = connect((shared.address() as { port: number }).port, LOOPBACK);
  await once(client, 'connect');
  return { client, server: (await accepted)[0] };
}

test('finds an open socket', async () => {
  const before = opened();
  const { client, server } = await connected();
  await expect(expectClosedSince(before, 1)).rejects.toThrow(`a socket from port ${client.localPort} to port`);
  client.destroy();
  server.destroy();
  await expectClosedSince(before);
});

test('ignores a connection that only a shared server keeps', async () => {
  const before = opened();
  const { client, server } = await connected();
  client.unref();
  await expectClosedSince(before);
  client.destroy();
  server.destroy();
});

test('finds a server, a timer and a process', async () => {
  const before = opened();
  const server = createServer().listen(0, LOOPBACK);
  const timer = setTimeout(() => {}, 60_000);
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  await once(server, 'listening');
  await expect(expectClosedSince(before, 1)).rejects.toThrow(/1 child processes, a server at .*, a timer of 60000 ms/);
  clearTimeout(timer);
  child.kill();
  server.close();
  await Promise.all([once(child, 'exit'), once(server, 'close')]);
  await expectClosedSince(before);
});

test('finds a parked waiter', async () => {
  const before = opened();
  const waiter = new Waiters({ max: 1 }).park(
    'default',
    'sid=x',
    performance.now() + 60_000,
    new AbortController().signal,
  );
  if (waiter === 'full') throw new Error('expected a place');
  const woken = waiter.sleep();
  await expect(expectClosedSince(before, 1)).rejects.toThrow(/a timer of (60000|59\d{3}\.\d+) ms/);
  waiter.wake('draining');
  expect(await woken).toBe('draining');
  await expectClosedSince(before);
});
