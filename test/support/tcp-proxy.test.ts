import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LOOPBACK } from './ports.ts';
import { Peer } from './tcp-peer.ts';
import { startProxy, type TcpProxy } from './tcp-proxy.ts';
import { reset } from './tcp-reset.ts';
import { until } from './until.ts';

let listener: Server;
let accepted: Peer[];
let peers: Peer[];
let proxy: TcpProxy;

beforeEach(async () => {
  accepted = [];
  peers = [];
  listener = createServer({ allowHalfOpen: true }, (socket) => {
    const peer = new Peer(socket);
    accepted.push(peer);
    peers.push(peer);
  });
  listener.listen(0, LOOPBACK);
  await once(listener, 'listening');
  proxy = await startProxy({ host: LOOPBACK, port: listenerPort() });
});

afterEach(async () => {
  await proxy.stop();
  for (const peer of peers) peer.socket.destroy();
  listener.close();
  expect(proxy.connections).toBe(0);
});

function listenerPort(): number {
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('expected a TCP address');
  return address.port;
}

function dial(): Peer {
  const peer = new Peer(connect({ host: LOOPBACK, port: proxy.port, allowHalfOpen: true }));
  peers.push(peer);
  return peer;
}

/** Both ends of a new connection through the proxy, which has carried a byte each way. */
async function openPair(): Promise<{ client: Peer; server: Peer }> {
  const count = accepted.length;
  const client = dial();
  client.socket.write('>');
  const server = await until('the server accepts', () => accepted[count]);
  await server.receives('>');
  server.socket.write('<');
  await client.receives('<');
  return { client, server };
}

describe('pass', () => {
  test('carries bytes both ways and counts the connections', async () => {
    const { client, server } = await openPair();
    expect(proxy.connections).toBe(1);
    client.socket.end('question');
    await until('the end arrives', () => server.ended);
    expect(server.received).toBe('>question');
    server.socket.end('answer');
    await until('both ends close', () => client.closed && server.closed);
    expect(client.received).toBe('<answer');
    expect([client.error, server.error]).toEqual([undefined, undefined]);
    await until('the proxy forgets it', () => proxy.connections === 0);
  });

  test('carries megabytes unchanged, and reads no more than the other side accepts', async () => {
    const { client, server } = await openPair();
    server.socket.pause();
    const sent = 'x'.repeat(32 * 1024 * 1024);
    client.socket.write(sent);
    expect(await stable(() => client.socket.writableLength)).toBeGreaterThan(0);
    server.socket.resume();
    await until('all arrives', () => server.received.length === sent.length + 1);
  });

  test('carries a reset', async () => {
    const { client, server } = await openPair();
    reset(server.socket);
    await client.isReset();
  });

  test('resets the client when the server is down', async () => {
    listener.close();
    await dial().isReset();
  });
});

/** Returns a number once it is stable over several polls. */
async function stable(read: () => number): Promise<number> {
  let last = Number.NaN;
  let unchanged = 0;
  await until('the number stays', () => {
    unchanged = read() === last ? unchanged + 1 : 0;
    last = read();
    return unchanged === 5;
  });
  return last;
}

test('refuse: refuses new connections, keeps existing ones, and opens the port again', async () => {
  const { client, server } = await openPair();
  await proxy.mode({ kind: 'refuse' });
  const refused = dial();
  await until('the connection fails', () => refused.closed);
  expect(refused.error).toBe('ECONNREFUSED');
  client.socket.write('still here');
  await server.receives('still here');
  await proxy.mode({ kind: 'pass' });
  await openPair();
});

test('reset: resets new connections before they reach the server, and keeps existing ones', async () => {
  const { client, server } = await openPair();
  await proxy.mode({ kind: 'reset' });
  await dial().isReset();
  expect(accepted).toHaveLength(1);
  client.socket.write('still here');
  await server.receives('still here');
});

test('cut: resets both sides of all connections, and new ones pass', async () => {
  const pairs = [await openPair(), await openPair()];
  proxy.cut();
  for (const { client, server } of pairs) await Promise.all([client.isReset(), server.isReset()]);
  await openPair();
});

test('cut: does not wait for a side that does not read', async () => {
  const { client, server } = await openPair();
  server.socket.pause();
  client.socket.write('x'.repeat(32 * 1024 * 1024));
  await stable(() => client.socket.writableLength);
  proxy.cut();
  await client.isReset();
  await until('the proxy forgets it', () => proxy.connections === 0);
});

describe('slow', () => {
  test('delays one direction, in order, and loses nothing', async () => {
    const { client, server } = await openPair();
    await proxy.mode({ kind: 'slow', toClient: 150 });
    const sentAt = performance.now();
    client.socket.write('question');
    await server.receives('question');
    server.socket.write('an');
    server.socket.end('swer');
    await until('the end arrives', () => client.ended);
    expect(client.received).toBe('<answer');
    // A timer may fire a millisecond early, never more.
    expect(performance.now() - sentAt).toBeGreaterThanOrEqual(149);
  });

  test('sends held bytes at once when the mode changes', async () => {
    const { client, server } = await openPair();
    await proxy.mode({ kind: 'slow', toServer: 3_600_000 });
    client.socket.write('late');
    await proxy.mode({ kind: 'pass' });
    await server.receives('late');
  });
});

