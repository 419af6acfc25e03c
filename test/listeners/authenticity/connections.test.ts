/** Connections that are slow, broken, half closed or pipelined. */
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { TokenStore } from '../../../src/store/contract.ts';
import { latch } from '../../support/latch.ts';
import { chunked, type RawConnection, rawRequest, statusOf, undated } from '../../support/raw-http.ts';
import { Receiver, type ReceiverOptions } from '../../support/receiver.ts';
import { slow, withPut } from '../../support/spoiled-stores.ts';
import { until } from '../../support/until.ts';
import { form } from './doors.ts';
import { OK, OK_HEAD } from './ok.ts';

let receiver: Receiver;

async function start(options: ReceiverOptions = {}): Promise<RawConnection> {
  receiver = await Receiver.start({ ...options, limits: { idleGraceMs: 20, ...options.limits } });
  return receiver.connect();
}

afterEach(() => receiver.stop());

const outcomes = (): string[] => receiver.recorded().map(({ outcome }) => outcome);

/** Starts a body of `size` bytes and sends only its beginning. */
function begin(size = 100): Buffer {
  return Buffer.concat([rawRequest({ headers: [['Content-Length', String(size)]] }), Buffer.from('seid=half')]);
}

describe('a body that never ends', () => {
  test('is answered at its deadline, and the connection is closed', async () => {
    const connection = await start({ limits: { bodyDeadlineMs: 100 } });
    connection.write(begin());
    expect(undated(await connection.answer())).toBe(OK);
    await connection.isClosed();
    expect(outcomes()).toEqual(['cut_off']);
  });

  test('is answered at its deadline even if it drips', async () => {
    const connection = await start({ limits: { bodyDeadlineMs: 200 } });
    connection.write(begin(1000));
    const drip = setInterval(() => connection.write('x'), 20);
    try {
      expect(undated(await connection.answer())).toBe(OK);
      await connection.isClosed();
    } finally {
      clearInterval(drip);
    }
    expect(outcomes()).toEqual(['cut_off']);
  });

  test('is answered at its deadline even if it is too large', async () => {
    const connection = await start({ limits: { bodyDeadlineMs: 200 } });
    connection.write(begin(1e6));
    connection.write('x'.repeat(50_000));
    expect(undated(await connection.answer())).toBe(OK);
    await connection.isClosed();
  });

  test.each(['GET', 'HEAD', 'PUT', 'OPTIONS'])('is answered at its deadline with %s', async (method) => {
    const connection = await start({ limits: { bodyDeadlineMs: 100 } });
    connection.write(rawRequest({ method, headers: [['Content-Length', '100']] }));
    expect(undated(await connection.answer({ head: method === 'HEAD' }))).toBe(method === 'HEAD' ? OK_HEAD : OK);
    await connection.isClosed();
    expect(outcomes()).toEqual(['not_post']);
  });

  test('is answered when its chunks break', async () => {
    const connection = await start();
    connection.write(rawRequest({ headers: [['Transfer-Encoding', 'chunked']], body: '9\r\nseid=half\r\n' }));
    connection.write('no chunk\r\n');
    expect(undated(await connection.answer())).toBe(OK);
    await connection.isClosed();
    expect(outcomes()).toEqual(['cut_off']);
  });

  test('is answered when its chunks break at once', async () => {
    const connection = await start();
    connection.write(rawRequest({ headers: [['Transfer-Encoding', 'chunked']], body: 'zz\r\n' }));
    expect(undated(await connection.answer())).toBe(OK);
    await connection.isClosed();
    expect(outcomes()).toEqual(['cut_off']);
  });

  test('is answered when the client ends its half of the connection', async () => {
    const connection = await start();
    connection.write(begin()).halfClose();
    expect(undated(await connection.answer())).toBe(OK);
    await connection.isClosed();
    expect(outcomes()).toEqual(['cut_off']);
  });

  test('stores nothing when the client disconnects, and is recorded', async () => {
    const recorded: string[] = [];
    const connection = await start();
    connection.write(begin());
    await until('the request is there', async () => (await receiver.connections()) === 1);
    connection.destroy();
    await until('the connection is gone', async () => (await receiver.connections()) === 0);
    await until('it is recorded', () => {
      recorded.push(...outcomes());
      return recorded.length > 0;
    });
    expect(recorded).toEqual(['cut_off']);
  });
});

describe('a client that half-closes after a whole request', () => {
  test('is answered while the store is slow', async () => {
    const connection = await start({ spoil: (store) => slow(store, 50) });
    connection.write(rawRequest({ body: form() })).halfClose();
    expect(undated(await connection.answer())).toBe(OK);
    await connection.isClosed();
    expect(outcomes()).toEqual(['kept']);
  });

  test('gets an answer to each of its requests', async () => {
    const connection = await start({ spoil: (store) => slow(store, 50) });
    connection
      .write(Buffer.concat([{ body: form() }, { method: 'GET' }, { body: form() }].map(rawRequest)))
      .halfClose();
    for (let count = 0; count < 3; count += 1) expect(undated(await connection.answer())).toBe(OK);
    await connection.isClosed();
    expect(outcomes().sort()).toEqual(['kept', 'kept', 'not_post']);
  });

  test('is closed, too, when it half-closes after the answer', async () => {
    const connection = await start();
    connection.write(rawRequest({ body: form() }));
    expect(undated(await connection.answer())).toBe(OK);
    connection.halfClose();
    await connection.isClosed();
  });
});

