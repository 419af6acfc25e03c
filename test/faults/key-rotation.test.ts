/** Two instances share a Redis while a new encryption key is rolled out from one to the other. */
import { randomBytes } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { Instance } from '../support/instance.ts';
import { startRedis } from '../support/redis.ts';

const OLD = randomBytes(32).toString('base64');
const NEW = randomBytes(32).toString('base64');
const value = (): string => randomBytes(32).toString('hex');

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function pair(keysOfA: string, keysOfB: string): Promise<[Instance, Instance]> {
  const redis = await startRedis();
  stops.push(() => redis.stop());
  const instances: Instance[] = [];
  for (const keys of [keysOfA, keysOfB]) {
    const instance = await Instance.start(redis.url, { ENCRYPTION_KEYS: keys });
    stops.push(() => instance.stop());
    instances.push(instance);
  }
  return instances as [Instance, Instance];
}

it.each([
  ['its keys are rotated', OLD, `${NEW},${OLD}`],
  ['encryption is switched on', '', NEW],
])('leaves tokens to the instance that has their key while %s', async (_when, keysOfA, keysOfB) => {
  const [a, b] = await pair(keysOfA, keysOfB);
  const [sealed, open, seid] = [value(), value(), value()];
  await b.post({ token: sealed });
  await b.post({ seid, merchant_data: 'x' });
  expect((await a.claim('early', { kind: 'token' })).status).toBe(204);
  expect((await a.claim('x', { merchant_data: 'x' })).status).toBe(204);
  expect((await a.read({ merchant_data: 'x' })).status).toBe(204);
  await a.post({ token: open });
  expect((await a.claim('behind', { kind: 'token' })).body).toMatchObject({ value: open });
  expect((await b.read({ merchant_data: 'x' })).body).toMatchObject({ value: seid });
  const held = await b.claim('held', { kind: 'token', lease: 600 });
  expect(held.body).toMatchObject({ value: sealed, claim: { deliveries: 1 } });
  expect(a.told('sealed_with_unknown_key')).toBe(1);

  // The claim is known everywhere; its value is not.
  expect((await a.claim('held', { kind: 'token' })).body).toMatchObject({ code: 'store_away' });
  expect((await a.used('held')).status).toBe(204);
  expect((await b.claim('after', { kind: 'token' })).status).toBe(204);
});

it('hands out the newest token that it can open, and counts the others', async () => {
  const [a, b] = await pair(OLD, `${NEW},${OLD}`);
  const [older, newer] = [value(), value()];
  await a.post({ seid: older, merchant_data: 'x' });
  await b.post({ seid: newer, merchant_data: 'x' });
  expect((await a.read({ merchant_data: 'x' })).body).toMatchObject({ value: older, distinct: 2 });
  expect((await b.read({ merchant_data: 'x' })).body).toMatchObject({ value: newer, distinct: 2 });
});
