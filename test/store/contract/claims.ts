/** Claims: who gets which token, and who does not. */
import { expect } from 'vitest';
import { type Case, LONG_MS, valueIn } from './bench.ts';

export function describeClaims(test: Case): void {
  test('the pool gives its oldest token first, each to one claim', async (bench) => {
    const tokens = [bench.token(), bench.token(), bench.token()];
    await bench.put(...tokens);
    for (const [at, token] of tokens.entries()) {
      const answer = await bench.claim(at % 2 === 0 ? bench.a : bench.b, `c${at}`);
      expect(answer).toMatchObject({ state: 'held', token, distinct: 1, claim: { id: `c${at}`, deliveries: 1 } });
    }
    expect(await bench.claim(bench.b, 'late')).toMatchObject({ state: 'none' });
  });

  test('the pool has only tokens that came without any correlator, of the kind', async (bench) => {
    const nit = bench.token({ kind: 'nit' });
    // The only correlator of this post was malformed: the token is not in the pool.
    const malformed = { ...bench.token(), pooled: false };
    await bench.put(bench.token({ merchant_data: 'x' }), malformed, nit);
    expect(await bench.claim(bench.a, 'c1', bench.pool('token'))).toEqual({ state: 'none' });
    expect(valueIn(await bench.claim(bench.a, 'c1', bench.pool('nit')))).toBe(nit.value);
    expect(await bench.a.use(bench.merchant, malformed.id)).toBe('done');
  });

  test('a claim with a selector takes the newest under it', async (bench) => {
    const [older, newer] = [bench.token({ merchant_data: 'x' }), bench.token({ merchant_data: 'x' })];
    await bench.put(older, newer);
    const query = bench.by('merchant_data', 'x');
    expect(await bench.claim(bench.b, 'c1', query)).toMatchObject({ state: 'held', token: newer, distinct: 2 });
  });

  test('a claim with a kind takes that kind only', async (bench) => {
    const [seid, nit] = [bench.token({ kind: 'seid', sid: 'x' }), bench.token({ kind: 'nit', sid: 'x' })];
    await bench.put(seid, nit);
    expect(valueIn(await bench.claim(bench.a, 'c1', bench.by('sid', 'x', 'token')))).toBe('none');
    expect(valueIn(await bench.claim(bench.a, 'c1', bench.by('sid', 'x', 'seid')))).toBe(seid.value);
    expect(valueIn(await bench.claim(bench.b, 'c2', bench.by('sid', 'x', 'nit')))).toBe(nit.value);
  });

  test('a claimed token is read with its claim', async (bench) => {
    const token = bench.token({ sid: 'x' });
    await bench.put(token);
    const { claim } = await bench.hold(bench.a, 'c1', bench.by('sid', 'x'));
    const answer = await bench.b.read(bench.by('sid', 'x'));
    expect(answer).toMatchObject({
      state: 'live',
      token,
      claim: { id: 'c1', deliveries: 1, leaseExpiresAt: claim.leaseExpiresAt },
    });
  });

  test('the same claim id gets the same token again, with a fresh lease and deliveries unchanged', async (bench) => {
    const [first, second] = [bench.token(), bench.token()];
    await bench.put(first, second);
    const before = await bench.hold(bench.a, 'c1', bench.pool(), { leaseMs: 20_000 });
    expect(before).toMatchObject({ token: first, claim: { deliveries: 1, renewals: 0 } });
    const again = await bench.hold(bench.b, 'c1', bench.pool(), { leaseMs: 40_000 });
    expect(again).toMatchObject({ token: first, claim: { id: 'c1', deliveries: 1 } });
    expect(again.claim.renewals).toBeGreaterThan(0);
    expect(again.claim.leaseExpiresAt).toBeGreaterThan(before.claim.leaseExpiresAt + 10_000);
    // A fresh lease may be a shorter one.
    const shorter = await bench.hold(bench.a, 'c1', bench.pool(), { leaseMs: 10_000 });
    expect(shorter.claim.leaseExpiresAt).toBeLessThan(again.claim.leaseExpiresAt);
    expect(valueIn(await bench.claim(bench.b, 'c2'))).toBe(second.value);
  });

  test('a claim that holds a token gets that one for any query', async (bench) => {
    const [pooled, other] = [bench.token(), bench.token({ sid: 'x' })];
    await bench.put(pooled, other);
    await bench.hold(bench.a, 'c1');
    expect(valueIn(await bench.claim(bench.b, 'c1', bench.by('sid', 'x')))).toBe(pooled.value);
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ claim: null });
  });

  test('without a query a claim only renews its token', async (bench) => {
    const renewal = { merchant: bench.merchant, leaseMs: LONG_MS, refuseConflict: false };
    const token = bench.token();
    await bench.put(token);
    expect(await bench.a.claim({ ...renewal, claimId: 'c1' })).toEqual({ state: 'none' });
    const before = await bench.hold(bench.a, 'c1', bench.pool(), { leaseMs: 10_000 });
    const renewed = await bench.b.claim({ ...renewal, claimId: 'c1' });
    expect(renewed).toMatchObject({ state: 'held', token, claim: { deliveries: 1 } });
    if (renewed.state === 'held') {
      expect(renewed.claim.leaseExpiresAt).toBeGreaterThan(before.claim.leaseExpiresAt);
    }
  });

  test('a token of another claim is refused, with its holder', async (bench) => {
    await bench.put(bench.token({ sid: 'older' }), bench.token({ sid: 'x' }));
    const { claim } = await bench.hold(bench.a, 'c1', bench.by('sid', 'x'));
    const answer = await bench.claim(bench.b, 'c2', bench.by('sid', 'x'));
    expect(answer).toMatchObject({ state: 'claimed', claim: { id: 'c1', leaseExpiresAt: claim.leaseExpiresAt } });
  });

  test('the selected token is the newest one, even when it is claimed and an older one is free', async (bench) => {
    await bench.put(bench.token({ sid: 'x' }), bench.token({ sid: 'x' }));
    await bench.hold(bench.a, 'c1', bench.by('sid', 'x'));
    expect(valueIn(await bench.claim(bench.b, 'c2', bench.by('sid', 'x')))).toBe('claimed');
  });

  test('a refused conflict takes nothing', async (bench) => {
    const [older, newer] = [bench.token({ sid: 'x' }), bench.token({ sid: 'x' })];
    await bench.put(older, newer);
    const refused = await bench.claim(bench.a, 'c1', bench.by('sid', 'x'), { refuseConflict: true });
    expect(refused).toEqual({ state: 'conflict', distinct: 2 });
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ claim: null, distinct: 2 });
    expect(await bench.a.settle(bench.merchant, 'c1', 'use')).toBe('unknown');
    await bench.a.use(bench.merchant, newer.id);
    const taken = await bench.claim(bench.b, 'c1', bench.by('sid', 'x'), { refuseConflict: true });
    expect(taken).toMatchObject({ state: 'held', token: older, distinct: 1, claim: { deliveries: 1 } });
  });

  test('a used token is not claimed, and the answer is used', async (bench) => {
    const token = bench.token({ sid: 'x' });
    await bench.put(token);
    await bench.a.use(bench.merchant, token.id);
    expect(await bench.claim(bench.b, 'c1', bench.by('sid', 'x'))).toEqual({ state: 'used' });
    expect(await bench.claim(bench.b, 'c1', bench.by('sid', 'x', 'seid'))).toEqual({ state: 'none' });
  });

  test('a claim id takes a new token once its last one is settled', async (bench) => {
    const [first, second, third] = [bench.token(), bench.token(), bench.token()];
    await bench.put(first, second, third);
    await bench.hold(bench.a, 'c1');
    expect(await bench.a.settle(bench.merchant, 'c1', 'use')).toBe('done');
    expect(await bench.hold(bench.b, 'c1')).toMatchObject({ token: second, claim: { deliveries: 1, renewals: 0 } });
    // A settlement now applies to the new token, and the first one stays used.
    expect(await bench.b.settle(bench.merchant, 'c1', 'release')).toBe('done');
    expect(valueIn(await bench.claim(bench.a, 'c2'))).toBe(second.value);
    expect(valueIn(await bench.claim(bench.a, 'c1'))).toBe(third.value);
    expect(await bench.a.settle(bench.merchant, 'c1', 'use')).toBe('done');
    expect(await bench.a.put(first)).toBe('known');
    expect(valueIn(await bench.claim(bench.b, 'c3'))).toBe('none');
  });

  test('a token used by its id leaves the pool', async (bench) => {
    const [first, second] = [bench.token(), bench.token()];
    await bench.put(first, second);
    await bench.a.use(bench.merchant, first.id);
    expect(valueIn(await bench.claim(bench.b, 'c1'))).toBe(second.value);
  });
}
