/** DATA_DIR is missing at the start and comes later: its records count as if it had been there. */
import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Instance } from '../support/instance.ts';
import { LOOPBACK } from '../support/ports.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { untilKnown } from '../support/worker-api.ts';

const value = (): string => randomBytes(32).toString('hex');

let redis: RedisServer;
let proxy: TcpProxy;
let a: Instance;
/** Has its own way to Redis. */
let b: Instance;

const url = (): string => `redis://${LOOPBACK}:${proxy.port}`;
const elsewhere = (): string => `${a.dataDir}.elsewhere`;

beforeEach(async () => {
  redis = await startRedis();
  proxy = await startProxy({ host: redis.host, port: redis.port });
  [a, b] = await Promise.all([Instance.start(url()), Instance.start(redis.url)]);
  await Promise.all([a.settled(), b.settled()]);
});
afterEach(async () => {
  await Promise.all([a.stop(), b.stop()]);
  await proxy.stop();
  await redis.stop();
});

async function cutOff(): Promise<void> {
  await proxy.mode({ kind: 'refuse' });
  proxy.cut();
  await until('the instance knows', async () => (await a.ready()).store['state'] === 'away');
}

async function restartWithoutDisk(): Promise<void> {
  await a.halt();
  await rename(a.dataDir, elsewhere());
  await writeFile(a.dataDir, 'a file, where the directory will be');
  a = await Instance.start(url(), {}, a.folder);
  expect(a.told('disk_failed')).toBe(1);
}

async function redisIsBack(): Promise<void> {
  await proxy.mode({ kind: 'pass' });
  await until('Redis is back', async () => (await a.ready()).fallback['state'] === 'idle');
}

async function diskIsBack(): Promise<void> {
  await rm(a.dataDir);
  await rename(elsewhere(), a.dataDir);
  await until('the disk is back', () => a.told('disk_back') > 0);
}

it.each(['before', 'after'])('sends Redis the tokens of a disk that becomes readable %s Redis', async (order) => {
  await cutOff();
  const [seid, used, pooled, held, also] = [value(), value(), value(), value(), value()];
  await a.post({ seid, sid: 'x' });
  await a.post({ seid: used, sid: 'used' });
  for (const token of [held, pooled]) await a.post({ token });
  expect((await a.claim('c', { kind: 'token', lease: 600 })).body).toMatchObject({ value: held });
  expect((await a.claim('d', { sid: 'used' })).status).toBe(200);
  expect((await a.used('d')).status).toBe(204);
  await restartWithoutDisk();
  await a.post({ seid: also, sid: 'also' });
  const waiting = b.read({ sid: 'x', wait: 30 });
  const steps = [diskIsBack, redisIsBack];
  for (const step of order === 'before' ? steps : steps.reverse()) await step();
  await a.settled();
  expect(await waiting).toMatchObject({ status: 200, body: { value: seid } });
  for (const at of [a, b]) {
    expect(await untilKnown(() => at.read({ sid: 'x' }))).toMatchObject({ body: { value: seid } });
    expect(await untilKnown(() => at.read({ sid: 'also' }))).toMatchObject({ body: { value: also } });
    expect(await untilKnown(() => at.read({ sid: 'used' }))).toMatchObject({ status: 410 });
  }
  expect((await untilKnown(() => b.claim('e', { kind: 'token' }))).body).toMatchObject({ value: pooled });
  expect((await untilKnown(() => b.claim('f', { kind: 'token' }))).status).toBe(204);
  expect((await untilKnown(() => b.used('c'))).status).toBe(204);
});

it('gives a waiting worker the token from the disk, even while Redis is away', async () => {
  await cutOff();
  const seid = value();
  await a.post({ seid, sid: 'x' });
  await restartWithoutDisk();
  const waiting = a.claim('c', { sid: 'x', wait: 30 });
  await until('it waits', async () => (await a.get('/readyz')).text.includes('"parked":1'));
  await diskIsBack();
  const answer = await waiting;
  expect(answer).toMatchObject({ status: 200, body: { value: seid } });
  expect(answer.ms).toBeLessThan(25_000);
});

it('does not claim locally a token that Redis had before the restart, even if it is posted again', async () => {
  const seid = value();
  await a.post({ seid, sid: 'x' });
  expect((await b.claim('c', { sid: 'x' })).status).toBe(200);
  expect((await b.used('c')).status).toBe(204);
  await cutOff();
  await restartWithoutDisk();
  await a.post({ seid, sid: 'x' });
  await diskIsBack();
  // Another instance may know a use of the token.
  expect([410, 503]).toContain((await a.claim('d', { sid: 'x' })).status);
  await redisIsBack();
  expect((await untilKnown(() => a.claim('d', { sid: 'x' }))).status).toBe(410);
});