describe('requests in one packet', () => {
  test('are answered in order, each with its own answer', async () => {
    const connection = await start();
    const requests = [
      { body: form() },
      { method: 'GET' },
      { headers: [['Transfer-Encoding', 'chunked']] as const, body: chunked(form()) },
      { headers: [['Content-Type', 'application/json']] as const, body: '{}' },
      { body: form() },
    ];
    connection.write(Buffer.concat(requests.map(rawRequest)));
    for (const _ of requests) expect(undated(await connection.answer())).toBe(OK);
    expect(connection.rest).toBe('');
    expect(outcomes().sort()).toEqual(['kept', 'kept', 'kept', 'not_a_form', 'not_post']);
  });

  test('are all answered on one connection, for any number', async () => {
    const connection = await start();
    const many = 300;
    connection.write(Buffer.concat(Array.from({ length: many }, () => rawRequest({ body: form() }))));
    for (let count = 0; count < many; count += 1) expect(undated(await connection.answer())).toBe(OK);
    expect(outcomes()).toEqual(Array(many).fill('kept'));
  });

  test('are answered before broken HTTP behind them is refused', async () => {
    const connection = await start({ spoil: (store) => slow(store, 50) });
    connection.write(Buffer.concat([rawRequest({ body: form() }), Buffer.from('this is no request\r\n\r\n')]));
    expect(undated(await connection.answer())).toBe(OK);
    await connection.isClosed();
    expect(connection.rest).toMatch(/^(HTTP\/1\.1 400 .*)?$/s);
    expect(outcomes()).toEqual(['kept']);
  });

  test('are answered when the body of the second one breaks', async () => {
    const connection = await start({ spoil: (store) => slow(store, 50) });
    const broken = rawRequest({ headers: [['Transfer-Encoding', 'chunked']], body: 'zz\r\n' });
    connection.write(Buffer.concat([rawRequest({ body: form() }), broken]));
    expect(undated(await connection.answer())).toBe(OK);
    expect(undated(await connection.answer())).toBe(OK);
    await connection.isClosed();
    expect(outcomes().sort()).toEqual(['cut_off', 'kept']);
  });

  test('are answered when they arrive byte by byte', async () => {
    const connection = await start();
    for (const byte of rawRequest({ body: 'seid=slowly' })) {
      connection.write(Buffer.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(undated(await connection.answer())).toBe(OK);
    expect(outcomes()).toEqual(['kept']);
  });
});

describe('pipelined posts', () => {
  test('reach the store one at a time', async () => {
    let [pending, most] = [0, 0];
    const spoil = (store: TokenStore): TokenStore =>
      withPut(store, async (token) => {
        pending += 1;
        most = Math.max(most, pending);
        await new Promise((resolve) => setImmediate(resolve));
        pending -= 1;
        return store.put(token);
      });
    const connection = await start({ spoil });
    const many = 250;
    connection.write(Buffer.concat(Array.from({ length: many }, () => rawRequest({ body: form() }))));
    for (let count = 0; count < many; count += 1) expect(undated(await connection.answer())).toBe(OK);
    expect(most).toBe(1);
    expect(outcomes()).toEqual(Array(many).fill('kept'));
  });

  test('beyond the limit are not read before those ahead are answered', async () => {
    const kept = latch();
    let asked = 0;
    const spoil = (store: TokenStore): TokenStore =>
      withPut(store, async (token) => {
        asked += 1;
        await kept.opened;
        return store.put(token);
      });
    const connection = await start({ spoil, limits: { maxBacklog: 10 } });
    // More than the buffers of both sockets hold.
    const post = rawRequest({ body: form(`&x=${'x'.repeat(10_000)}`) });
    const many = 3000;
    const written = new Promise((resolve) =>
      connection.socket.write(Buffer.concat(Array.from({ length: many }, () => post)), resolve),
    );
    await until('the first one waits for the store', () => asked === 1);
    // The server has read everything that it reads.
    for (let round = 0; round < 50; round += 1) {
      const other = await receiver.connect();
      other.write(rawRequest({ method: 'GET' }));
      await other.answer();
      other.destroy();
    }
    expect(connection.socket.writableLength).toBeGreaterThan(many * 5000);
    kept.open();
    for (let count = 0; count < many; count += 1) expect(undated(await connection.answer())).toBe(OK);
    await written;
  });

  test('are all reported as disconnected after a reset, and a stop does not wait for them', async () => {
    const reported: (number | 'gone')[] = [];
    const kept = latch();
    let asked = 0;
    const spoil = (store: TokenStore): TokenStore =>
      withPut(store, async (token) => {
        asked += 1;
        await kept.opened;
        return store.put(token);
      });
    const onAnswer = (_merchant: string, status: number | 'gone'): unknown => reported.push(status);
    const connection = await start({ spoil, onAnswer, limits: { stopDeadlineMs: 60_000 } });
    // Of the last one, half of the body comes.
    const whole = Array.from({ length: 3 }, () => rawRequest({ body: form() }));
    connection.write(Buffer.concat([...whole, begin()]));
    await until('the first one waits for the store', () => asked === 1);
    connection.socket.resetAndDestroy();
    await until('all are reported', () => reported.length === 4);
    expect(reported).toEqual(['gone', 'gone', 'gone', 'gone']);
    await receiver.listener.stop();
    kept.open();
    await until('the store has the first one', () => receiver.recorded().length === 1);
    expect(reported.length).toBe(4);
  });

  test('behind a request to upgrade are not answered, and the connection ends', async () => {
    const connection = await start();
    const upgrade = [
      ['Connection', 'Upgrade'],
      ['Upgrade', 'websocket'],
    ] as const;
    connection.write(Buffer.concat([rawRequest({ headers: upgrade, body: form() }), rawRequest({ body: form() })]));
    expect(undated(await connection.answer())).toBe(OK);
    await connection.isClosed();
    expect(connection.rest).toBe('');
    expect(outcomes()).toEqual(['kept']);
  });
});

describe('HTTP/1.0', () => {
  test.each([
    ['without keep-alive', ''],
    ['with keep-alive', 'Connection: keep-alive\r\n'],
  ])('%s gets the same bytes', async (_name, header) => {
    const connection = await start();
    const body = form();
    connection.write(`POST /authenticity HTTP/1.0\r\n${header}Content-Length: ${body.length}\r\n\r\n${body}`);
    expect(undated(await connection.answer())).toBe(OK);
    expect(outcomes()).toEqual(['kept']);
  });
});

test.each([
  ['HTTP/0.9', 'GET /authenticity\r\n\r\n', 'not_post'],
  [
    'an encoding that does not end in chunks',
    'POST /authenticity HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n',
    'cut_off',
  ],
])('%s, which Node takes for a request, gets the same bytes', async (_name, bytes, outcome) => {
  const connection = await start();
  connection.write(bytes);
  expect(undated(await connection.answer())).toBe(OK);
  await connection.isClosed();
  expect(outcomes()).toEqual([outcome]);
});

describe('CONNECT', () => {
  test.each(['receiver.test:443', 'receiver.test/authenticity', '/authenticity', 'http://receiver.test/authenticity'])(
    'to %s opens no tunnel',
    async (target) => {
      const connection = await start();
      connection.write(`CONNECT ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await connection.isClosed();
      expect(connection.rest === '' || [200, 400].includes(statusOf(connection.rest))).toBe(true);
      if (connection.rest.startsWith('HTTP/1.1 200')) expect(outcomes()).toEqual(['not_post']);
    },
  );
});

describe('an idle connection', () => {
  test('stays open beyond the header deadline, even without any request, and is closed at its own deadline', async () => {
    const silent = await start({ limits: { headersDeadlineMs: 100, keepAliveMs: 6000 } });
    const used = await receiver.connect();
    used.write(rawRequest({ body: form() }));
    expect(undated(await used.answer())).toBe(OK);
    const slow = await receiver.connect();
    slow.write('POST /authenticity HTTP/1.1\r\n');
    await slow.isClosed();
    for (const connection of [silent, used]) {
      connection.write(rawRequest({ body: form() }));
      expect(undated(await connection.answer())).toBe(OK);
    }
    await Promise.all([silent.isClosed(), used.isClosed()]);
    expect([silent.rest, used.rest]).toEqual(['', '']);
  });
});

describe('a client that does not read its answers', () => {
  /** Asks until the answers fill the buffers of both sockets. */
  async function stuckClient(): Promise<RawConnection> {
    const accepted = new Promise<Socket>((resolve) => receiver.listener.server.once('connection', resolve));
    const connection = await receiver.connect();
    connection.socket.pause();
    const socket = await accepted;
    const asks = rawRequest({ method: 'GET', target: '/livez' }).toString().repeat(500);
    await until('its answers are stuck', async () => {
      if (connection.socket.writableLength === 0) connection.write(asks);
      return socket.writableLength > 0;
    });
    return connection;
  }

  test('is disconnected when it reads nothing for some time', async () => {
    await start({ limits: { unreadDeadlineMs: 200 } });
    receiver.disconnect();
    await until('only the stuck one is left', async () => (await receiver.connections()) === 0);
    await stuckClient();
    await until('the stuck one is gone', async () => (await receiver.connections()) === 0);
  });

  test('is evicted before a body in transfer', async () => {
    const halfway = await start({ limits: { maxConnections: 2 } });
    halfway.write(begin(9));
    const stuck = await stuckClient();
    const newcomer = await receiver.connect();
    newcomer.write(rawRequest({ body: form() }));
    expect(undated(await newcomer.answer())).toBe(OK);
    await until('the stuck one is gone', async () => (await receiver.connections()) === 2);
    stuck.destroy();
    newcomer.write(rawRequest({ body: form() }));
    expect(undated(await newcomer.answer())).toBe(OK);
    expect(halfway.closed).toBe(false);
  });
});
