/**
 * Waiting claims are served in order of arrival, without the slow check, and some without hints.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Counter, MERCHANT, POOL, ticks, under } from '../support/counter.ts';
import { latch } from '../support/latch.ts';

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

  it('is served in its turn', async () => {
    const asked = Array.from({ length: 30 }, (_, at) => counter.ask(`c${at}`));
    await ticks(5);
    const tokens = asked.map(() => counter.token());
    for (const token of tokens) await counter.store.put(token);
    await Promise.all(asked.map((one) => one.answered()));
    expect(asked.map(({ got }) => got)).toEqual(tokens.map(({ id }) => id));
  });

  it('keeps its turn when others arrive during its attempt', async () => {
    const { opened, open } = latch();
    counter.store.onPoint = (point, subject) => (point === 'claim begins' && subject === 'c0' ? opened : undefined);
    const asked = [counter.ask('c0')];
    await ticks(2);
    for (let at = 1; at < 10; at++) {
      asked.push(counter.ask(`c${at}`));
      await ticks(1);
    }
    const tokens = asked.map(() => counter.token());
    for (const token of tokens) await counter.store.put(token);
    open();
    await Promise.all(asked.map((one) => one.answered()));
    expect(asked.map(({ got }) => got)).toEqual(tokens.map(({ id }) => id));
  });

  it('gets a token whose lease ends, in its turn, without a hint', async () => {
    counter.store.onHint = () => {};
    const [pooled, selected] = [counter.token(), counter.token({ sid: 'x' })];
    await counter.store.put(pooled);
    await counter.store.put(selected);
    await counter.take('before', POOL, 200);
    await counter.take('before too', under('x'), 200);
    const [first, second, third] = [counter.ask('c1'), counter.ask('c2'), counter.ask('c3', under('x'))];
    expect(await first.answered()).toMatchObject({
      outcome: 'token',
      token: pooled,
      claim: { id: 'c1', deliveries: 2 },
    });
    expect(await third.answered()).toMatchObject({
      outcome: 'token',
      token: selected,
      claim: { id: 'c3', deliveries: 2 },
    });
    expect(second.outcome).toBeUndefined();
    second.client.abort();
    expect(await second.answered()).toEqual({ outcome: 'disconnected' });
  });

  it('gets a token whose lease ends repeatedly, each time the next in turn', async () => {
    const token = counter.token();
    await counter.store.put(token);
    const asked = Array.from({ length: 5 }, (_, at) => counter.ask(`c${at}`, POOL, { leaseMs: 60 }));
    for (const [at, one] of asked.entries()) {
      expect(await one.answered()).toMatchObject({ outcome: 'token', claim: { id: `c${at}`, deliveries: at + 1 } });
    }
  });

  it('gets a token that is released', async () => {
    const token = counter.token({ sid: 'x' });
    await counter.store.put(token);
    await counter.take('before', under('x'));
    const asked = counter.ask('c1', under('x'));
    await ticks(5);
    await counter.store.settle(MERCHANT, 'before', 'release');
    expect(await asked.answered()).toMatchObject({ outcome: 'token', token });
  });

  it('learns the holder of the token only if it does not wait', async () => {
    await counter.store.put(counter.token({ sid: 'x' }));
    await counter.take('before', under('x'));
    expect(await counter.ask('c1', under('x'), { waitMs: 0 }).answered()).toMatchObject({
      outcome: 'claimed',
      claim: { id: 'before' },
    });
    expect(await counter.ask('c1', under('x'), { waitMs: 30 }).answered()).toEqual({ outcome: 'nothing' });
    await counter.store.settle(MERCHANT, 'before', 'use');
    expect(await counter.ask('c1', under('x'), { waitMs: 30 }).answered()).toEqual({ outcome: 'used' });
    expect(await counter.ask('c1', POOL, { waitMs: 30 }).answered()).toEqual({ outcome: 'nothing' });
  });

  it('gets the token that its own id took elsewhere while it waited', async () => {
    const [first, second] = [counter.ask('c1'), counter.ask('c2', POOL, { waitMs: 100 })];
    await ticks(5);
    const token = counter.token({ sid: 'x' });
    await counter.store.put(token);
    await counter.take('c2', under('x'));
    expect(await second.answered()).toMatchObject({ outcome: 'token', token, claim: { id: 'c2', deliveries: 1 } });
    first.client.abort();
    expect(await first.answered()).toEqual({ outcome: 'disconnected' });
  });

  it('is one claim when two requests send it at once, at any position of the second', async () => {
    const [first, between, again] = [counter.ask('c1'), counter.ask('c2'), counter.ask('c1')];
    await ticks(5);
    const token = counter.token();
    await counter.store.put(token);
    expect(await first.answered()).toMatchObject({ token, claim: { id: 'c1', deliveries: 1 } });
    expect(await again.answered()).toMatchObject({ token, claim: { id: 'c1', deliveries: 1 } });
    expect(between.outcome).toBeUndefined();
    // A claim that holds a token need not queue.
    expect(await counter.ask('c1').answered()).toMatchObject({ token, claim: { deliveries: 1 } });
    between.client.abort();
    expect(await between.answered()).toEqual({ outcome: 'disconnected' });
  });
});
