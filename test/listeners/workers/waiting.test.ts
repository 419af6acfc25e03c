/** Long polls over real HTTP: clients that go away, too many of them, and a service that stops. */
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { DurableLedger } from '../../../src/store/embedded/durable-ledger.ts';
import { EmbeddedStore } from '../../../src/store/embedded/embedded-store.ts';
import { GuardedFolder } from '../../support/guarded-folder.ts';
import { latch } from '../../support/latch.ts';
import { RawConnection, rawRequest, statusOf } from '../../support/raw-http.ts';
import { type Answer, RunningService, type StartOptions } from '../../support/service.ts';
import { until } from '../../support/until.ts';

describe('workers who wait', () => {
  let running: RunningService;
  const start = async (options: StartOptions = {}): Promise<void> => {
    running = await RunningService.start(options);
  };
  afterEach(() => running.stop());

  const read = (name: string, signal?: AbortSignal): Promise<Answer> =>
    running.worker('GET', `/v1/tokens?sid=${name}&wait=60`, signal && { signal });
  const claim = (id: string, signal?: AbortSignal): Promise<Answer> =>
    running.worker('PUT', `/v1/claims/${id}`, { body: { kind: 'token', wait: 60 }, ...(signal && { signal }) });
  const parked = (count: number): Promise<boolean> =>
    until(`${count} wait`, async () => (await running.parked()) === count);

  it('free their places when their clients disconnect, and take no token', async () => {
    await start();
    const client = new AbortController();
    const leaving = [read('x', client.signal), claim('c1', client.signal), claim('c2', client.signal)];
    const staying = claim('c3');
    await parked(4);
    client.abort();
    for (const outcome of await Promise.allSettled(leaving)) expect(outcome.status).toBe('rejected');
    await parked(1);
    await running.post({ token: 'only' });
    expect((await staying).json).toMatchObject({ value: 'only', claim: { id: 'c3', deliveries: 1 } });
    await parked(0);
  });

  it('free their places even behind another request on their connection', async () => {
    await start();
    const { hostname, port } = new URL(running.service.workerUrl);
    const socket = connect(Number(port), hostname);
    const get = (name: string): string => `GET /v1/tokens?sid=${name}&wait=60 HTTP/1.1\r\nHost: localhost\r\n\r\n`;
    socket.write(get('one') + get('two') + get('three'));
    await parked(3);
    socket.destroy();
    await parked(0);
  });

  it('are served again on the same connection', async () => {
    await start();
    for (let round = 0; round < 20; round++) {
      const waiting = read(`r${round}`);
      await parked(1);
      await running.post({ seid: `v${round}`, sid: `r${round}` });
      expect((await waiting).json).toMatchObject({ value: `v${round}` });
    }
  });

  it('get too_many_waiters with Retry-After when there are too many', async () => {
    await start({ env: { MAX_WAITERS: '2' } });
    const client = new AbortController();
    const waiting = [read('a', client.signal), claim('c1', client.signal)];
    await parked(2);
    for (const answer of [await read('b'), await claim('c2')]) {
      expect(answer.status).toBe(503);
      expect(answer.json).toMatchObject({ code: 'too_many_waiters' });
      expect(answer.headers['retry-after']).toMatch(/^\d+$/);
    }
    // A request without a wait, or with a token, needs no place.
    expect((await running.worker('GET', '/v1/tokens?sid=b')).status).toBe(204);
    await running.post({ seid: 'here', sid: 'b' });
    expect((await read('b')).json).toMatchObject({ value: 'here' });
    client.abort();
    await Promise.allSettled(waiting);
    await parked(0);
  });

  it('always get places for their merchant, however many another merchant takes', async () => {
    await start({ env: { MAX_WAITERS: '4', AUTHENTICITY_PATHS: 'default=/authenticity,loja2=/two' } });
    const client = new AbortController();
    const waiting = ['a', 'b', 'c'].map((name) => read(name, client.signal));
    await parked(3);
    for (const answer of [await read('d'), await claim('c1')]) {
      expect([answer.status, answer.json.code]).toEqual([503, 'too_many_waiters']);
    }
    const two = running.worker('GET', '/v1/tokens?sid=e&wait=60&merchant=loja2', { signal: client.signal });
    await parked(4);
    client.abort();
    await Promise.allSettled([...waiting, two]);
    await parked(0);
  });

  it('get 503 draining at once when the service stops, and readyz reports the stop', async () => {
    await start();
    const waiting = [read('a'), read('b'), claim('c1')];
    await parked(3);
    // A pending post keeps the listeners open during the check.
    const { hostname, port } = new URL(running.service.authenticityUrl);
    const post = connect(Number(port), hostname);
    post.write('POST /authenticity HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nseid=');
    await until('the post is under way', () => post.readyState === 'open' && post.bytesWritten > 0);
    const stopped = running.service.stop();
    for (const answer of await Promise.all(waiting)) {
      expect(answer.status).toBe(503);
      expect(answer.json).toMatchObject({ code: 'draining' });
      expect(answer.headers['retry-after']).toMatch(/^\d+$/);
    }
    const ready = await running.worker('GET', '/readyz');
    expect([ready.status, ready.json.status]).toEqual([503, 'stopping']);
    const late = await read('late');
    expect([late.status, late.json.code]).toEqual([503, 'draining']);
    expect((await running.worker('GET', '/livez')).status).toBe(200);
    post.end('hello');
    await stopped;
  });

  it('get a keep-alive time that is longer than those of proxies and clients', async () => {
    await start();
    const { headers } = await running.worker('GET', '/v1/tokens?sid=none');
    expect(headers['keep-alive']).toBe('timeout=620');
  });

  it('get an answer on an open connection after the service stopped listening, and then the connection ends', async () => {
    await start();
    const connection = await RawConnection.open(Number(new URL(running.service.workerUrl).port));
    const read = rawRequest({ method: 'GET', target: '/livez' });
    expect(statusOf(await connection.write(read).answer())).toBe(200);
    const stopped = running.service.stop();
    await until('it listens no more', () => refuses(running.service.workerUrl));
    const last = await connection.write(read).answer();
    expect(statusOf(last)).toBe(200);
    expect(last).toMatch(/^connection: close\r$/im);
    await connection.isClosed();
    await stopped;
    connection.destroy();
  });

  it('are answered on every connection that the kernel took before the service stopped', async () => {
    await start();
    const port = Number(new URL(running.service.workerUrl).port);
    // More than the event loop accepts in one turn, and all of them before it accepts any.
    const sockets = Array.from({ length: 50 }, () => connect(port, '127.0.0.1'));
    const answers = sockets.map(async (socket) => {
      socket.write(rawRequest({ method: 'GET', target: '/livez' }));
      let text = '';
      for await (const chunk of socket) text += chunk;
      return statusOf(text);
    });
    const all = Promise.allSettled(answers);
    await until('the kernel has taken one', () => sockets.some((socket) => !socket.connecting));
    await running.service.stop();
    const outcomes = (await all).map((outcome) =>
      outcome.status === 'fulfilled' ? outcome.value : outcome.reason.code,
    );
    // One that the kernel had not taken is refused, which a client repeats safely. None is reset.
    expect(outcomes.filter((outcome) => outcome !== 200 && outcome !== 'ECONNREFUSED')).toEqual([]);
    expect(outcomes).toContain(200);
  });

  it('do not delay a stop by an open connection', async () => {
    await start();
    const connection = await RawConnection.open(Number(new URL(running.service.workerUrl).port));
    await connection.write(rawRequest({ method: 'GET', target: '/livez' })).answer();
    await running.service.stop();
    await connection.isClosed();
    connection.destroy();
  });

  it('do not delay a stop when their attempt ends during it: the connection ends with the answer', async () => {
    const folder = await GuardedFolder.make('slow-');
    const store = new EmbeddedStore(
      new DurableLedger({ directory: folder.path, ttlMs: 60_000, accept: 'any', maxUnexpected: 10 }),
    );
    const claimAtOnce = store.claim.bind(store);
    const { opened, open } = latch();
    store.claim = async (request) => {
      await opened;
      return claimAtOnce(request);
    };
    await start({ store });
    const waiting = claim('c1');
    await parked(1);
    const stopped = running.service.stop();
    await until('it listens no more', () => refuses(running.service.workerUrl));
    open();
    const { status, headers } = await waiting;
    expect([status, headers.connection]).toEqual([503, 'close']);
    await stopped;
    await folder.remove();
  });
});

/** Whether an address refuses connections. */
function refuses(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}
