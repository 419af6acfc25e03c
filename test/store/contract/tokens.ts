/** Tokens: put, read, used. */
import { expect } from 'vitest';
import { CORRELATORS, tokenId } from '../../../src/token.ts';
import { type Case, TTL_MS, valueIn } from './bench.ts';

export function describeTokens(test: Case): void {
  test('a token is kept once, and then known at every instance', async (bench) => {
    const token = bench.token({ merchant_data: 'x' });
    expect(await bench.a.put(token)).toBe('kept');
    expect(await bench.a.put(token)).toBe('known');
    expect(await bench.b.put(token)).toBe('known');
  });

  test('exactly one of many concurrent puts of a token is kept', async (bench) => {
    const token = bench.token({ merchant_data: 'x' });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? bench.a : bench.b).put(token)),
    );
    expect(answers.filter((answer) => answer === 'kept')).toHaveLength(1);
    expect(answers.filter((answer) => answer === 'known')).toHaveLength(19);
    expect(await bench.b.read(bench.by('merchant_data', 'x'))).toMatchObject({ state: 'live', distinct: 1 });
  });

  test('answers each token of a concurrent batch separately and keeps pool order', async (bench) => {
    const known = Array.from({ length: 10 }, () => bench.token());
    await bench.put(...known);
    const fresh = Array.from({ length: 60 }, (_, at) => bench.token(at % 3 === 2 ? { sid: `x${at}` } : {}));
    // Known ones among them, and some twice.
    const all = fresh.flatMap((token, at) => [token, ...(at % 6 === 0 ? [known[at / 6] ?? token, token] : [])]);
    const answers = await Promise.all(all.map((token) => bench.a.put(token)));
    const expected = all.map((token, at) => (fresh.includes(token) && all.indexOf(token) === at ? 'kept' : 'known'));
    expect(answers).toEqual(expected);
    const pooled = [...known, ...fresh.filter((token) => token.pooled)];
    const given: string[] = [];
    for (const [at] of pooled.entries()) given.push(valueIn(await bench.claim(bench.b, `c${at}`)));
    expect(given).toEqual(pooled.map(({ value }) => value));
    for (const {
      correlators: { sid = '' },
      value,
    } of fresh.filter((token) => !token.pooled))
      expect(await bench.b.read(bench.by('sid', sid))).toMatchObject({ state: 'live', token: { value }, distinct: 1 });
  });

  test('a known token keeps its times and correlators', async (bench) => {
    const token = bench.token({ merchant_data: 'first' });
    await bench.put(token);
    const before = await bench.a.read(bench.by('merchant_data', 'first'));
    expect(await bench.b.put({ ...token, correlators: { merchant_data: 'second' } })).toBe('known');
    expect(await bench.b.put({ ...token, correlators: {}, pooled: true })).toBe('known');
    expect(await bench.b.read(bench.by('merchant_data', 'first'))).toEqual(before);
    expect(await bench.b.read(bench.by('merchant_data', 'second'))).toMatchObject({ state: 'none' });
    expect(valueIn(await bench.claim(bench.b, 'c1'))).toBe('none');
  });

  test('a used token that is put again is known and stays used', async (bench) => {
    const [token, pooled] = [bench.token({ sid: 'x' }), bench.token()];
    await bench.put(token, pooled);
    expect(await bench.a.use(bench.merchant, token.id)).toBe('done');
    expect(await bench.a.use(bench.merchant, pooled.id)).toBe('done');
    expect(await bench.b.put(token)).toBe('known');
    expect(await bench.b.put(pooled)).toBe('known');
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ state: 'used' });
    expect(await bench.claim(bench.b, 'c1', bench.by('sid', 'x'))).toMatchObject({ state: 'used' });
    expect(valueIn(await bench.claim(bench.b, 'c1'))).toBe('none');
  });

  test('a token is read as it was put, with its id, its times and no claim', async (bench) => {
    const token = bench.token({ kind: 'seid', merchant_data: 'a', sid: 'b', merchant_usn: 'c', order_id: 'd' });
    const before = Date.now();
    await bench.put(token);
    const answer = await bench.b.read(bench.by('order_id', 'd'));
    expect(answer).toMatchObject({ state: 'live', token, distinct: 1, claim: null });
    if (answer.state !== 'live') return;
    expect(answer.token.id).toBe(tokenId(bench.merchant, 'seid', token.value));
    expect(answer.token.expiresAt - answer.token.receivedAt).toBe(TTL_MS);
    // A store in this process follows the wall clock only after a step of a second.
    expect(answer.token.receivedAt).toBeGreaterThanOrEqual(before - 1000);
    expect(answer.token.receivedAt).toBeLessThanOrEqual(Date.now() + 1000);
  });

  test('an id depends on merchant, kind and value only', async (bench) => {
    const { merchant, stranger } = bench;
    expect(tokenId(merchant, 'nit', 'v')).toBe(tokenId(merchant, 'nit', 'v'));
    expect(
      new Set([tokenId(merchant, 'nit', 'v'), tokenId(merchant, 'seid', 'v'), tokenId(stranger, 'nit', 'v')]).size,
    ).toBe(3);
  });

  test('a token is found under each of its correlators, and used under all of them', async (bench) => {
    const token = bench.token({ merchant_data: '1', sid: '2', merchant_usn: '3', order_id: '4' });
    await bench.put(token);
    const leads = CORRELATORS.map((by, at) => bench.by(by, String(at + 1)));
    for (const query of leads) expect(valueIn(await bench.b.read(query))).toBe(token.value);
    expect(await bench.a.use(bench.merchant, token.id)).toBe('done');
    for (const query of leads) expect(await bench.b.read(query)).toMatchObject({ state: 'used' });
  });

  test('correlators of odd characters never meet', async (bench) => {
    const names = ['a=b', 'a', '=a', '*', 'x:y', '{z}', "it's", '"q"', 'é✓', '€'.repeat(64), ' ', '%00', '\\n', 'A'];
    const tokens = new Map(names.map((name) => [name, bench.token({ merchant_data: name })]));
    await bench.put(...tokens.values());
    for (const [name, { value }] of tokens) {
      expect(await bench.b.read(bench.by('merchant_data', name))).toMatchObject({ distinct: 1, token: { value } });
      expect(await bench.b.read(bench.by('sid', name))).toMatchObject({ state: 'none' });
      expect(await bench.b.read(bench.by('merchant_data', `${name} `))).toMatchObject({ state: 'none' });
    }
  });

  test('tokens of different merchants never meet', async (bench) => {
    const { merchant, stranger } = bench;
    const value = bench.value();
    const [mine, theirs] = [merchant, stranger].map((of) => bench.token({ merchant: of, value, sid: 'x' }));
    const [myPooled, theirPooled] = [merchant, stranger].map((of) =>
      bench.token({ merchant: of, value: bench.value() }),
    );
    if (!mine || !theirs || !myPooled || !theirPooled) throw new Error('unreachable');
    await bench.put(mine, theirs, myPooled, theirPooled);
    expect(await bench.a.use(merchant, theirs.id)).toBe('unknown');
    expect(await bench.a.use(merchant, mine.id)).toBe('done');
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ state: 'used' });
    expect(await bench.b.read({ merchant: stranger, by: 'sid', is: 'x' })).toMatchObject({
      token: theirs,
      distinct: 1,
    });
    // One claim id may be chosen at two merchants.
    expect(valueIn(await bench.claim(bench.a, 'c1'))).toBe(myPooled.value);
    const theirPool = { merchant: stranger, by: 'pool', kind: 'token' } as const;
    expect(valueIn(await bench.claim(bench.a, 'c1', theirPool, { merchant: stranger }))).toBe(theirPooled.value);
    expect(await bench.a.settle(stranger, 'c1', 'use')).toBe('done');
    expect(await bench.claim(bench.b, 'c1')).toMatchObject({ state: 'held', claim: { deliveries: 1 } });
  });

  test('a read answers the newest and the number of different ones', async (bench) => {
    const tokens = Array.from({ length: 5 }, () => bench.token({ merchant_data: 'x' }));
    for (const [at, token] of tokens.entries()) {
      await bench.put(token);
      expect(await bench.b.read(bench.by('merchant_data', 'x'))).toMatchObject({ token, distinct: at + 1 });
    }
  });

  test('a read answers the previous token once the newest is used, and used when all are', async (bench) => {
    const [older, newer] = [bench.token({ sid: 'x' }), bench.token({ sid: 'x' })];
    await bench.put(older, newer);
    expect(await bench.a.use(bench.merchant, newer.id)).toBe('done');
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ token: older, distinct: 1 });
    expect(await bench.a.use(bench.merchant, older.id)).toBe('done');
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ state: 'used' });
  });

  test('a kind limits what is found, counted and used', async (bench) => {
    const [seid, nit] = [bench.token({ kind: 'seid', sid: 'x' }), bench.token({ kind: 'nit', sid: 'x' })];
    await bench.put(seid, nit);
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ token: nit, distinct: 2 });
    expect(await bench.b.read(bench.by('sid', 'x', 'seid'))).toMatchObject({ token: seid, distinct: 1 });
    expect(await bench.b.read(bench.by('sid', 'x', 'token'))).toMatchObject({ state: 'none' });
    expect(await bench.a.use(bench.merchant, nit.id)).toBe('done');
    expect(await bench.b.read(bench.by('sid', 'x', 'nit'))).toMatchObject({ state: 'used' });
    expect(await bench.b.read(bench.by('sid', 'x'))).toMatchObject({ token: seid, distinct: 1 });
  });

  test('use by id: done, done again, unknown', async (bench) => {
    const token = bench.token({ sid: 'x' });
    expect(await bench.a.use(bench.merchant, token.id)).toBe('unknown');
    await bench.put(token);
    expect(await bench.a.use(bench.merchant, token.id)).toBe('done');
    expect(await bench.b.use(bench.merchant, token.id)).toBe('done');
    expect(await bench.b.use(bench.merchant, 'no such id')).toBe('unknown');
  });

  test('a read changes nothing, and answers none without a token', async (bench) => {
    const token = bench.token({ sid: 'x' });
    expect(await bench.a.read(bench.by('sid', 'x'))).toMatchObject({ state: 'none' });
    await bench.put(token);
    for (const store of [bench.a, bench.b, bench.a]) {
      expect(await store.read(bench.by('sid', 'x'))).toMatchObject({ state: 'live', token, claim: null });
    }
  });

  test('all records exist after all stores were closed', async (bench) => {
    const [live, used, held] = [bench.token({ sid: 'x' }), bench.token({ sid: 'y' }), bench.token()];
    await bench.put(live, used, held);
    await bench.a.use(bench.merchant, used.id);
    await bench.hold(bench.a, 'c1');
    const before = await bench.a.read(bench.by('sid', 'x'));
    await bench.reopen();
    expect(await bench.a.read(bench.by('sid', 'x'))).toEqual(before);
    expect(await bench.a.read(bench.by('sid', 'y'))).toMatchObject({ state: 'used' });
    expect(await bench.a.put(used)).toBe('known');
    expect(await bench.claim(bench.a, 'c2')).toMatchObject({ state: 'none' });
    expect(await bench.claim(bench.a, 'c1')).toMatchObject({ token: held, claim: { deliveries: 1 } });
  });
}
