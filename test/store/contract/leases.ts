/** Leases: how long a claim holds, and what happens at its end. */
import { expect } from 'vitest';
import { scaled } from '../../support/time-scale.ts';
import { until } from '../../support/until.ts';
import { type Bench, type Case, LONG_MS, TTL_MS, valueIn } from './bench.ts';

const SHORT_MS = scaled(300);
/** Longer than the other steps of a test. */
const MEDIUM_MS = scaled(5000);
/** Clocks are read in whole milliseconds, on both sides. */
const CLOCK_MS = 5;

/** Resolves when a lease of `SHORT_MS` that began before this call is over, by the store's own clock. */
async function shortLeasePassed(bench: Bench): Promise<void> {
  const clock = bench.token({ order_id: `clock-${bench.value().slice(0, 20)}` });
  await bench.put(clock);
  const query = bench.by('order_id', clock.correlators.order_id as string);
  await bench.hold(bench.a, `clock-${clock.id}`, query, { leaseMs: SHORT_MS });
  await until('the lease ends', async () => {
    const read = await bench.a.read(query);
    return read.state === 'live' && read.claim === null;
  });
}

export function describeLeases(test: Case): void {
  test('a lease that ends puts the token back into its place in the pool, and the next delivery is the second', async (bench) => {
    const [first, second] = [bench.token(), bench.token()];
    await bench.put(first, second);
    await bench.hold(bench.a, 'c1', bench.pool(), { leaseMs: SHORT_MS });
    await shortLeasePassed(bench);
    expect(await bench.hold(bench.b, 'c2')).toMatchObject({ token: first, claim: { id: 'c2', deliveries: 2 } });
    expect(await bench.hold(bench.b, 'c3')).toMatchObject({ token: second, claim: { deliveries: 1 } });
  });

  test('tokens of ended leases return to their places, also for concurrent claims', async (bench) => {
    const tokens = Array.from({ length: 6 }, () => bench.token());
    await bench.put(...tokens);
    const hold = (at: number) => bench.hold(bench.a, `ended${at}`, bench.pool(), { leaseMs: SHORT_MS });
    await Promise.all([0, 1, 2].map(hold));
    await shortLeasePassed(bench);
    const answers = await Promise.all(tokens.map((_, at) => bench.claim(bench.a, `c${at}`)));
    expect(answers.map(valueIn)).toEqual(tokens.map(({ value }) => value));
    expect(valueIn(await bench.claim(bench.b, 'late'))).toBe('none');
  });

  test('a lease that ends frees the token under its selector', async (bench) => {
    const token = bench.token({ sid: 'x' });
    await bench.put(token);
    await bench.hold(bench.a, 'c1', bench.by('sid', 'x'), { leaseMs: SHORT_MS });
    await shortLeasePassed(bench);
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ token, claim: null });
    expect(await bench.hold(bench.b, 'c2', bench.by('sid', 'x'))).toMatchObject({ token, claim: { deliveries: 2 } });
  });

  test('a renewed lease outlasts the first one', async (bench) => {
    const token = bench.token();
    await bench.put(token);
    await bench.hold(bench.a, 'c1', bench.pool(), { leaseMs: SHORT_MS });
    await bench.hold(bench.b, 'c1', bench.pool(), { leaseMs: LONG_MS });
    await shortLeasePassed(bench);
    expect(await bench.claim(bench.b, 'c2')).toMatchObject({ state: 'none' });
    expect(await bench.hold(bench.a, 'c1')).toMatchObject({ token, claim: { deliveries: 1 } });
  });

  test('a shortened lease ends at its new time', async (bench) => {
    const token = bench.token();
    await bench.put(token);
    await bench.hold(bench.a, 'c1', bench.pool(), { leaseMs: LONG_MS });
    await bench.hold(bench.a, 'c1', bench.pool(), { leaseMs: SHORT_MS });
    await shortLeasePassed(bench);
    expect(await bench.hold(bench.b, 'c2')).toMatchObject({ token, claim: { deliveries: 2 } });
  });

  test('a claim id whose lease ended takes its token again as a new delivery', async (bench) => {
    const token = bench.token();
    await bench.put(token);
    await bench.hold(bench.a, 'c1', bench.pool(), { leaseMs: SHORT_MS });
    await shortLeasePassed(bench);
    expect(await bench.hold(bench.b, 'c1')).toMatchObject({ token, claim: { deliveries: 2, renewals: 0 } });
  });

  test('a claim learns when the lease of the selected token ends', async (bench) => {
    await bench.put(bench.token({ sid: 'x' }));
    const before = performance.now();
    await bench.hold(bench.a, 'c1', bench.by('sid', 'x'), { leaseMs: MEDIUM_MS });
    const answer = await bench.claim(bench.b, 'c2', bench.by('sid', 'x'));
    const passedMs = performance.now() - before;
    expect(answer.state).toBe('claimed');
    if (answer.state !== 'claimed') return;
    expect(answer.retryInMs).toBeGreaterThanOrEqual(MEDIUM_MS - passedMs - CLOCK_MS);
    expect(answer.retryInMs).toBeLessThanOrEqual(MEDIUM_MS + CLOCK_MS);
  });

  test('a claim learns when the first lease of the pool ends, without used, released or renewed ones', async (bench) => {
    await bench.put(bench.token(), bench.token(), bench.token(), bench.token());
    expect(await bench.claim(bench.a, 'nit', bench.pool('nit'))).toEqual({ state: 'none' });
    const before = performance.now();
    await bench.hold(bench.a, 'used', bench.pool(), { leaseMs: MEDIUM_MS / 5 });
    await bench.hold(bench.a, 'renewed', bench.pool(), { leaseMs: MEDIUM_MS / 2 });
    await bench.hold(bench.a, 'next', bench.pool(), { leaseMs: MEDIUM_MS });
    await bench.hold(bench.a, 'back', bench.pool(), { leaseMs: MEDIUM_MS / 2 });
    await bench.a.settle(bench.merchant, 'used', 'use');
    await bench.hold(bench.a, 'renewed', bench.pool(), { leaseMs: 4 * MEDIUM_MS });
    await bench.a.settle(bench.merchant, 'back', 'release');
    await bench.hold(bench.a, 'last', bench.pool(), { leaseMs: 2 * MEDIUM_MS });
    const answer = await bench.claim(bench.b, 'late');
    const passedMs = performance.now() - before;
    expect(answer.state).toBe('none');
    if (answer.state !== 'none') return;
    expect(answer.retryInMs).toBeGreaterThanOrEqual(MEDIUM_MS - passedMs - CLOCK_MS);
    expect(answer.retryInMs).toBeLessThanOrEqual(MEDIUM_MS + CLOCK_MS);
  });

  test('the token is free after the announced time', async (bench) => {
    await bench.put(bench.token({ sid: 'x' }), bench.token());
    await bench.hold(bench.a, 'c1', bench.by('sid', 'x'), { leaseMs: SHORT_MS });
    await bench.hold(bench.a, 'c2', bench.pool(), { leaseMs: SHORT_MS });
    const claimed = await bench.claim(bench.b, 'c3', bench.by('sid', 'x'));
    const none = await bench.claim(bench.b, 'c4');
    if (claimed.state !== 'claimed' || none.state !== 'none' || none.retryInMs === undefined) {
      throw new Error(`expected claimed and none, got ${claimed.state} and ${none.state}`);
    }
    const freeAt = performance.now() + Math.max(claimed.retryInMs, none.retryInMs) + CLOCK_MS;
    await until('the announced time has passed', () => performance.now() > freeAt);
    expect(valueIn(await bench.claim(bench.b, 'c3', bench.by('sid', 'x')))).not.toBe('claimed');
    expect(valueIn(await bench.claim(bench.b, 'c4'))).not.toBe('none');
  });

  test('a lease ends at the latest with its token', async (bench) => {
    const token = bench.token({ sid: 'x' });
    await bench.put(token);
    const held = await bench.hold(bench.a, 'c1', bench.by('sid', 'x'), { leaseMs: 2 * TTL_MS });
    expect(held.claim.leaseExpiresAt).toBeLessThanOrEqual(held.token.expiresAt);
  });

  test('leases also end while all stores are closed', async (bench) => {
    const [first, second] = [bench.token(), bench.token()];
    await bench.put(first, second);
    await bench.hold(bench.a, 'c1', bench.pool(), { leaseMs: SHORT_MS });
    await bench.hold(bench.a, 'c2', bench.pool(), { leaseMs: LONG_MS });
    await bench.reopen();
    await shortLeasePassed(bench);
    expect(await bench.hold(bench.b, 'c3')).toMatchObject({ token: first, claim: { deliveries: 2 } });
    expect(await bench.claim(bench.b, 'c4')).toMatchObject({ state: 'none' });
  });
}
