/**
 * Those who wait to claim: served in the order in which they came, and a token that is taken for somebody who is not there
 * any more is put back as if nothing had been. Without slow check, and without hints where a case says so.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Handed } from '../src/handoff.ts';
import type { Lead } from '../src/store/store.ts';
import { Counter, MERCHANT, ticks } from './support/counter.ts';
import { latch } from './support/latch.ts';
import { Random } from './support/random.ts';
import { until } from './support/until.ts';

const LONG_MS = 60_000;
const POOL = { merchant: MERCHANT, by: 'pool', kind: 'token' } as Lead;
const under = (is: string): Lead => ({ merchant: MERCHANT, by: 'sid', is });

interface Asked {
  claimId: string;
  client: AbortController;
  handed: Promise<Handed>;
  /** What came of it, once something did. */
  outcome: Handed | undefined;
}

describe('a claim that waits', () => {
  let counter: Counter;
  beforeEach(async () => {
    counter = await Counter.open();
  });
  afterEach(async () => {
    expect(counter.waiters.count).toBe(0);
    expect(counter.wakeups.missed).toBe(0);
    await counter.close();
  });

  function ask(claimId: string, lead = POOL, { waitMs = LONG_MS, leaseMs = LONG_MS } = {}): Asked {
    const client = new AbortController();
    const request = { merchant: MERCHANT, claimId, leaseMs, lead };
    const asked: Asked = {
      claimId,
      client,
      outcome: undefined,
      handed: counter.handoff.claim(request, { waitMs, signal: client.signal }).then((handed) => {
        asked.outcome = handed;
        return handed;
      }),
    };
    return asked;
  }
  const over = (asked: Asked): Promise<Handed> => until(`${asked.claimId} is answered`, () => asked.outcome);
  const idOf = (handed: Handed | undefined): string | undefined =>
    handed?.outcome === 'token' ? handed.token.id : handed?.outcome;
  const take = (claimId: string, lead = POOL, leaseMs = LONG_MS) =>
    counter.store.claim({ merchant: MERCHANT, claimId, leaseMs, lead, refuseConflict: false });

  it('is served in its turn', async () => {
    const asked = Array.from({ length: 30 }, (_, at) => ask(`c${at}`));
    await ticks(5);
    const tokens = asked.map(() => counter.token());
    for (const token of tokens) await counter.store.put(token);
    await Promise.all(asked.map(over));
    expect(asked.map(({ outcome }) => idOf(outcome))).toEqual(tokens.map(({ id }) => id));
  });

  it('keeps its turn when others come while it is tried', async () => {
    const { opened, open } = latch();
    counter.store.onPoint = (point, subject) => (point === 'claim begins' && subject === 'c0' ? opened : undefined);
    const asked = [ask('c0')];
    await ticks(2);
    for (let at = 1; at < 10; at++) {
      asked.push(ask(`c${at}`));
      await ticks(1);
    }
    const tokens = asked.map(() => counter.token());
    for (const token of tokens) await counter.store.put(token);
    open();
    await Promise.all(asked.map(over));
    expect(asked.map(({ outcome }) => idOf(outcome))).toEqual(tokens.map(({ id }) => id));
  });

  it('gets a token whose lease ends, in its turn, without a hint', async () => {
    counter.store.onHint = () => {};
    const [pooled, selected] = [counter.token(), counter.token({ sid: 'x' })];
    await counter.store.put(pooled);
    await counter.store.put(selected);
    await take('before', POOL, 200);
    await take('before too', under('x'), 200);
    const [first, second, third] = [ask('c1'), ask('c2'), ask('c3', under('x'))];
    expect(await over(first)).toMatchObject({ outcome: 'token', token: pooled, claim: { id: 'c1', deliveries: 2 } });
    expect(await over(third)).toMatchObject({ outcome: 'token', token: selected, claim: { id: 'c3', deliveries: 2 } });
    expect(second.outcome).toBeUndefined();
    second.client.abort();
    expect(await over(second)).toEqual({ outcome: 'gone' });
  });

  it('gets a token whose lease ends again and again, each time the next in turn', async () => {
    const token = counter.token();
    await counter.store.put(token);
    const asked = Array.from({ length: 5 }, (_, at) => ask(`c${at}`, POOL, { leaseMs: 60 }));
    for (const [at, one] of asked.entries()) {
      expect(await over(one)).toMatchObject({ outcome: 'token', claim: { id: `c${at}`, deliveries: at + 1 } });
    }
  });

  it('gets a token that is released', async () => {
    const token = counter.token({ sid: 'x' });
    await counter.store.put(token);
    await take('before', under('x'));
    const asked = ask('c1', under('x'));
    await ticks(5);
    await counter.store.settle(MERCHANT, 'before', 'release');
    expect(await over(asked)).toMatchObject({ outcome: 'token', token });
  });

  it('is told who holds the token only if it does not wait', async () => {
    await counter.store.put(counter.token({ sid: 'x' }));
    await take('before', under('x'));
    expect(await over(ask('c1', under('x'), { waitMs: 0 }))).toMatchObject({
      outcome: 'claimed',
      claim: { id: 'before' },
    });
    expect(await over(ask('c1', under('x'), { waitMs: 30 }))).toEqual({ outcome: 'nothing' });
    await counter.store.settle(MERCHANT, 'before', 'use');
    expect(await over(ask('c1', under('x'), { waitMs: 30 }))).toEqual({ outcome: 'used' });
    expect(await over(ask('c1', POOL, { waitMs: 30 }))).toEqual({ outcome: 'nothing' });
  });

  it('frees its place at once when its client goes away, and those behind it go on', async () => {
    const asked = Array.from({ length: 5 }, (_, at) => ask(`c${at}`));
    await ticks(5);
    expect(counter.waiters.count).toBe(5);
    for (const at of [0, 2]) asked[at]?.client.abort();
    await ticks(5);
    expect(counter.waiters.count).toBe(3);
    for (let at = 0; at < 3; at++) await counter.store.put(counter.token());
    await Promise.all(asked.map(over));
    expect(asked.map(({ outcome }) => outcome?.outcome)).toEqual(['gone', 'token', 'gone', 'token', 'token']);
  });

  for (const waitMs of [0, LONG_MS]) {
    for (const point of ['claim begins', 'claim ends'] as const) {
      it(`of ${waitMs} ms takes nothing with it when its client goes away as its ${point}`, async () => {
        const token = counter.token();
        await counter.store.put(token);
        const reached = latch();
        const { opened, open } = latch();
        counter.store.onPoint = (at, subject) => {
          if (at !== point || subject !== 'c1') return;
          reached.open();
          return opened;
        };
        const asked = ask('c1', POOL, { waitMs });
        await reached.opened;
        asked.client.abort();
        await ticks(5);
        // The place is free although the store has not answered yet.
        expect(counter.waiters.count).toBe(0);
        open();
        expect(await over(asked)).toEqual({ outcome: 'gone' });
        expect(counter.store.undone).toBe(1);
        expect(await take('c2')).toMatchObject({ state: 'held', token, claim: { deliveries: 1 } });
      });
    }
  }

  it('leaves its token to the next in line when its client goes away in that very moment', async () => {
    const { opened, open } = latch();
    counter.store.onPoint = (point, subject) => (point === 'claim ends' && subject === 'c1' ? opened : undefined);
    const token = counter.token();
    await counter.store.put(token);
    const [first, second] = [ask('c1'), ask('c2')];
    await ticks(5);
    first.client.abort();
    open();
    expect(await over(second)).toMatchObject({ outcome: 'token', token, claim: { id: 'c2', deliveries: 1 } });
    expect(await over(first)).toEqual({ outcome: 'gone' });
  });

  it('is one claim when it is asked for twice at once, wherever the second stands in line', async () => {
    const [first, between, again] = [ask('c1'), ask('c2'), ask('c1')];
    await ticks(5);
    const token = counter.token();
    await counter.store.put(token);
    expect(await over(first)).toMatchObject({ token, claim: { id: 'c1', deliveries: 1 } });
    expect(await over(again)).toMatchObject({ token, claim: { id: 'c1', deliveries: 1 } });
    expect(between.outcome).toBeUndefined();
    // Whoever holds a token already need not stand in line at all.
    expect(await over(ask('c1'))).toMatchObject({ token, claim: { deliveries: 1 } });
    between.client.abort();
    expect(await over(between)).toEqual({ outcome: 'gone' });
  });

  it('is not undone for one of two clients while the other has it', async () => {
    const [first, again] = [ask('c1'), ask('c1')];
    await ticks(5);
    const { opened, open } = latch();
    let claims = 0;
    counter.store.onPoint = (point) => {
      if (point !== 'claim ends') return;
      claims += 1;
      return claims === 2 ? opened : undefined;
    };
    const token = counter.token();
    await counter.store.put(token);
    expect(await over(first)).toMatchObject({ token });
    again.client.abort();
    open();
    expect(await over(again)).toEqual({ outcome: 'gone' });
    expect(await take('c2')).toMatchObject({ state: 'none' });
  });

  it('that is over while an attempt is under way gets what that finds', async () => {
    const token = counter.token();
    await counter.store.put(token);
    const { opened, open } = latch();
    counter.store.onPoint = (point, subject) => (point === 'claim ends' && subject === 'c1' ? opened : undefined);
    const asked = ask('c1', POOL, { waitMs: 20 });
    await until('its wait is over', () => counter.waiters.count === 0);
    open();
    expect(await over(asked)).toMatchObject({ outcome: 'token', token, claim: { deliveries: 1 } });
  });

  it('that is sent away while an attempt is under way gets what that finds, too', async () => {
    const token = counter.token();
    await counter.store.put(token);
    const { opened, open } = latch();
    counter.store.onPoint = (point, subject) => (point === 'claim ends' && subject === 'c1' ? opened : undefined);
    const [first, second] = [ask('c1'), ask('c2')];
    await ticks(5);
    counter.waiters.drain();
    expect(await over(second)).toEqual({ outcome: 'draining' });
    open();
    expect(await over(first)).toMatchObject({ outcome: 'token', token });
    expect(await over(ask('c3'))).toEqual({ outcome: 'draining' });
  });

  it('leaves no token with anybody who did not get it, under random comings and goings', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const random = new Random(seed);
      counter.store.onPoint = () => ticks(random.below(3));
      const asked: Asked[] = [];
      const coming = Array.from({ length: 20 }, async (_, at) => {
        await ticks(random.below(20));
        const lead = random.pick([POOL, POOL, under(`s${seed}`)]);
        const one = ask(`s${seed}-${random.below(4) === 0 ? 0 : at}`, lead, { waitMs: random.pick([0, 3, 15, 40]) });
        asked.push(one);
        if (random.below(3) > 0) return;
        await ticks(random.below(10));
        one.client.abort();
      });
      const posts = Array.from({ length: 12 }, async () => {
        await ticks(random.below(30));
        const token = counter.token(random.below(3) === 0 ? { sid: `s${seed}` } : {});
        await counter.store.put(token);
        return token;
      });
      const tokens = await Promise.all(posts);
      await Promise.all(coming);
      await Promise.all(asked.map(over));
      await ticks(5);
      counter.store.onPoint = () => {};
      const given = new Map(asked.map(({ claimId, outcome }) => [idOf(outcome), claimId] as const));
      // What nobody was given can be taken, as if it had never been delivered; what somebody was given cannot.
      const left = new Set<string>();
      for (;;) {
        const answer = await take(`left-${seed}-${left.size}`);
        if (answer.state !== 'held') break;
        expect(answer.claim.deliveries, `seed ${seed}`).toBe(1);
        left.add(answer.token.id);
      }
      for (const { id, pooled } of tokens) {
        if (pooled) expect(left.has(id), `seed ${seed}: ${id} was given to ${given.get(id)}`).toBe(!given.has(id));
      }
      for (let at = 0; at < left.size; at++) await counter.store.settle(MERCHANT, `left-${seed}-${at}`, 'use');
    }
  });
});
