import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type Waiter, Waiters } from '../../src/handoff/waiters.ts';

/** A client that stays. */
const here = (): AbortSignal => new AbortController().signal;
const soon = (ms = 60_000): number => performance.now() + ms;

function park(waiters: Waiters, topic = 'sid=x', { merchant = 'm', endsAt = soon(), signal = here() } = {}): Waiter {
  const waiter = waiters.park(merchant, topic, endsAt, signal);
  if (waiter === 'full') throw new Error('expected a place');
  return waiter;
}

describe('waiters', () => {
  it('sleep until their topic is woken, in order of arrival', async () => {
    const waiters = new Waiters({ max: 10 });
    const order: number[] = [];
    const sleeping = [1, 2, 3].map((number) =>
      park(waiters)
        .sleep()
        .then((woken) => {
          order.push(number);
          return woken;
        }),
    );
    const other = park(waiters, 'sid=y');
    const stranger = park(waiters, 'sid=x', { merchant: 'n' });
    waiters.wake('m', 'sid=x');
    expect(await Promise.all(sleeping)).toEqual(['notified', 'notified', 'notified']);
    expect(order).toEqual([1, 2, 3]);
    const asleep = Promise.race([other.sleep(), stranger.sleep()]);
    waiters.wake('m', 'sid=z');
    expect(await Promise.race([asleep, new Promise((resolve) => setImmediate(resolve, 'asleep'))])).toBe('asleep');
    waiters.wakeAll();
    await asleep;
  });

  it('get a wake-up that arrives before `sleep()` or between two sleeps', async () => {
    const waiters = new Waiters({ max: 10 });
    const waiter = park(waiters);
    waiters.wake('m', 'sid=x');
    expect(await waiter.sleep()).toBe('notified');
    waiters.wake('m', 'sid=x');
    waiters.wake('m', 'sid=x');
    expect(await waiter.sleep()).toBe('notified');
    // Two simultaneous wake-ups cause one read.
    const asleep = waiter.sleep();
    expect(await Promise.race([asleep, new Promise((resolve) => setImmediate(resolve, 'asleep'))])).toBe('asleep');
    waiters.wakeMerchant('m');
    expect(await asleep).toBe('notified');
    const again = waiter.sleep();
    waiters.wakeAll();
    expect(await again).toBe('notified');
  });

  it('sleep until the end of their wait even if the tick of `sleep()` takes long', async () => {
    const waiters = new Waiters({ max: 10 });
    await new Promise((resolve) => setImmediate(resolve));
    // Node measures a timer from the start of this tick.
    const busyUntil = soon(40);
    while (performance.now() < busyUntil);
    const endsAt = soon(50);
    expect(await park(waiters, 'sid=x', { endsAt }).sleep()).toBe('timeout');
    expect(performance.now()).toBeGreaterThanOrEqual(endsAt);
  });

  it('wake when their wait is over, even if it was over before `sleep()`', async () => {
    const waiters = new Waiters({ max: 10 });
    expect(await park(waiters, 'sid=x', { endsAt: soon(20) }).sleep()).toBe('timeout');
    expect(await park(waiters, 'sid=x', { endsAt: soon(-1) }).sleep()).toBe('timeout');
  });

  it('wake when the client disconnects, and keep that state', async () => {
    const waiters = new Waiters({ max: 10 });
    const client = new AbortController();
    const waiter = park(waiters, 'sid=x', { signal: client.signal });
    const asleep = waiter.sleep();
    client.abort();
    expect(await asleep).toBe('disconnected');
    waiters.wake('m', 'sid=x');
    expect(await waiter.sleep()).toBe('disconnected');
    expect(await park(waiters, 'sid=x', { signal: client.signal }).sleep()).toBe('disconnected');
  });

  it('report a disconnect that happened while awake', async () => {
    const waiters = new Waiters({ max: 10 });
    const client = new AbortController();
    const waiter = park(waiters, 'sid=x', { signal: client.signal });
    waiters.wake('m', 'sid=x');
    client.abort();
    waiters.wake('m', 'sid=x');
    expect(await waiter.sleep()).toBe('disconnected');
  });

  it('end when the process drains, also those that come later', async () => {
    const waiters = new Waiters({ max: 10 });
    const asleep = park(waiters).sleep();
    const awake = park(waiters, 'sid=y', { merchant: 'n' });
    expect(waiters.draining).toBe(false);
    waiters.drain();
    expect(waiters.draining).toBe(true);
    expect(await asleep).toBe('draining');
    expect(await awake.sleep()).toBe('draining');
    waiters.wakeAll();
    expect(await awake.sleep()).toBe('draining');
    expect(await park(waiters).sleep()).toBe('draining');
  });

  it('are limited, and a place is free once a waiter leaves', () => {
    const waiters = new Waiters({ max: 2 });
    const first = park(waiters);
    park(waiters, 'sid=y');
    expect(waiters.park('m', 'sid=z', soon(), here())).toBe('full');
    expect(waiters.count).toBe(2);
    first.leave();
    first.leave();
    expect(waiters.count).toBe(1);
    park(waiters, 'sid=z');
    expect(waiters.park('m', 'sid=z', soon(), here())).toBe('full');
  });

  it('leave no count, merchant, listener or timer behind', async () => {
    const waiters = new Waiters({ max: 10 });
    const { signal } = new AbortController();
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const parked = ['sid=x', 'sid=x', 'sid=y'].map((topic) => park(waiters, topic, { signal }));
    const asleep = parked.map((waiter) => waiter.sleep());
    expect(timers()).toBeGreaterThan(before);
    expect(waiters.merchants()).toEqual(['m']);
    expect(waiters.count).toBe(3);
    waiters.wakeMerchant('m');
    await Promise.all(asleep);
    for (const waiter of parked) waiter.leave();
    expect(waiters.count).toBe(0);
    expect(waiters.merchants()).toEqual([]);
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(timers()).toBe(before);
  });
});
