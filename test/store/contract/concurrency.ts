/**
 * Concurrent operations at several stores over the same data: a token never has two holders, and a
 * used one is never handed out again.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'vitest';
import type { TokenStore } from '../../../src/store/contract.ts';
import type { NewToken } from '../../../src/token.ts';
import { Random } from '../../support/random.ts';
import { until } from '../../support/until.ts';
import { type Bench, type Case, LONG_MS, valueIn } from './bench.ts';
import { Oracle } from './oracle.ts';

const SEEDS = [1, 2, 3, 4, 5, 6];
const ACTORS = 8;
const STEPS = 60;

export function describeConcurrency(test: Case): void {
  const storeFor = ({ stores }: Bench, at: number): TokenStore => stores[at % stores.length] as TokenStore;

  test('60 claimers take 60 pool tokens, none twice', async (bench) => {
    const tokens = Array.from({ length: 60 }, () => bench.token());
    await Promise.all(tokens.map((token, at) => storeFor(bench, at).put(token)));
    const answers = await Promise.all(tokens.map((_, at) => bench.claim(storeFor(bench, at + 1), `c${at}`)));
    expect(new Set(answers.map(valueIn))).toEqual(new Set(tokens.map(({ value }) => value)));
    expect(valueIn(await bench.claim(bench.b, 'late'))).toBe('none');
  });

  test('60 claimers take 60 pool tokens during their arrival, none twice', async (bench) => {
    const tokens = Array.from({ length: 60 }, () => bench.token());
    const claimer = (_: NewToken, at: number) =>
      until(`c${at} gets a token`, async () => {
        const value = valueIn(await bench.claim(storeFor(bench, at), `c${at}`));
        return value !== 'none' && value;
      });
    const [values] = await Promise.all([
      Promise.all(tokens.map(claimer)),
      Promise.all(tokens.map((token, at) => storeFor(bench, at + 1).put(token))),
    ]);
    expect(new Set(values)).toEqual(new Set(tokens.map(({ value }) => value)));
  });

  test('one of 60 claims holds one token, and the others get its holder', async (bench) => {
    const token = bench.token({ sid: 'x' });
    await bench.put(token);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, at) => bench.claim(storeFor(bench, at), `c${at}`, bench.by('sid', 'x'))),
    );
    const holders = answers.flatMap((answer) => (answer.state === 'held' ? [answer.claim.id] : []));
    expect(holders).toHaveLength(1);
    for (const answer of answers) {
      if (answer.state !== 'held') expect(answer).toMatchObject({ state: 'claimed', claim: { id: holders[0] } });
    }
  });

  test('concurrent claims with one id take one token', async (bench) => {
    await bench.put(bench.token(), bench.token(), bench.token());
    const answers = await Promise.all(Array.from({ length: 30 }, (_, at) => bench.claim(storeFor(bench, at), 'c1')));
    expect(new Set(answers.map(valueIn)).size).toBe(1);
    expect(answers.every((answer) => answer.state === 'held' && answer.claim.deliveries === 1)).toBe(true);
  });

  test('the pool serves concurrent claims in order, its oldest token first', async (bench) => {
    const tokens = Array.from({ length: 40 }, () => bench.token());
    await bench.put(...tokens);
    const answers = await Promise.all(tokens.map((_, at) => bench.claim(bench.a, `c${at}`)));
    expect(answers.map(valueIn)).toEqual(tokens.map(({ value }) => value));
  });

  test('concurrent claims get the same answers as consecutive ones', async (bench) => {
    const [older, oldest, other, single] = [
      bench.token(),
      bench.token(),
      bench.token({ sid: 'x' }),
      bench.token({ sid: 'y' }),
    ];
    const used = bench.token({ sid: 'used' });
    await bench.put(oldest, older, other, single, bench.token({ sid: 'two' }), bench.token({ sid: 'two' }), used);
    await bench.hold(bench.a, 'holder');
    await bench.hold(bench.a, 'other', bench.by('sid', 'x'));
    await bench.a.use(bench.merchant, used.id);
    const renewal = { merchant: bench.merchant, leaseMs: 2 * LONG_MS, refuseConflict: false };
    const answers = await Promise.all([
      bench.a.claim({ ...renewal, claimId: 'nobody' }),
      bench.claim(bench.a, 'c1'),
      bench.a.claim({ ...renewal, claimId: 'holder' }),
      bench.claim(bench.a, 'c2', bench.by('sid', 'x')),
      bench.claim(bench.a, 'c3', bench.by('sid', 'y')),
      bench.claim(bench.a, 'c4', bench.by('sid', 'two'), { refuseConflict: true }),
      bench.claim(bench.a, 'c5', bench.by('sid', 'used')),
      bench.claim(bench.a, 'c6', bench.by('sid', 'unknown')),
      bench.claim(bench.a, 'c7'),
      bench.claim(bench.a, 'c8', bench.pool('nit')),
      bench.claim(bench.a, 'holder', bench.by('sid', 'y')),
      bench.claim(bench.a, 'c1', bench.pool('nit')),
    ]);
    expect(answers).toMatchObject([
      { state: 'none' },
      { state: 'held', token: older, claim: { id: 'c1', deliveries: 1, renewals: 0 } },
      { state: 'held', token: oldest, claim: { id: 'holder', deliveries: 1, renewals: 1 } },
      { state: 'claimed', claim: { id: 'other' } },
      { state: 'held', token: single, claim: { id: 'c3', deliveries: 1 } },
      { state: 'conflict', distinct: 2 },
      { state: 'used' },
      { state: 'none' },
      { state: 'none', retryInMs: expect.closeTo(LONG_MS, -4) },
      { state: 'none' },
      { state: 'held', token: oldest, claim: { id: 'holder', deliveries: 1, renewals: 2 } },
      { state: 'held', token: older, claim: { id: 'c1', deliveries: 1, renewals: 1 } },
    ]);
    expect(await bench.b.read(bench.by('sid', 'two'))).toMatchObject({ state: 'live', claim: null });
  });

  test('a claim id with concurrent requests for different tokens takes the first one', async (bench) => {
    const [pooled, other] = [bench.token(), bench.token({ sid: 'x' })];
    await bench.put(pooled, other);
    const answers = await Promise.all([
      bench.claim(bench.a, 'c1'),
      bench.claim(bench.a, 'c1', bench.by('sid', 'x')),
      bench.claim(bench.a, 'c2', bench.by('sid', 'x')),
    ]);
    expect(answers).toMatchObject([
      { state: 'held', token: pooled, claim: { deliveries: 1, renewals: 0 } },
      { state: 'held', token: pooled, claim: { deliveries: 1, renewals: 1 } },
      { state: 'held', token: other, claim: { id: 'c2', deliveries: 1 } },
    ]);
    // The renewed lease counts: nobody gets the token before it ends.
    expect(await bench.claim(bench.b, 'c3')).toMatchObject({ state: 'none' });
  });

  test('concurrent settles get the same answers as consecutive ones', async (bench) => {
    const [first, second, third] = [bench.token(), bench.token(), bench.token({ sid: 'x' })];
    await bench.put(first, second, third);
    await bench.hold(bench.a, 'c1');
    await bench.hold(bench.a, 'c2');
    await bench.hold(bench.a, 'c3', bench.by('sid', 'x'));
    const settles = [
      ['c1', 'use'],
      ['nobody', 'use'],
      ['c2', 'release'],
      ['c1', 'use'],
      ['c1', 'release'],
      ['c3', 'use'],
      ['c2', 'use'],
      ['c2', 'release'],
    ] as const;
    const answers = await Promise.all(settles.map(([id, how]) => bench.a.settle(bench.merchant, id, how)));
    expect(answers).toEqual(['done', 'unknown', 'done', 'done', 'used', 'done', 'lease_lost', 'done']);
    expect(valueIn(await bench.b.read(bench.by('sid', 'x')))).toBe('used');
    expect(valueIn(await bench.claim(bench.b, 'c4'))).toBe(second.value);
    expect(await bench.claim(bench.b, 'c5')).toMatchObject({ state: 'none' });
  });

  test('one of a concurrent use and release wins, and the token has that state', async (bench) => {
    for (let round = 0; round < 20; round++) {
      const [claimId, sid] = [`c${round}`, `x${round}`];
      await bench.put(bench.token({ sid }));
      await bench.hold(bench.a, claimId, bench.by('sid', sid));
      const answers = await Promise.all([
        bench.a.settle(bench.merchant, claimId, 'use'),
        bench.b.settle(bench.merchant, claimId, 'release'),
      ]);
      const { state } = await bench.a.read(bench.by('sid', sid));
      expect([...answers, state]).toEqual(state === 'used' ? ['done', 'used', 'used'] : ['lease_lost', 'done', 'live']);
    }
  });

  for (const seed of SEEDS) {
    test(`under random interleavings no token has two holders, seed ${seed}`, async (bench) => {
      const oracle = new Oracle();
      const tokens: NewToken[] = [];
      await Promise.all(
        Array.from({ length: ACTORS }, (_, at) => act(bench, oracle, tokens, at, new Random(seed * 1000 + at))),
      );
      oracle.check();
      expect(oracle.violations, `notices: ${bench.notices.join(', ')}`).toEqual([]);
      // A history with few operations proves little.
      expect(oracle.holds.length).toBeGreaterThan(ACTORS);
    });
  }
}

/** One of several actors with random operations on few tokens. */
async function act(bench: Bench, oracle: Oracle, tokens: NewToken[], at: number, random: Random): Promise<void> {
  const merchant = bench.merchant;
  for (let step = 0; step < STEPS; step++) {
    const store = random.pick(bench.stores);
    // Sometimes two actors use one claim id.
    const claimId = `c${random.below(10) === 0 ? random.below(ACTORS) : at}`;
    const query = random.pick(['pool', 'pool', 'x', 'y']);
    const what = random.below(100);
    if (what < 15) {
      const token = bench.token(query === 'pool' ? {} : { sid: query });
      tokens.push(token);
      await store.put(token);
    } else if (what < 20 && tokens.length > 0) {
      await store.put(random.pick(tokens));
    } else if (what < 60) {
      const leaseMs = random.pick([3, 10, 30, 60_000]);
      const given = query === 'pool' ? bench.pool() : bench.by('sid', query);
      const answer = await oracle.claim(claimId, leaseMs, query, () => bench.claim(store, claimId, given, { leaseMs }));
      if (answer.state === 'held' && random.below(5) === 0) {
        await oracle.settle(claimId, 'undo', async () => {
          await random.pick(bench.stores).undo(merchant, answer.claim);
          return 'done';
        });
      }
    } else if (what < 80) {
      const how = random.pick(['use', 'release'] as const);
      await oracle.settle(claimId, how, () => store.settle(merchant, claimId, how));
    } else if (what < 90) {
      await oracle.read(() => store.read(bench.by('sid', random.pick(['x', 'y']))));
    } else {
      await delay(random.below(8));
    }
  }
}
