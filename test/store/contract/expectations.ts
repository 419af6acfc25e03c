/** Expectations: what they admit, and how they end. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { Kind, TokenQuery } from '../../../src/token.ts';
import { topicOf } from '../../../src/token.ts';
import { until } from '../../support/until.ts';
import { type Bench, type Case, LONG_MS, valueIn } from './bench.ts';

const EXPECTED = { accept: 'expected' } as const;

/** Opens an expectation. Returns its id. */
async function open(bench: Bench, query: TokenQuery, kind: Kind, ttlMs = LONG_MS): Promise<string> {
  const id = randomUUID();
  await bench.a.expect({ id, merchant: bench.merchant, kind, topic: topicOf(query), ttlMs });
  return id;
}

export function describeExpectations(test: Case): void {
  describeAdmission(test);
  describeCancelling(test);
}

function describeAdmission(test: Case): void {
  test('an expectation ends after its time, by the clock of the store', async (bench) => {
    const before = Date.now();
    const expectation = { id: randomUUID(), merchant: bench.merchant, kind: 'seid', topic: 'sid=x' } as const;
    const endsAt = await bench.a.expect({ ...expectation, ttlMs: 5000 });
    expect(endsAt).toBeGreaterThanOrEqual(before + 5000 - 50);
    expect(endsAt).toBeLessThanOrEqual(Date.now() + 5000 + 50);
  });

  test('expectations are optional with ACCEPT=any', async (bench) => {
    await open(bench, bench.by('sid', 'x'), 'seid');
    expect(await bench.b.put(bench.token({ kind: 'seid', sid: 'x' }))).toBe('kept');
    expect(await bench.b.put(bench.token({ kind: 'seid', sid: 'x' }))).toBe('kept');
    expect(await bench.b.put(bench.token({ kind: 'seid', sid: 'y' }))).toBe('kept');
  });

  test(
    'an unexpected token is never handed out, even after a later announcement',
    async (bench) => {
      const [token, pooled] = [bench.token({ kind: 'seid', sid: 'x' }), bench.token()];
      expect(await bench.a.put(token)).toBe('unexpected');
      expect(await bench.a.put(pooled)).toBe('unexpected');
      await open(bench, bench.by('sid', 'x'), 'seid');
      await open(bench, bench.pool(), 'token');
      expect(await bench.b.put(token)).toBe('known');
      expect(await bench.b.put(pooled)).toBe('known');
      expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ state: 'none' });
      expect(valueIn(await bench.claim(bench.b, 'c1', bench.by('sid', 'x')))).toBe('none');
      expect(valueIn(await bench.claim(bench.b, 'c1'))).toBe('none');
      expect(await bench.b.use(bench.merchant, token.id)).toBe('unknown');
      await bench.reopen();
      expect(await bench.a.put(token)).toBe('known');
      expect(await bench.a.read(bench.by('sid', 'x'))).toMatchObject({ state: 'none' });
    },
    EXPECTED,
  );

  test(
    'an expectation admits one value, which is handed out',
    async (bench) => {
      await open(bench, bench.by('sid', 'x'), 'seid');
      const [genuine, planted] = [bench.token({ kind: 'seid', sid: 'x' }), bench.token({ kind: 'seid', sid: 'x' })];
      expect(await bench.b.put(genuine)).toBe('kept');
      expect(await bench.b.put(planted)).toBe('unexpected');
      expect(await bench.a.put(genuine)).toBe('known');
      expect(await bench.a.read(bench.by('sid', 'x'))).toMatchObject({ token: genuine, distinct: 1 });
      expect(valueIn(await bench.claim(bench.a, 'c1', bench.by('sid', 'x')))).toBe(genuine.value);
    },
    EXPECTED,
  );

  test(
    'an unexpected token sends no hint: a flood of them wakes no worker',
    async (bench) => {
      const sid = (name: string): TokenQuery => bench.by('sid', name);
      await open(bench, sid('expected'), 'seid');
      const put = (name: string) => bench.a.put(bench.token({ kind: 'seid', sid: name }));
      expect(await Promise.all([put('refused'), put('refused')])).toEqual(['unexpected', 'unexpected']);
      expect(await put('expected')).toBe('kept');
      const told = (): string[] => bench.hints.flat().flatMap(({ topics }) => topics);
      await until('the expected one is announced to all', () =>
        bench.hints.every((heard) => heard.some(({ topics }) => topics.includes('sid=expected'))),
      );
      expect(told()).not.toContain('sid=refused');
    },
    EXPECTED,
  );

  test(
    'an expectation admits one of many concurrent values',
    async (bench) => {
      await open(bench, bench.by('sid', 'x'), 'seid');
      const tokens = Array.from({ length: 20 }, () => bench.token({ kind: 'seid', sid: 'x' }));
      const answers = await Promise.all(tokens.map((token, at) => (at % 2 ? bench.a : bench.b).put(token)));
      expect(answers.filter((answer) => answer === 'kept')).toHaveLength(1);
      expect(await bench.a.read(bench.by('sid', 'x'))).toMatchObject({ distinct: 1 });
    },
    EXPECTED,
  );

  test(
    'two expectations under one topic admit two values, also after a restart',
    async (bench) => {
      await open(bench, bench.by('sid', 'x'), 'seid');
      await open(bench, bench.by('sid', 'x'), 'seid');
      expect(await bench.a.put(bench.token({ kind: 'seid', sid: 'x' }))).toBe('kept');
      await bench.reopen();
      expect(await bench.b.put(bench.token({ kind: 'seid', sid: 'x' }))).toBe('kept');
      expect(await bench.b.put(bench.token({ kind: 'seid', sid: 'x' }))).toBe('unexpected');
    },
    EXPECTED,
  );

  test(
    'only the expected kind, merchant and correlator are admitted',
    async (bench) => {
      await open(bench, bench.by('sid', 'x'), 'seid');
      expect(await bench.a.put(bench.token({ kind: 'nit', sid: 'x' }))).toBe('unexpected');
      expect(await bench.a.put(bench.token({ kind: 'seid', merchant_data: 'x' }))).toBe('unexpected');
      expect(await bench.a.put(bench.token({ kind: 'seid', sid: 'x', merchant: bench.stranger }))).toBe('unexpected');
      // Any of its correlators may be the expected one.
      expect(await bench.a.put(bench.token({ kind: 'seid', sid: 'x', order_id: 'y' }))).toBe('kept');
    },
    EXPECTED,
  );

  test(
    'a cancelled or ended expectation admits nothing',
    async (bench) => {
      const cancelled = await open(bench, bench.by('sid', 'x'), 'seid');
      expect(await bench.b.cancel(bench.merchant, cancelled)).toBe('done');
      expect(await bench.a.put(bench.token({ kind: 'seid', sid: 'x' }))).toBe('unexpected');
      const over = await open(bench, bench.by('sid', 'y'), 'seid', 200);
      await until('it is over', async () => (await bench.b.cancel(bench.merchant, over)) === 'unknown' || undefined);
      expect(await bench.a.put(bench.token({ kind: 'seid', sid: 'y' }))).toBe('unexpected');
    },
    EXPECTED,
  );

  test(
    'a place in the pool admits one token without correlator, of its kind',
    async (bench) => {
      await open(bench, bench.pool(), 'token');
      await open(bench, bench.pool(), 'token');
      const [first, second, third] = [bench.token(), bench.token(), bench.token()];
      expect(await bench.a.put(bench.token({ kind: 'nit' }))).toBe('unexpected');
      expect(await bench.a.put(bench.token({ sid: 'x' }))).toBe('unexpected');
      expect(await bench.a.put({ ...bench.token(), pooled: false })).toBe('unexpected');
      expect([await bench.a.put(first), await bench.b.put(second), await bench.a.put(third)]).toEqual([
        'kept',
        'kept',
        'unexpected',
      ]);
      expect(valueIn(await bench.claim(bench.b, 'c1'))).toBe(first.value);
      expect(valueIn(await bench.claim(bench.b, 'c2'))).toBe(second.value);
      expect(valueIn(await bench.claim(bench.b, 'c3'))).toBe('none');
    },
    EXPECTED,
  );

  test(
    'a limited number of unexpected tokens is kept, and the oldest are evicted',
    async (bench) => {
      const tokens = Array.from({ length: 5 }, (_, at) => bench.token({ sid: `x${at}` }));
      for (const token of tokens) expect(await bench.a.put(token)).toBe('unexpected');
      const [first, , third, , fifth] = tokens;
      if (!first || !third || !fifth) throw new Error('unreachable');
      expect(await bench.b.put(fifth)).toBe('known');
      expect(await bench.b.put(third)).toBe('known');
      expect(await bench.b.put(first)).toBe('unexpected');
    },
    { ...EXPECTED, maxUnexpected: 3 },
  );
}

