/**
 * `ACCEPT=expected` while an announcement is not in Redis yet, or was lost there: an announced post is handed out once
 * the announcement arrives, and a post that nobody announced never is.
 */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Instance } from '../support/instance.ts';
import { LOOPBACK } from '../support/ports.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { type Answer, untilKnown } from '../support/worker-api.ts';

const value = (): string => randomBytes(32).toString('hex');

let redis: RedisServer;
/** The proxies of the two instances to Redis. */
let toA: TcpProxy;
let toB: TcpProxy;
let a: Instance;
let b: Instance;

const start = (proxy: TcpProxy, home?: Instance): Promise<Instance> =>
  Instance.start(`redis://${LOOPBACK}:${proxy.port}`, { ACCEPT: 'expected' }, home?.folder);

beforeEach(async () => {
  redis = await startRedis();
  const { host, port } = redis;
  [toA, toB] = await Promise.all([startProxy({ host, port }), startProxy({ host, port })]);
  [a, b] = await Promise.all([start(toA), start(toB)]);
  await Promise.all([a.settled(), b.settled()]);
});
afterEach(async () => {
  await Promise.all([a.stop(), b.stop()]);
  await Promise.all([toA.stop(), toB.stop()]);
  await redis.stop();
});

async function cut(...ways: [TcpProxy, Instance][]): Promise<void> {
  for (const [proxy, instance] of ways) {
    await proxy.mode({ kind: 'refuse' });
    proxy.cut();
    await until('the instance knows', async () => (await instance.ready()).store['state'] === 'away');
  }
}

async function mend(proxy: TcpProxy, instance: Instance): Promise<void> {
  await proxy.mode({ kind: 'pass' });
  await instance.settled();
}

async function announce(at: Instance, what: Record<string, unknown>): Promise<string> {
  const { status, body } = await at.expect({ kind: 'seid', ttl: 600, ...what });
  expect(status).toBe(201);
  return String(body?.['id']);
}

async function cancel(at: Instance, id: string): Promise<void> {
  expect((await at.cancel(id)).status).toBe(204);
}

async function post(at: Instance, fields: Record<string, string>): Promise<void> {
  expect(await at.post(fields)).toMatchObject({ status: 200, text: 'OK' });
}

const read = (at: Instance, sid: string): Promise<Answer> => untilKnown(() => at.read({ sid }));

async function expectAtBoth(sid: string, seid: string): Promise<void> {
  for (const at of [a, b]) expect((await read(at, sid)).body).toMatchObject({ value: seid, distinct: 1 });
}

async function expectNowhere(sid: string, status = 204): Promise<void> {
  for (const at of [a, b]) expect((await read(at, sid)).status).toBe(status);
}

/** Restarts Redis without its data. */
async function loseEverything(): Promise<void> {
  await redis.command('CONFIG', 'SET', 'appendonly', 'no');
  const [, folder] = (await redis.command('CONFIG', 'GET', 'dir')) as [string, string];
  await redis.kill();
  await rm(`${folder}/appendonlydir`, { recursive: true, force: true });
  await redis.restart();
}

it('admits a post whose announcement reaches Redis after the post', async () => {
  await cut([toA, a], [toB, b]);
  const genuine = value();
  await announce(a, { sid: 'x' });
  await post(b, { seid: genuine, sid: 'x' });
  await mend(toB, b);
  expect((await read(b, 'x')).status).toBe(204);
  await mend(toA, a);
  await expectAtBoth('x', genuine);
});

it('admits a post that Redis refused while the announcing instance was cut off', async () => {
  await cut([toA, a]);
  const [genuine, pooled] = [value(), value()];
  await announce(a, { sid: 'x' });
  await announce(a, { kind: 'token' });
  await post(b, { seid: genuine, sid: 'x' });
  await post(b, { token: pooled });
  const waiting = b.read({ sid: 'x', wait: 30 });
  const claiming = b.claim('c', { kind: 'token', wait: 30 });
  await until('both wait', async () => (await b.get('/readyz')).text.includes('"parked":2'));
  await mend(toA, a);
  expect(await waiting).toMatchObject({ status: 200, body: { value: genuine } });
  expect(await claiming).toMatchObject({ status: 200, body: { value: pooled } });
  expect(a.told('verdict_revised')).toBe(1);
  await expectAtBoth('x', genuine);
  // From now on, it is an ordinary token.
  expect((await b.used('c')).status).toBe(204);
  await post(a, { token: pooled });
  expect((await untilKnown(() => a.claim('d', { kind: 'token' }))).status).toBe(204);
});

