/**
 * A waiting claim may end: the client disconnects, the wait times out, or the process drains. A
 * token that was taken for a disconnected client is put back without a trace. A client that is
 * still connected gets its token.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Asked, Counter, LONG_MS, MERCHANT, POOL, ticks, under } from '../support/counter.ts';
import { latch } from '../support/latch.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/until.ts';

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

  it('frees its waiter at once when its client disconnects, and those behind it continue', async () => {
    const asked = Array.from({ length: 5 }, (_, at) => counter.ask(`c${at}`));
    await ticks(5);
    expect(counter.waiters.count).toBe(5);
    for (const at of [0, 2]) asked[at]?.client.abort();
    await ticks(5);
    expect(counter.waiters.count).toBe(3);
    for (let at = 0; at < 3; at++) await counter.store.put(counter.token());
    await Promise.all(asked.map((one) => one.answered()));
    expect(asked.map(({ outcome }) => outcome?.outcome)).toEqual([
      'disconnected',
      'token',
      'disconnected',
      'token',
      'token',
    ]);
  });

  for (const waitMs of [0, LONG_MS]) {
    for (const point of ['claim begins', 'claim ends'] as const) {
      it(`of ${waitMs} ms takes no token when its client disconnects as its ${point}`, async () => {
        const token = counter.token();
        await counter.store.put(token);
        const reached = latch();
        const { opened, open } = latch();
        counter.store.onPoint = (at, subject) => {
          if (at !== point || subject !== 'c1') return;
          reached.open();
          return opened;
        };
        const asked = counter.ask('c1', POOL, { waitMs });
        await reached.opened;
        asked.client.abort();
        await ticks(5);
        // The place is free before the store has answered.
        expect(counter.waiters.count).toBe(0);
        open();
        expect(await asked.answered()).toEqual({ outcome: 'disconnected' });
        expect(counter.store.undone).toBe(1);
        expect(await counter.take('c2')).toMatchObject({ state: 'held', token, claim: { deliveries: 1 } });
      });
    }
  }

  it('leaves its token to the next in line when its client disconnects at that moment', async () => {
    const { opened, open } = latch();
    counter.store.onPoint = (point, subject) => (point === 'claim ends' && subject === 'c1' ? opened : undefined);
    const token = counter.token();
    await counter.store.put(token);
    const [first, second] = [counter.ask('c1'), counter.ask('c2')];
    await ticks(5);
    first.client.abort();
    open();
    expect(await second.answered()).toMatchObject({ outcome: 'token', token, claim: { id: 'c2', deliveries: 1 } });
    expect(await first.answered()).toEqual({ outcome: 'disconnected' });
  });

  it('is not undone for one of two clients while the other has it', async () => {
    const [first, again] = [counter.ask('c1'), counter.ask('c1')];
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
    expect(await first.answered()).toMatchObject({ token });
    again.client.abort();
    open();
    expect(await again.answered()).toEqual({ outcome: 'disconnected' });
    expect(await counter.take('c2')).toMatchObject({ state: 'none' });
  });

  it('puts its token back when all of its clients disconnect in turn', async () => {
    const asked = [counter.ask('c1'), counter.ask('c1'), counter.ask('c1')];
    await ticks(5);
    let claims = 0;
    counter.store.onPoint = (point) => {
      if (point === 'claim ends') asked[claims++]?.client.abort();
    };
    // The next request of the id renews the lease before the undo of the first arrives.
    const undo = counter.store.undo.bind(counter.store);
    counter.store.undo = (...args) => ticks(5).then(() => undo(...args));
    const token = counter.token();
    await counter.store.put(token);
    for (const one of asked) expect(await one.answered()).toEqual({ outcome: 'disconnected' });
    expect(claims).toBe(3);
    expect(await counter.take('c2')).toMatchObject({ state: 'held', token, claim: { deliveries: 1 } });
  });

  it('that times out during an attempt gets the result of that attempt', async () => {
    const token = counter.token();
    await counter.store.put(token);
    const { opened, open } = latch();
    counter.store.onPoint = (point, subject) => (point === 'claim ends' && subject === 'c1' ? opened : undefined);
    const asked = counter.ask('c1', POOL, { waitMs: 20 });
    await until('its wait is over', () => counter.waiters.count === 0);
    open();
    expect(await asked.answered()).toMatchObject({ outcome: 'token', token, claim: { deliveries: 1 } });
  });

  it('that ends by a stop during an attempt gets the result of that attempt, too', async () => {
    const token = counter.token();
    await counter.store.put(token);
    const { opened, open } = latch();
    counter.store.onPoint = (point, subject) => (point === 'claim ends' && subject === 'c1' ? opened : undefined);
    const [first, second] = [counter.ask('c1'), counter.ask('c2')];
    await ticks(5);
    counter.waiters.drain();
    expect(await second.answered()).toEqual({ outcome: 'draining' });
    open();
    expect(await first.answered()).toMatchObject({ outcome: 'token', token });
    expect(await counter.ask('c3').answered()).toEqual({ outcome: 'draining' });
  });

  it('leaves no token held by a client that did not get it, with random arrivals and disconnects', async () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = new Random(seed);
      counter.store.onPoint = () => ticks(random.below(3));
      const asked: Asked[] = [];
      const coming = Array.from({ length: 20 }, async (_, at) => {
        await ticks(random.below(20));
        const query = random.pick([POOL, POOL, under(`s${seed}`)]);
        const one = counter.ask(`s${seed}-${random.below(4) === 0 ? 0 : at}`, query, {
          waitMs: random.pick([0, 3, 15, 40]),
        });
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
      await Promise.all(asked.map((one) => one.answered()));
      await ticks(5);
      counter.store.onPoint = () => {};
      const given = new Map(asked.map(({ claimId, got }) => [got, claimId] as const));
      // A token that nobody received can be taken, as if it was never delivered. A received one
      // cannot.
      const left = new Set<string>();
      for (;;) {
        const answer = await counter.take(`left-${seed}-${left.size}`);
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