function describeCancelling(test: Case): void {
  test('reads and claims answer cancelled after a cancellation, with a kind and without', async (bench) => {
    const id = await open(bench, bench.by('sid', 'x'), 'seid');
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ state: 'none' });
    expect(await bench.b.cancel(bench.merchant, id)).toBe('done');
    expect(await bench.b.cancel(bench.merchant, id)).toBe('done');
    for (const query of [bench.by('sid', 'x'), bench.by('sid', 'x', 'seid')]) {
      expect(await bench.a.read(query)).toMatchObject({ state: 'cancelled' });
      expect(await bench.claim(bench.b, 'c1', query)).toEqual({ state: 'cancelled' });
    }
    expect(await bench.a.read(bench.by('sid', 'x', 'nit'))).toMatchObject({ state: 'none' });
    expect(await bench.a.read(bench.by('sid', 'y'))).toMatchObject({ state: 'none' });
    expect(await bench.a.read(bench.by('merchant_data', 'x'))).toMatchObject({ state: 'none' });
    expect(await bench.a.read({ ...bench.by('sid', 'x'), merchant: bench.stranger })).toMatchObject({ state: 'none' });
    await bench.reopen();
    expect(await bench.a.read(bench.by('sid', 'x'))).toMatchObject({ state: 'cancelled' });
  });

  test('only open expectations of the same merchant can be cancelled', async (bench) => {
    const id = await open(bench, bench.by('sid', 'x'), 'seid');
    expect(await bench.b.cancel(bench.merchant, randomUUID())).toBe('unknown');
    expect(await bench.b.cancel(bench.stranger, id)).toBe('unknown');
    expect(await bench.a.read(bench.by('sid', 'x'))).toMatchObject({ state: 'none' });
  });

  test('a live token is handed out after a cancellation; cancelled has priority over used', async (bench) => {
    const token = bench.token({ kind: 'seid', sid: 'x' });
    const id = await open(bench, bench.by('sid', 'x'), 'seid');
    await bench.put(token);
    await bench.a.cancel(bench.merchant, id);
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ state: 'live', token });
    expect(valueIn(await bench.claim(bench.b, 'c1', bench.by('sid', 'x')))).toBe(token.value);
    await bench.a.settle(bench.merchant, 'c1', 'use');
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ state: 'cancelled' });
    expect(await bench.claim(bench.b, 'c2', bench.by('sid', 'x'))).toEqual({ state: 'cancelled' });
  });

  test('the newest expectation decides', async (bench) => {
    const query = bench.by('sid', 'x');
    const first = await open(bench, query, 'seid');
    await bench.a.cancel(bench.merchant, first);
    const second = await open(bench, query, 'seid');
    expect(await bench.b.read(query)).toMatchObject({ state: 'none' });
    const third = await open(bench, query, 'seid');
    await bench.a.cancel(bench.merchant, second);
    expect(await bench.b.read(query)).toMatchObject({ state: 'none' });
    await bench.a.cancel(bench.merchant, third);
    expect(await bench.b.read(query)).toMatchObject({ state: 'cancelled' });
    await bench.reopen();
    await open(bench, query, 'nit');
    // Without a kind, the newest expectation of all kinds decides.
    expect(await bench.b.read(query)).toMatchObject({ state: 'none' });
    expect(await bench.b.read(bench.by('sid', 'x', 'nit'))).toMatchObject({ state: 'none' });
    expect(await bench.b.read(bench.by('sid', 'x', 'seid'))).toMatchObject({ state: 'cancelled' });
  });

  test('a cancellation ends with its expectation', async (bench) => {
    const id = await open(bench, bench.by('sid', 'x'), 'seid', 300);
    await bench.a.cancel(bench.merchant, id);
    await until('it is over', async () => (await bench.b.read(bench.by('sid', 'x'))).state === 'none');
    expect(await bench.b.cancel(bench.merchant, id)).toBe('unknown');
  });

  test('a cancelled place in the pool takes no token from the others', async (bench) => {
    await open(bench, bench.pool(), 'token');
    const cancelled = await open(bench, bench.pool(), 'token');
    expect(await bench.b.cancel(bench.merchant, cancelled)).toBe('done');
    const token = bench.token();
    await bench.put(token);
    expect(valueIn(await bench.claim(bench.b, 'c1'))).toBe(token.value);
  });
}
