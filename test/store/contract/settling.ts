/** How claims end: use, release, a lost lease, and the undo of a claim that reached nobody. */
import { expect } from 'vitest';
import { scaled } from '../../support/time-scale.ts';
import { until } from '../../support/until.ts';
import { type Bench, type Case, LONG_MS, valueIn } from './bench.ts';

const SHORT_MS = scaled(250);

/** A token under `sid` x whose lease of `c1` is over. */
async function leaseOver(bench: Bench, claimId = 'c1'): Promise<void> {
  await bench.hold(bench.a, claimId, bench.by('sid', 'x'), { leaseMs: SHORT_MS });
  await until('the lease ends', async () => {
    const read = await bench.a.read(bench.by('sid', 'x'));
    return read.state === 'live' && read.claim === null;
  });
}

export function describeSettling(test: Case): void {
  test('use: the token stays used, and the same use again is done', async (bench) => {
    const [token, pooled] = [bench.token({ sid: 'x' }), bench.token()];
    await bench.put(token, pooled);
    await bench.hold(bench.a, 'c1', bench.by('sid', 'x'));
    await bench.hold(bench.a, 'c2');
    for (const store of [bench.b, bench.b, bench.a]) {
      expect(await store.settle(bench.merchant, 'c1', 'use')).toBe('done');
      expect(await store.settle(bench.merchant, 'c2', 'use')).toBe('done');
    }
    expect(await bench.a.read(bench.by('sid', 'x'))).toMatchObject({ state: 'used' });
    expect(await bench.claim(bench.a, 'c3', bench.by('sid', 'x'))).toEqual({ state: 'used' });
    expect(await bench.claim(bench.a, 'c3')).toEqual({ state: 'none' });
  });

  test('release: the token is free at once, and the same release again is done', async (bench) => {
    const token = bench.token();
    await bench.put(token);
    await bench.hold(bench.a, 'c1');
    expect(await bench.b.settle(bench.merchant, 'c1', 'release')).toBe('done');
    expect(await bench.b.settle(bench.merchant, 'c1', 'release')).toBe('done');
    expect(await bench.hold(bench.b, 'c2')).toMatchObject({ token, claim: { id: 'c2', deliveries: 2 } });
    // Still done, and the new holder keeps its token.
    expect(await bench.b.settle(bench.merchant, 'c1', 'release')).toBe('done');
    expect(await bench.claim(bench.a, 'c3')).toMatchObject({ state: 'none' });
  });

  test('a released token returns to its place in the pool', async (bench) => {
    const [first, second] = [bench.token(), bench.token()];
    await bench.put(first, second);
    await bench.hold(bench.a, 'c1');
    await bench.a.settle(bench.merchant, 'c1', 'release');
    expect(valueIn(await bench.claim(bench.b, 'c2'))).toBe(first.value);
    expect(valueIn(await bench.claim(bench.b, 'c3'))).toBe(second.value);
  });

  test('use after a release is lease_lost, and release after a use is used', async (bench) => {
    await bench.put(bench.token(), bench.token({ sid: 'x' }));
    await bench.hold(bench.a, 'c1');
    await bench.hold(bench.a, 'c2', bench.by('sid', 'x'));
    await bench.a.settle(bench.merchant, 'c1', 'release');
    expect(await bench.b.settle(bench.merchant, 'c1', 'use')).toBe('lease_lost');
    await bench.a.settle(bench.merchant, 'c2', 'use');
    expect(await bench.b.settle(bench.merchant, 'c2', 'release')).toBe('used');
  });

  test('a claim that took its released token again can use it', async (bench) => {
    await bench.put(bench.token());
    await bench.hold(bench.a, 'c1');
    await bench.a.settle(bench.merchant, 'c1', 'release');
    expect(await bench.hold(bench.b, 'c1')).toMatchObject({ claim: { deliveries: 2, renewals: 0 } });
    expect(await bench.b.settle(bench.merchant, 'c1', 'use')).toBe('done');
  });

  test('use is done after the lease if nobody took the token', async (bench) => {
    await bench.put(bench.token({ sid: 'x' }));
    await leaseOver(bench);
    expect(await bench.b.settle(bench.merchant, 'c1', 'use')).toBe('done');
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ state: 'used' });
  });

  test('release is done after the lease if nobody took the token', async (bench) => {
    const token = bench.token({ sid: 'x' });
    await bench.put(token);
    await leaseOver(bench);
    expect(await bench.b.settle(bench.merchant, 'c1', 'release')).toBe('done');
    expect(await bench.b.settle(bench.merchant, 'c1', 'use')).toBe('lease_lost');
    expect(await bench.hold(bench.a, 'c2', bench.by('sid', 'x'))).toMatchObject({ token, claim: { deliveries: 2 } });
  });

  test('a lease that is lost to another claim stays lost after that one ended, released or used it', async (bench) => {
    const token = bench.token({ sid: 'x' });
    await bench.put(token);
    const lost = async (): Promise<void> => {
      expect(await bench.b.settle(bench.merchant, 'c1', 'use')).toBe('lease_lost');
      expect(await bench.b.settle(bench.merchant, 'c1', 'release')).not.toBe('done');
    };
    await leaseOver(bench, 'c1');
    await leaseOver(bench, 'c2');
    await lost();
    await bench.hold(bench.a, 'c3', bench.by('sid', 'x'));
    await lost();
    expect(await bench.a.settle(bench.merchant, 'c3', 'release')).toBe('done');
    await lost();
    expect(await bench.hold(bench.b, 'c4', bench.by('sid', 'x'))).toMatchObject({ token, claim: { deliveries: 4 } });
    expect(await bench.a.settle(bench.merchant, 'c4', 'use')).toBe('done');
    await lost();
    expect(await bench.b.settle(bench.merchant, 'c2', 'use')).toBe('lease_lost');
  });

  test('a claim that lost its token can take another, and settle that one', async (bench) => {
    const [first, second] = [bench.token({ sid: 'x' }), bench.token({ sid: 'y' })];
    await bench.put(first, second);
    await leaseOver(bench);
    await bench.hold(bench.a, 'c2', bench.by('sid', 'x'));
    expect(valueIn(await bench.claim(bench.b, 'c1', bench.by('sid', 'y')))).toBe(second.value);
    expect(await bench.b.settle(bench.merchant, 'c1', 'use')).toBe('done');
    expect(await bench.a.read(bench.by('sid', 'y'))).toMatchObject({ state: 'used' });
    expect(await bench.a.read(bench.by('sid', 'x'))).toMatchObject({ state: 'live', claim: { id: 'c2' } });
  });

  test('a claim that never existed is unknown', async (bench) => {
    await bench.put(bench.token());
    await bench.hold(bench.a, 'c1');
    for (const how of ['use', 'release'] as const) {
      expect(await bench.b.settle(bench.merchant, 'c2', how)).toBe('unknown');
      expect(await bench.b.settle(bench.stranger, 'c1', how)).toBe('unknown');
    }
  });

  test('a token used by its id is used for its holder', async (bench) => {
    const token = bench.token();
    await bench.put(token);
    await bench.hold(bench.a, 'c1');
    expect(await bench.b.use(bench.merchant, token.id)).toBe('done');
    expect(await bench.a.settle(bench.merchant, 'c1', 'release')).toBe('used');
    expect(await bench.a.settle(bench.merchant, 'c1', 'use')).toBe('done');
    expect(await bench.claim(bench.a, 'c1')).toEqual({ state: 'none' });
  });

  test('undo puts a token back as if it had not been taken', async (bench) => {
    const [first, second] = [bench.token(), bench.token({ sid: 'x' })];
    await bench.put(first, second);
    await bench.a.undo(bench.merchant, (await bench.hold(bench.a, 'c1')).claim);
    await bench.b.undo(bench.merchant, (await bench.hold(bench.a, 'c2', bench.by('sid', 'x'))).claim);
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ state: 'live', claim: null });
    expect(await bench.hold(bench.b, 'c3')).toMatchObject({ token: first, claim: { deliveries: 1 } });
    expect(await bench.hold(bench.b, 'c4', bench.by('sid', 'x'))).toMatchObject({ claim: { deliveries: 1 } });
  });

  test('undo twice is undo once', async (bench) => {
    const token = bench.token();
    await bench.put(token);
    const { claim } = await bench.hold(bench.a, 'c1');
    await bench.a.undo(bench.merchant, claim);
    await bench.b.undo(bench.merchant, claim);
    expect(await bench.hold(bench.a, 'c2')).toMatchObject({ token, claim: { deliveries: 1 } });
    await bench.b.undo(bench.merchant, claim);
    expect(await bench.claim(bench.b, 'c3')).toMatchObject({ state: 'none' });
  });

  test('undo changes nothing after a renewal, use, release or new claim', async (bench) => {
    const tokens = ['renewed', 'used', 'back', 'again'].map((sid) => bench.token({ sid }));
    await bench.put(...tokens);
    const take = async (sid: string) => (await bench.hold(bench.a, sid, bench.by('sid', sid))).claim;
    const [renewed, used, back, again] = [
      await take('renewed'),
      await take('used'),
      await take('back'),
      await take('again'),
    ];
    const renewal = (await bench.hold(bench.b, 'renewed')).claim;
    await bench.a.settle(bench.merchant, 'used', 'use');
    await bench.a.settle(bench.merchant, 'back', 'release');
    await bench.a.settle(bench.merchant, 'again', 'release');
    await bench.hold(bench.b, 'again', bench.by('sid', 'again'), { leaseMs: LONG_MS });
    for (const claim of [renewed, used, back, again]) await bench.b.undo(bench.merchant, claim);

    const claimOf = async (sid: string) => bench.a.read(bench.by('sid', sid));
    expect(await claimOf('renewed')).toMatchObject({ claim: { id: 'renewed', deliveries: 1 } });
    expect(await claimOf('used')).toMatchObject({ state: 'used' });
    expect(await claimOf('back')).toMatchObject({ state: 'live', claim: null });
    expect(await bench.hold(bench.a, 'next', bench.by('sid', 'back'))).toMatchObject({ claim: { deliveries: 2 } });
    expect(await claimOf('again')).toMatchObject({ claim: { id: 'again', deliveries: 2 } });

    // The caller knows that nobody received any of them.
    await bench.b.undo(bench.merchant, renewal);
    expect(await bench.hold(bench.a, 'last', bench.by('sid', 'renewed'))).toMatchObject({ claim: { deliveries: 1 } });
  });
}