it('refuses a post without an announcement, with a cancelled one, and one more value than announced', async () => {
  const [early, late, first, second, other] = [value(), value(), value(), value(), value()];
  await cut([toA, a]);
  await post(b, { seid: early, sid: 'early' });
  await announce(a, { sid: 'early' });
  const cancelled = await announce(a, { sid: 'cancelled' });
  await cancel(a, cancelled);
  await post(b, { seid: late, sid: 'cancelled' });
  await announce(a, { sid: 'one' });
  for (const seid of [first, second]) await post(b, { seid, sid: 'one' });
  await announce(a, { kind: 'nit', sid: 'kind' });
  await post(b, { seid: other, sid: 'kind' });
  const over = await announce(a, { sid: 'over', ttl: 1 });
  await until('it is over', async () => (await a.cancel(over)).status === 404);
  await post(b, { seid: value(), sid: 'over' });
  await mend(toA, a);
  for (const sid of ['early', 'kind', 'over']) await expectNowhere(sid);
  await expectNowhere('cancelled', 410);
  await expectAtBoth('one', first);
  // Even after a later announcement.
  for (const sid of ['early', 'one']) await announce(b, { sid });
  await cut([toA, a]);
  await mend(toA, a);
  await expectNowhere('early');
  await expectAtBoth('one', first);
});

it('admits a post that came before its announcement was cancelled', async () => {
  await cut([toA, a]);
  const genuine = value();
  const id = await announce(a, { sid: 'x' });
  await post(b, { seid: genuine, sid: 'x' });
  await cancel(a, id);
  await mend(toA, a);
  await expectAtBoth('x', genuine);
});

it('refuses no announced post while a thousand announcements are being merged', async () => {
  await cut([toA, a]);
  const names = Array.from({ length: 1000 }, (_, at) => `n${at}`);
  await Promise.all(names.map((sid) => announce(a, { sid })));
  await toA.mode({ kind: 'pass' });
  await until('Redis is back', () => a.told('store_back') > 0);
  const seids = new Map(names.slice(-200).map((sid) => [sid, value()]));
  await Promise.all([...seids].map(([sid, seid]) => post(a, { seid, sid })));
  await a.settled();
  for (const [sid, seid] of seids) expect((await read(b, sid)).body).toMatchObject({ value: seid });
  const outcomes = a.log.filter(({ event }) => event === 'post').map(({ outcome }) => outcome);
  expect(outcomes).toHaveLength(200);
  expect(outcomes).not.toContain('unexpected');
});

it('puts announcements and cancellations back when Redis comes back empty', async () => {
  await announce(a, { sid: 'open' });
  await cancel(a, await announce(a, { sid: 'cancelled' }));
  await cancel(b, await announce(a, { sid: 'cancelled elsewhere' }));
  await loseEverything();
  await Promise.all([a.settled(), b.settled()]);
  const genuine = value();
  for (const sid of ['cancelled', 'cancelled elsewhere']) {
    await until('the cancellation is there', async () => (await b.read({ sid })).status === 410);
    await post(b, { seid: value(), sid });
    await expectNowhere(sid, 410);
  }
  await post(b, { seid: genuine, sid: 'open' });
  await until('the announcement is there', async () => (await b.read({ sid: 'open' })).status === 200);
  await expectAtBoth('open', genuine);
});

it('admits a post that came to an empty Redis before its announcement was put back', async () => {
  await announce(a, { sid: 'x' });
  await cut([toA, a]);
  await loseEverything();
  await b.settled();
  const genuine = value();
  await post(b, { seid: genuine, sid: 'x' });
  expect((await read(b, 'x')).status).toBe(204);
  await mend(toA, a);
  await expectAtBoth('x', genuine);
});

