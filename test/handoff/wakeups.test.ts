/**
 * Hints that are lost, doubled, late or out of order: the slow check still serves every waiter in
 * time.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Handed } from '../../src/handoff/handoff.ts';
import type { Hint } from '../../src/store/contract.ts';
import { Counter, MERCHANT, ticks } from '../support/counter.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/until.ts';

const LONG_MS = 60_000;

describe('wake-ups', () => {
  let counter: Counter;
  const handed = new Map<string, Handed>();
  const open = async (options: Parameters<typeof Counter.open>[0] = {}): Promise<void> => {
    counter = await Counter.open(options);
  };
  beforeEach(() => handed.clear());
  afterEach(() => counter.close());

  /** Begins to wait, for long. */
  async function wait(...names: string[]): Promise<void> {
    const before = counter.waiters.count;
    for (const is of names) {
      const patience = { waitMs: LONG_MS, signal: new AbortController().signal };
      const query = { merchant: MERCHANT, by: 'sid', is } as const;
      void counter.handoff.read(query, patience).then((given) => handed.set(is, given));
    }
    await until('they wait', () => counter.waiters.count === before + names.length);
    await ticks(5);
  }
  const put = async (sid: string): Promise<void> => void (await counter.store.put(counter.token({ sid })));
  const served = (name: string): Promise<boolean> =>
    until(`${name} is served`, () => handed.get(name)?.outcome === 'token');
  /** Loses the hints under some topics. */
  const lose = (...names: string[]): void => {
    counter.store.onHint = (hint, deliver) => {
      if (!names.some((name) => hint.topics.includes(`sid=${name}`))) deliver(hint);
    };
  };

  it('need no check while every hint arrives', async () => {
    await open({ checkEveryMs: 5 });
    const names = Array.from({ length: 40 }, (_, at) => `x${at}`);
    await wait(...names);
    for (const name of names) {
      await put(name);
      await served(name);
    }
    expect(counter.wakeups.missed).toBe(0);
  });

  it('detect a lost hint by the gap before the next one', async () => {
    await open();
    await put('before');
    await wait('x', 'y');
    lose('x');
    await put('x');
    await put('y');
    await Promise.all(['x', 'y'].map(served));
  });

  it('treat the first hint as a gap', async () => {
    await open();
    await wait('x', 'y');
    lose('x');
    await put('x');
    await put('y');
    await Promise.all(['x', 'y'].map(served));
  });

  it('treat the first hint after a reported gap as a gap', async () => {
    await open();
    await put('before');
    counter.wakeups.onGap();
    await wait('x', 'y');
    lose('x');
    await put('x');
    await put('y');
    await Promise.all(['x', 'y'].map(served));
  });

  it('detect a lost hint by the slow check when no other hint arrives', async () => {
    await open({ checkEveryMs: 20 });
    await put('before');
    await wait('x', 'y');
    lose('x', 'y');
    await put('x');
    await served('x');
    expect(counter.wakeups.missed).toBe(1);
    await put('y');
    await served('y');
    expect(counter.wakeups.missed).toBe(2);
  });

  it('detect by the slow check a hint that was lost before the first one', async () => {
    await open({ checkEveryMs: 20 });
    await wait('x');
    lose('x');
    await put('x');
    await served('x');
  });

  it('do not treat a pending hint as lost', async () => {
    await open({ checkEveryMs: 20 });
    await put('before');
    const hints: (() => void)[] = [];
    counter.store.onHint = (hint, deliver) => hints.push(() => deliver(hint));
    await wait('x');
    // A check falls between each change and its hint; half of the hints come while it asks, and half after it.
    let checks = 0;
    const sequence = counter.store.sequence.bind(counter.store);
    counter.store.sequence = async (merchant) => {
      checks += 1;
      const answer = await sequence(merchant);
      if (checks % 2 === 0) hints.shift()?.();
      else void ticks(3).then(() => hints.shift()?.());
      return answer;
    };
    for (let round = 0; round < 10; round++) {
      await put(`other-${round}`);
      const before = checks;
      await until('a check', () => checks > before);
    }
    expect(handed.size).toBe(0);
    expect(counter.wakeups.missed).toBe(0);
    await put('x');
    await served('x');
    expect(counter.wakeups.missed).toBe(0);
  });

  it('wake all waiters when anything may have changed', async () => {
    await open();
    await wait('x', 'y');
    lose('x', 'y');
    await put('x');
    await put('y');
    counter.wakeups.onGap();
    await Promise.all(['x', 'y'].map(served));
  });

  it('survive a counter that starts again', async () => {
    await open({ checkEveryMs: 20 });
    await put('before');
    // As if the counter had been much further before it was lost.
    counter.wakeups.onHint({ merchant: MERCHANT, topics: [], sequence: 1000 });
    await wait('x', 'y');
    await put('x');
    await served('x');
    lose('y');
    await put('y');
    await served('y');
  });

  it('serve all waiters within the slow check when hints are lost, doubled or late', async () => {
    await open({ checkEveryMs: 20 });
    for (let seed = 1; seed <= 10; seed++) {
      const random = new Random(seed);
      const held: { hint: Hint; deliver: (hint: Hint) => void }[] = [];
      counter.store.onHint = (hint, deliver) => {
        const fate = random.below(10);
        if (fate < 3) return;
        if (fate < 5) held.push({ hint, deliver });
        else deliver(hint);
        if (fate === 5) deliver(hint);
        if (random.below(3) === 0) for (const late of held.splice(0).reverse()) late.deliver(late.hint);
      };
      const names = Array.from({ length: 40 }, (_, at) => `s${seed}-${at}`);
      await wait(...names);
      await Promise.all(names.map((name) => ticks(random.below(30)).then(() => put(name))));
      await Promise.all(names.map(served));
    }
    expect(counter.waiters.count).toBe(0);
  });
});
