/** Expiry of tokens, uses and claims, and its reports. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import { scaled } from '../../support/time-scale.ts';
import { until } from '../../support/until.ts';
import { type Bench, type Case, valueIn } from './bench.ts';

/** Long enough for a few steps on a busy machine. */
const SHORT_LIFE = { ttlMs: scaled(1000) };

function orphans(bench: Bench, id?: string): number {
  return bench.expiries().filter((expiry) => expiry.what === 'orphan' && (id === undefined || expiry.id === id)).length;
}

/** Resolves when stores have had time to repeat a report. */
async function toldOnceMore(bench: Bench): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const token = bench.token();
    await bench.put(token);
    await until('the next orphan is reported', () => orphans(bench, token.id) > 0);
  }
}

export function describeExpiry(test: Case): void {
  test(
    'a token expires in any state, with its claims and its use',
    async (bench) => {
      const tokens = ['live', 'used', 'held', 'by-claim'].map((sid) => bench.token({ sid }));
      const pooled = bench.token();
      await bench.put(...tokens, pooled);
      await bench.a.use(bench.merchant, tokens[1]?.id ?? '');
      await bench.hold(bench.a, 'c1', bench.by('sid', 'held'));
      await bench.hold(bench.a, 'c2', bench.by('sid', 'by-claim'));
      await bench.a.settle(bench.merchant, 'c2', 'use');
      for (const { sid } of tokens.map(({ correlators }) => correlators)) {
        await until(`${sid} expires`, async () => (await bench.b.read(bench.by('sid', `${sid}`))).state === 'none');
      }
      await until('the pool is empty', async () => valueIn(await bench.claim(bench.b, 'c3')) === 'none');
      for (const { id } of [...tokens, pooled]) expect(await bench.b.use(bench.merchant, id)).toBe('unknown');
      for (const claim of ['c1', 'c2']) {
        expect(await bench.b.settle(bench.merchant, claim, 'use')).toBe('unknown');
        expect(await bench.b.settle(bench.merchant, claim, 'release')).toBe('unknown');
      }
      expect(await bench.claim(bench.b, 'c1', bench.by('sid', 'held'))).toEqual({ state: 'none' });
    },
    SHORT_LIFE,
  );

  test(
    'an expired token is new when it is put again, even after a use',
    async (bench) => {
      const token = bench.token({ sid: 'x' });
      await bench.put(token);
      const before = await bench.a.read(bench.by('sid', 'x'));
      await bench.hold(bench.a, 'c1', bench.by('sid', 'x'));
      await bench.a.settle(bench.merchant, 'c1', 'use');
      expect(await bench.b.put(token)).toBe('known');
      await until('it is new', async () => (await bench.b.put(token)) === 'kept');
      const after = await bench.hold(bench.a, 'c2', bench.by('sid', 'x'));
      expect(after).toMatchObject({ token, claim: { deliveries: 1 } });
      if (before.state !== 'live') throw new Error(`expected it to be live at first, got ${before.state}`);
      expect(after.token.receivedAt).toBeGreaterThanOrEqual(before.token.expiresAt);
      expect(await bench.b.settle(bench.merchant, 'c1', 'use')).toBe('unknown');
    },
    SHORT_LIFE,
  );

  test(
    'a token that expired and came again is not found under its former correlators',
    async (bench) => {
      const [value, pooledValue] = [bench.value(), bench.value()];
      const before = [bench.token({ sid: 'before', value }), bench.token({ value: pooledValue })];
      const again = [bench.token({ sid: 'after', value }), bench.token({ sid: 'after-pool', value: pooledValue })];
      await bench.put(...before);
      // A later token under the same correlator outlives the first ones.
      const halfLife = Date.now() + SHORT_LIFE.ttlMs / 2;
      await until('half of their life is over', () => Date.now() >= halfLife);
      await bench.put(bench.token({ sid: 'before' }), bench.token());
      for (const token of again) {
        await until('it is new', async () => (await bench.b.put(token)) === 'kept');
      }
      const ids = again.map(({ id }) => id);
      const read = await bench.a.read(bench.by('sid', 'before'));
      const claimed = await bench.claim(bench.b, 'c1');
      const found = [read, claimed].flatMap((answer) => ('token' in answer ? [answer.token.id] : []));
      expect(ids.filter((id) => found.includes(id))).toEqual([]);
      if (read.state === 'live') expect(read.distinct).toBe(1);
      expect(await bench.a.read(bench.by('sid', 'after'))).toMatchObject({ state: 'live', token: again[0] });
      expect(await bench.claim(bench.b, 'c2', bench.by('sid', 'after-pool'))).toMatchObject({ token: again[1] });
    },
    SHORT_LIFE,
  );

  test(
    'an expired token is neither the newest nor counted as different',
    async (bench) => {
      const older = bench.token({ sid: 'x' });
      await bench.put(older);
      await until('it expires', async () => (await bench.b.read(bench.by('sid', 'x'))).state === 'none');
      const newer = bench.token({ sid: 'x' });
      await bench.put(newer);
      const answer = await bench.claim(bench.b, 'c1', bench.by('sid', 'x'), { refuseConflict: true });
      expect(answer).toMatchObject({ state: 'held', token: newer, distinct: 1 });
    },
    SHORT_LIFE,
  );

  test(
    'a token that expired unread and unclaimed is reported as an orphan, once',
    async (bench) => {
      const [first, second] = [bench.token({ sid: 'x', kind: 'seid' }), bench.token()];
      await bench.put(first, second);
      await until('both are reported', () => orphans(bench) >= 2);
      await toldOnceMore(bench);
      expect(bench.expiries()).toContainEqual({ what: 'orphan', merchant: bench.merchant, kind: 'seid', id: first.id });
      expect(orphans(bench, first.id)).toBe(1);
      expect(orphans(bench, second.id)).toBe(1);
    },
    { ttlMs: scaled(300) },
  );

  test(
    'a token that was read, claimed or used is not an orphan; one that a claim took and nobody got is',
    async (bench) => {
      const tokens = ['read', 'claimed', 'used', 'undone'].map((sid) => bench.token({ sid }));
      await bench.put(...tokens);
      await bench.a.read(bench.by('sid', 'read'));
      await bench.hold(bench.a, 'c1', bench.by('sid', 'claimed'));
      await bench.a.use(bench.merchant, tokens[2]?.id ?? '');
      await bench.a.undo(bench.merchant, (await bench.hold(bench.a, 'c2', bench.by('sid', 'undone'))).claim);
      await until('the undone one is reported', () => orphans(bench, tokens[3]?.id) > 0);
      await toldOnceMore(bench);
      for (const { id } of tokens.slice(0, 3)) expect(orphans(bench, id)).toBe(0);
    },
    SHORT_LIFE,
  );

  test(
    'a token that expires while it is put again is still an orphan',
    async (bench) => {
      const token = bench.token({ sid: 'x' });
      await bench.put(token);
      await until('it is new', async () => (await bench.b.put(token)) === 'kept');
      await until('it is reported for both times', () => orphans(bench, token.id) === 2);
      await toldOnceMore(bench);
      expect(orphans(bench, token.id)).toBe(2);
    },
    { ttlMs: scaled(300) },
  );

  test(
    'an expectation that ended without its post is reported as a no-show, once; a filled or cancelled one is not',
    async (bench) => {
      const announce = async (topic: string, ttlMs: number): Promise<string> => {
        const id = randomUUID();
        await bench.a.expect({ id, merchant: bench.merchant, kind: 'seid', topic, ttlMs });
        return id;
      };
      const [filled, cancelled] = [
        await announce('sid=filled', scaled(1000)),
        await announce('sid=cancelled', scaled(1000)),
      ];
      const missed = await announce('sid=missed', scaled(1000));
      // A token fills the oldest of two expectations under one topic.
      const [older, newer] = [await announce('sid=two', scaled(1000)), await announce('sid=two', scaled(1000))];
      await bench.put(bench.token({ kind: 'seid', sid: 'filled' }), bench.token({ kind: 'seid', sid: 'two' }));
      expect(await bench.b.cancel(bench.merchant, cancelled)).toBe('done');
      const noShows = (): string[] =>
        bench.expiries().flatMap((expiry) => (expiry.what === 'no_show' ? [expiry.expectation] : []));
      await until('both are reported', () => noShows().length >= 2);
      await toldOnceMore(bench);
      expect(noShows().sort()).toEqual([missed, newer].sort());
      expect(noShows()).not.toContain(filled);
      expect(noShows()).not.toContain(older);
      expect(bench.expiries()).toContainEqual({
        what: 'no_show',
        merchant: bench.merchant,
        kind: 'seid',
        expectation: missed,
      });
    },
    { ttlMs: scaled(500) },
  );

  test(
    'expiries during a closed time are reported when a store opens again',
    async (bench) => {
      const token = bench.token({ sid: 'x' });
      await bench.put(token);
      const id = randomUUID();
      await bench.a.expect({ id, merchant: bench.merchant, kind: 'seid', topic: 'sid=y', ttlMs: scaled(300) });
      await bench.reopen();
      await until('the orphan is reported', () => orphans(bench, token.id) === 1);
      await until('the no-show is reported', () =>
        bench.expiries().some((expiry) => expiry.what === 'no_show' && expiry.expectation === id),
      );
      await toldOnceMore(bench);
      expect(orphans(bench, token.id)).toBe(1);
    },
    { ttlMs: scaled(300) },
  );
}