describe('stall', () => {
  test.each(['to server', 'to client'] as const)('holds back %s alone until the mode changes', async (direction) => {
    const { client, server } = await openPair();
    const [held, free] = direction === 'to server' ? [client, server] : [server, client];
    await proxy.mode({ kind: 'stall', direction });
    held.socket.end('held');
    free.socket.write('free');
    await held.receives('free');
    expect(free.received).not.toContain('held');
    await proxy.mode({ kind: 'pass' });
    await until('the end arrives', () => free.ended);
    await free.receives('held');
  });

  test('leaves nothing pending when the proxy stops', async () => {
    const { client, server } = await openPair();
    await proxy.mode({ kind: 'stall', direction: 'both' });
    client.socket.write('never');
    await proxy.stop();
    await Promise.all([client.isReset(), server.isReset()]);
    expect(server.received).toBe('>');
  });
});

describe('blackhole', () => {
  test('to client: passes the request, loses its answer, and cannot resume the connection', async () => {
    const { client, server } = await openPair();
    await proxy.mode({ kind: 'blackhole', direction: 'to client' });
    client.socket.write('question');
    await server.receives('question');
    await new Promise((written) => server.socket.write('answer', written));
    client.socket.write('another');
    await server.receives('another');
    expect(client).toMatchObject({ received: '<', closed: false });
    await swallowed(client, server);
  });

  test('to server: passes nothing, not even the end', async () => {
    const { client, server } = await openPair();
    await proxy.mode({ kind: 'blackhole', direction: 'to server' });
    client.socket.end('question');
    server.socket.write('news');
    await client.receives('news');
    expect(server).toMatchObject({ received: '>', ended: false, closed: false });
    await swallowed(client, server);
  });

  test('both: accepts and holds connections, and does not report a dead peer', async () => {
    const { client, server } = await openPair();
    await proxy.mode({ kind: 'blackhole', direction: 'both' });
    const late = dial();
    late.socket.write('hello');
    await until('the connection is accepted', () => accepted.length === 2);
    reset(server.socket);
    await until('the server is gone', () => server.closed);
    const settled = await stable(() => proxy.connections);
    expect(settled).toBe(2);
    expect([client.closed, late.closed, accepted[1]?.received]).toEqual([false, false, '']);
    await proxy.mode({ kind: 'pass' });
    await Promise.all([client.isReset(), late.isReset()]);
  });

  test('resumes a connection that lost nothing', async () => {
    const { client, server } = await openPair();
    await proxy.mode({ kind: 'blackhole', direction: 'both' });
    await proxy.mode({ kind: 'pass' });
    client.socket.write('still here');
    await server.receives('still here');
  });

  /** A second black hole hides the gap, too. `pass` would show it, so it cuts the connection. */
  async function swallowed(client: Peer, server: Peer): Promise<void> {
    await proxy.mode({ kind: 'blackhole', direction: 'both' });
    expect(proxy.connections).toBe(1);
    await proxy.mode({ kind: 'pass' });
    await Promise.all([client.isReset(), server.isReset()]);
  }
});

describe('half-close', () => {
  test.each(['server', 'client'] as const)('ends the stream to the %s, and keeps the other direction', async (side) => {
    const { client, server } = await openPair();
    const [told, other] = side === 'server' ? [server, client] : [client, server];
    proxy.halfClose(side);
    await until('the end arrives', () => told.ended);
    told.socket.write('still here');
    await other.receives('still here');
    other.socket.write('unheard');
    told.socket.end('bye');
    await other.receives('bye');
    expect([other.closed, told.received.includes('unheard')]).toEqual([false, false]);
  });
});

describe('limit', () => {
  test('passes the given number of bytes of a request, then resets its sender', async () => {
    const { client, server } = await openPair();
    await proxy.mode({ kind: 'limit', toServer: 5 });
    client.socket.write('123');
    await server.receives('123');
    client.socket.write('456');
    await client.isReset();
    await until('the end arrives', () => server.ended);
    expect(server).toMatchObject({ received: '>12345', error: undefined });
    server.socket.end();
    await until('the proxy forgets it', () => proxy.connections === 0);
  });

  test('counts each connection and each mode from zero', async () => {
    const pairs = [await openPair(), await openPair()];
    for (let round = 0; round < 2; round++) {
      await proxy.mode({ kind: 'limit', toClient: 3 });
      for (const { client, server } of pairs) {
        server.socket.write('abc');
        await client.receives(`<${'abc'.repeat(round + 1)}`);
      }
    }
    expect(proxy.connections).toBe(2);
  });
});
