/** Strangers that exhaust connections, bodies, memory and log: a genuine post is still answered. */
import { afterEach, describe, expect, test } from 'vitest';
import { OK } from '../listeners/authenticity/ok.ts';
import { chunked, RawConnection, rawRequest, undated } from '../support/raw-http.ts';
import { Receiver } from '../support/receiver.ts';
import { RunningService } from '../support/service.ts';
import { until } from '../support/until.ts';

const GENUINE = { body: `seid=${'g'.repeat(64)}&sid=genuine` };

let receiver: Receiver | undefined;
let strangers: RawConnection[] = [];
afterEach(async () => {
  for (const stranger of strangers) stranger.destroy();
  strangers = [];
  await receiver?.stop();
  receiver = undefined;
});

async function start(limits: Record<string, number> = {}): Promise<Receiver> {
  receiver = await Receiver.start({ limits: { idleGraceMs: 20, ...limits } });
  return receiver;
}

/** Connects this many strangers, one after the other, each with the same first bytes. */
async function crowd(port: number, size: number, words = ''): Promise<void> {
  for (let at = 0; at < size; at++) strangers.push((await RawConnection.open(port)).write(words));
}

/** Connects strangers with half a body each. Waits until the server reads each. */
async function crowdOfBodies(port: number, size: number): Promise<void> {
  const first = strangers.length;
  await crowd(port, size, HALF);
  for (const stranger of strangers.slice(first)) expect(await stranger.answer()).toMatch(/^HTTP\/1\.1 100 /);
}

const HALF = rawRequest({
  headers: [
    ['Content-Length', '16000'],
    ['Expect', '100-continue'],
  ],
  body: `seid=${'x'.repeat(1000)}`,
}).toString();
const HALF_HEAD = 'POST /authenticity HTTP/1.1\r\nHost: a\r\nX-Slow: ';

async function genuinePost({ connect }: Receiver): Promise<void> {
  const connection = await connect();
  connection.write(rawRequest(GENUINE));
  expect(undated(await connection.answer())).toBe(OK);
}

describe('with too many', () => {
  test('connections, the longest idle are evicted first', async () => {
    const started = await start({ maxConnections: 20 });
    const busy = await started.connect();
    busy.write(HALF);
    expect(await busy.answer()).toMatch(/^HTTP\/1\.1 100 /);
    const active = await started.connect();
    await crowd(started.port, 18);
    await until('all are there', async () => (await started.connections()) === 20);
    active.write(rawRequest(GENUINE));
    expect(undated(await active.answer())).toBe(OK);
    await crowd(started.port, 15);
    await until('those too many are gone', async () => (await started.connections()) <= 20);
    // The kernel decides the order of simultaneous connections.
    await until(
      'as many of the first',
      () => strangers.slice(0, 18).filter(({ ended, closed }) => ended || closed).length === 15,
    );
    expect(strangers.slice(18).some(({ ended, closed }) => ended || closed)).toBe(false);
    expect([busy.closed, active.closed]).toEqual([false, false]);
    await genuinePost(started);
  });

  test('bodies in transfer, the oldest is answered and closed', async () => {
    const started = await start({ maxHalfOpenBodies: 10 });
    await crowdOfBodies(started.port, 1);
    await genuinePost(started);
    await crowdOfBodies(started.port, 10);
    const [oldest] = strangers;
    expect(undated((await oldest?.answer()) ?? '')).toBe(OK);
    await oldest?.isClosed();
    await genuinePost(started);
    expect(started.recorded().filter(({ outcome }) => outcome === 'kept')).toHaveLength(1);
  });

  test('connections with a body in transfer, the oldest of these is evicted', async () => {
    const started = await start({ maxConnections: 10 });
    await crowdOfBodies(started.port, 10);
    const answered = genuinePost(started);
    const [first] = strangers;
    expect(undated((await first?.answer()) ?? '')).toBe(OK);
    await answered;
  });
});