it('answers store_away for an announcement while the instance that has it is cut off', async () => {
  await cut([toA, a]);
  const id = await announce(a, { sid: 'x' });
  expect(await b.cancel(id)).toMatchObject({ status: 503, body: { code: 'store_away' } });
  await mend(toA, a);
  await until('it is cancelled', async () => (await b.cancel(id)).status === 204);
  await expectNowhere('x', 410);
});

it('keeps a refused post after a loss of Redis until its announcement arrives', async () => {
  await cut([toA, a]);
  const [genuine, pooled] = [value(), value()];
  await announce(a, { sid: 'x' });
  await announce(a, { kind: 'token' });
  await post(b, { seid: genuine, sid: 'x' });
  await post(b, { token: pooled });
  await redis.command('FLUSHALL');
  await mend(toA, a);
  await b.settled();
  await until('it is there', async () => (await read(b, 'x')).status === 200);
  await expectAtBoth('x', genuine);
  // Admitted and lost again: the copy of the instance that received it restores it.
  await redis.command('FLUSHALL');
  await until('it is there', async () => (await read(a, 'x')).status === 200);
  const claiming = b.claim('c', { kind: 'token', wait: 30 });
  expect(await claiming).toMatchObject({ status: 200, body: { value: pooled } });
});

it('cancels an announcement that Redis lost', async () => {
  const id = await announce(a, { sid: 'x' });
  await redis.command('FLUSHALL');
  await cancel(a, id);
  await until('the cancellation is there', async () => (await b.read({ sid: 'x' })).status === 410);
});

it('admits each pooled post in any order of announcements and posts', async () => {
  const [first, second, twice] = [value(), value(), value()];
  const places = { kind: 'token' };
  await announce(b, places);
  await cut([toA, a]);
  // Its verdict is deferred, and the next one gets its place.
  await post(a, { token: first });
  await announce(a, places);
  await post(b, { token: second });
  // The same post at both takes one place.
  await announce(b, places);
  for (const at of [a, b]) await post(at, { token: twice });
  await mend(toA, a);
  const got: unknown[] = [];
  for (const id of ['c1', 'c2', 'c3']) {
    got.push((await untilKnown(() => b.claim(id, { kind: 'token' }))).body?.['value']);
  }
  expect(got.sort()).toEqual([first, second, twice].sort());
  expect((await untilKnown(() => a.claim('c4', { kind: 'token' }))).status).toBe(204);
});

it('keeps announcements over a restart, even if they ended before Redis was back', async () => {
  await cut([toA, a]);
  const [genuine, timely] = [value(), value()];
  await announce(a, { sid: 'x' });
  await announce(a, { sid: 'short', ttl: 2 });
  await post(b, { seid: genuine, sid: 'x' });
  await post(b, { seid: timely, sid: 'short' });
  await until('the short one is over', async () => (await a.metric('expired_total', '"no_show"')) === 1);
  await a.halt();
  a = await start(toA, a);
  await mend(toA, a);
  await expectAtBoth('x', genuine);
  await expectAtBoth('short', timely);
  expect(await a.metric('expired_total', '"no_show"')).toBe(0);
});

it('keeps a cancellation that comes while its announcement is merged', async () => {
  await cut([toA, a]);
  const ids = await Promise.all(Array.from({ length: 30 }, (_, at) => announce(a, { sid: `n${at}` })));
  await toA.mode({ kind: 'slow', toClient: 60 });
  await until('Redis is back', () => a.told('store_back') > 0);
  for (const id of ids) await until('it is cancelled', async () => (await a.cancel(id)).status === 204);
  await a.settled();
  for (const at of ids.keys()) expect((await read(b, `n${at}`)).status).toBe(410);
});

it('admits one value for an announcement that is in doubt', async () => {
  await toA.mode({ kind: 'blackhole', direction: 'to client' });
  await announce(a, { sid: 'x' });
  const [there, here] = [value(), value()];
  await post(b, { seid: there, sid: 'x' });
  expect((await read(b, 'x')).body).toMatchObject({ value: there });
  await post(a, { seid: here, sid: 'x' });
  expect((await a.read({ sid: 'x' })).status).toBe(503);
  await mend(toA, a);
  await expectAtBoth('x', there);
});