test('a backlog of pipelined posts delays only its own clients', async () => {
  const started = await start();
  const [size, each] = [20, 500];
  const post = (at: number): Buffer => rawRequest({ body: `seid=${`p${at}-`.padEnd(64, 'x')}&sid=p${at}` });
  await crowd(started.port, size);
  const genuine = await started.connect();
  for (const [at, stranger] of strangers.entries()) {
    stranger.write(Buffer.concat(Array.from({ length: each }, (_, number) => post(at * each + number))));
  }
  await until('the backlog is served', async () => (await started.postsCounted('kept')) > size);
  for (let count = 1; count <= 5; count += 1) {
    genuine.write(rawRequest({ body: `seid=${'g'.repeat(64)}&sid=g${count}` }));
    expect(undated(await genuine.answer())).toBe(OK);
  }
  expect(await started.postsCounted('kept')).toBeLessThan((size * each) / 2);
  await until('everybody is answered', async () => (await started.postsCounted('kept')) === size * each + 1);
  const outcomes = new Set(started.recorded().map(({ outcome }) => outcome));
  expect([...outcomes].sort()).toEqual(['kept', 'known']);
});

test.each<[string, Buffer]>([
  [
    'a chunked body of a megabyte and more',
    rawRequest({ headers: [['Transfer-Encoding', 'chunked']], body: chunked('x'.repeat(1_200_000)) }),
  ],
  ['50,000 fields', rawRequest({ body: Array.from({ length: 50_000 }, (_, at) => `f${at}=${at}`).join('&') })],
  ['50,000 tokens', rawRequest({ body: 'seid=x&'.repeat(50_000) })],
  ['a megabyte of percent signs', rawRequest({ body: '%'.repeat(1_000_000) })],
])('%s is answered at little cost', async (_name, request) => {
  const started = await start();
  const connection = await started.connect();
  connection.write(request);
  expect(undated(await connection.answer())).toBe(OK);
  await genuinePost(started);
  expect(started.recorded().map(({ outcome }) => outcome)).toEqual(['too_large', 'kept']);
});

test('disconnects slow headers, and answers a slow body', async () => {
  const started = await start({ headersDeadlineMs: 300, bodyDeadlineMs: 300 });
  await crowd(started.port, 20, HALF_HEAD);
  await crowd(started.port, 20, HALF);
  const drip = setInterval(() => {
    for (const { socket, closed } of strangers) if (!closed && socket.writable) socket.write('x');
  }, 50);
  try {
    await genuinePost(started);
    await Promise.all(strangers.map((stranger) => stranger.isClosed()));
  } finally {
    clearInterval(drip);
  }
});

test('limits the log lines of a flood of unusable and unexpected posts, and counts each of them', async () => {
  const running = await RunningService.start({ env: { ACCEPT: 'expected' } });
  try {
    const flood = Array.from({ length: 300 }, async (_, at) => {
      await running.post({ nothing: `${at}` });
      await running.post({ seid: `planted-${at}`, sid: 'x' });
    });
    await Promise.all(flood);
    const told = (text: string): number => running.log.filter((line) => line.includes(text)).length;
    await until('the last one is logged', async () => told('unexpected') >= 20 && told('no_token') >= 20);
    expect([told('no_token'), told('"outcome":"unexpected"')]).toEqual([20, 20]);
    const { text } = await running.worker('GET', '/metrics');
    expect(text).toContain('posts_total{merchant="default",kind="none",outcome="no_token"} 300');
    expect(text).toContain('posts_total{merchant="default",kind="seid",outcome="unexpected"} 300');
  } finally {
    await running.stop();
  }
  // The summary of suppressed lines comes at the end of the window, or at a stop.
  const more = running.log.map((line) => JSON.parse(line)).filter((line) => 'more' in line);
  expect(more).toMatchObject([
    { event: 'post', outcome: 'no_token', merchant: 'default', more: 280 },
    { event: 'post', outcome: 'unexpected', merchant: 'default', more: 280 },
  ]);
});
