/**
 * The wait of a worker: a post may come at any moment of *park, read, sleep, read again*, and its
 * own hint hands it over. The slow check is off unless a case tests it: a wait that misses a hint
 * never ends.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Handed } from '../../src/handoff/handoff.ts';
import type { TokenQuery } from '../../src/token.ts';
import { Counter, MERCHANT, ticks } from '../support/counter.ts';
import { latch } from '../support/latch.ts';
import { Random } from '../support/random.ts';
import type { Point } from '../support/stepped-store.ts';
import { until } from '../support/until.ts';

const LONG_MS = 60_000;
/** When the post comes, from the worker's request on. */
const MOMENTS = [
  'before it asks',
  'once parked',
  'read begins',
  'read ends',
  'asleep',
  'woken: read begins',
  'woken: read ends',
  'asleep again',
] as const;
const HOW = ['read', 'claim by selector', 'claim from the pool'] as const;
/** How many turns of the event loop later its hint comes. */
const HINT_DELAYS = [0, 1, 3];

describe('a wait', () => {
  let counter: Counter;
  beforeAll(async () => {
    counter = await Counter.open();
  });
  afterAll(() => counter.close());

  function ask(how: (typeof HOW)[number], name: string, signal = new AbortController().signal): Promise<Handed> {
    const patience = { waitMs: LONG_MS, signal };
    const query: TokenQuery = { merchant: MERCHANT, by: 'sid', is: name };
    if (how === 'read') return counter.handoff.read(query, patience);
    const pool: TokenQuery = { merchant: MERCHANT, by: 'pool', kind: 'token' };
    const request = { merchant: MERCHANT, claimId: name, leaseMs: LONG_MS };
    return counter.handoff.claim({ ...request, query: how === 'claim by selector' ? query : pool }, patience);
  }
  const isServed = (what: string, asked: Promise<Handed>): Promise<Handed> => {
    let handed: Handed | undefined;
    void asked.then((given) => {
      handed = given;
    });
    return until(`${what} is served`, () => handed);
  };

  for (const how of HOW) {
    for (const moment of MOMENTS) {
      it.each(HINT_DELAYS)(`that ${how}s gets a post that comes ${moment}, its hint %i turns later`, async (delay) => {
        const name = `${how}-${moment}-${delay}`.replaceAll(/[^a-z0-9]+/g, '-');
        const token = counter.token(how === 'claim from the pool' ? {} : { sid: name });
        const put = async (): Promise<void> => void expect(await counter.store.put(token)).toBe('kept');
        counter.store.onHint = (hint, deliver) => void ticks(delay).then(() => deliver(hint));
        // Reads and claims under this name pass here, and the test may hold them.
        const seen: Point[] = [];
        counter.store.onPoint = async (point, subject) => {
          if (subject !== name) return;
          seen.push(point);
          const at = point.endsWith('begins') ? 'read begins' : 'read ends';
          const time = seen.filter((other) => other === point).length;
          if (time === 1 && moment === at) await put();
          if (time === 2 && moment === `woken: ${at}`) await put();
        };
        if (moment === 'before it asks') await put();
        const asked = ask(how, name);
        if (moment === 'once parked') await put();
        if (moment.startsWith('woken') || moment.startsWith('asleep')) {
          await until('it looked', () => seen.length >= 2);
          await ticks(5);
          if (moment !== 'asleep') counter.waiters.wakeMerchant(MERCHANT);
          if (moment === 'asleep again') {
            await until('it looked again', () => seen.length >= 4);
            await ticks(5);
          }
          if (moment.startsWith('asleep')) await put();
        }
        expect(await isServed(name, asked)).toMatchObject({ outcome: 'token', token });
        expect(counter.waiters.count).toBe(0);
        expect(counter.wakeups.missed).toBe(0);
      });
    }
  }

  it('gets its post under thousands of random interleavings', async () => {
    const runs = 3000;
    for (let batch = 0; batch < runs; batch += 150) {
      const random = new Random(batch + 1);
      counter.store.onPoint = () => ticks(random.below(3));
      counter.store.onHint = (hint, deliver) => void ticks(random.below(4)).then(() => deliver(hint));
      const asked: Promise<Handed>[] = [];
      const ids: string[] = [];
      for (let at = batch; at < batch + 150; at++) {
        const how = random.pick(HOW);
        const token = counter.token(how === 'claim from the pool' ? {} : { sid: `r${at}` });
        ids.push(token.id);
        void ticks(random.below(8)).then(() => counter.store.put(token));
        void ticks(random.below(8)).then(() => asked.push(ask(how, `r${at}`)));
      }
      await until('all have asked', () => asked.length === 150);
      const handed = await Promise.all(asked.map((one, at) => isServed(`seed ${batch + 1}, number ${at}`, one)));
      expect(new Set(handed.map((one) => (one.outcome === 'token' ? one.token.id : one.outcome)))).toEqual(
        new Set(ids),
      );
    }
    expect(counter.waiters.count).toBe(0);
    expect(counter.wakeups.missed).toBe(0);
  });

  it('of each of 2,000 concurrent workers is served', async () => {
    counter.store.onPoint = () => {};
    counter.store.onHint = (hint, deliver) => deliver(hint);
    const names = Array.from({ length: 2000 }, (_, at) => `many-${at}`);
    const asked = names.map((name, at) => ask(HOW[at % HOW.length] ?? 'read', name));
    await until('all wait', () => counter.waiters.count === 2000);
    const tokens = names.map((name, at) => counter.token(at % HOW.length === 2 ? {} : { sid: name }));
    await Promise.all(tokens.map((token) => counter.store.put(token)));
    const handed = await Promise.all(asked.map((one) => isServed('each', one)));
    const values = new Set(handed.map((one) => (one.outcome === 'token' ? one.token.value : one.outcome)));
    expect(values).toEqual(new Set(tokens.map(({ value }) => value)));
    expect(counter.waiters.count).toBe(0);
    expect(counter.wakeups.missed).toBe(0);
  });

  it('ends at once when the client disconnects or the process drains, and answers the last result at its timeout', async () => {
    counter.store.onPoint = () => {};
    const client = new AbortController();
    const gone = ask('read', 'nobody', client.signal);
    await ticks(5);
    expect(counter.waiters.count).toBe(1);
    client.abort();
    expect(await gone).toEqual({ outcome: 'disconnected' });
    expect(counter.waiters.count).toBe(0);

    const used = counter.token({ sid: 'used' });
    await counter.store.put(used);
    await counter.store.use(MERCHANT, used.id);
    const short = { waitMs: 20, signal: new AbortController().signal };
    const query = (is: string): TokenQuery => ({ merchant: MERCHANT, by: 'sid', is });
    expect(await counter.handoff.read(query('used'), short)).toEqual({ outcome: 'used' });
    expect(await counter.handoff.read(query('nothing'), short)).toEqual({ outcome: 'nothing' });

    const draining = ask('read', 'drained');
    await ticks(5);
    counter.waiters.drain();
    expect(await draining).toEqual({ outcome: 'draining' });
    expect(await ask('read', 'late')).toEqual({ outcome: 'draining' });
    expect(counter.waiters.count).toBe(0);
  });
});

describe('more waits than MAX_WAITERS', () => {
  it('get too_many_waiters, unless their token exists', async () => {
    const counter = await Counter.open({ maxWaiters: 1 });
    const { opened, open } = latch();
    counter.store.onPoint = (_, subject) => (subject === 'first' ? opened : undefined);
    const patience = { waitMs: LONG_MS, signal: new AbortController().signal };
    const query = (is: string): TokenQuery => ({ merchant: MERCHANT, by: 'sid', is });
    const first = counter.handoff.read(query('first'), patience);
    await counter.store.put(counter.token({ sid: 'here' }));
    expect(await counter.handoff.read(query('absent'), patience)).toEqual({ outcome: 'too_many_waiters' });
    expect(await counter.handoff.read(query('here'), patience)).toMatchObject({ outcome: 'token' });
    const claim = { merchant: MERCHANT, claimId: 'c1', leaseMs: LONG_MS };
    expect(await counter.handoff.claim({ ...claim, query: query('absent') }, patience)).toEqual({
      outcome: 'too_many_waiters',
    });
    expect(await counter.handoff.claim({ ...claim, query: query('here') }, patience)).toMatchObject({
      outcome: 'token',
    });
    await counter.store.put(counter.token({ sid: 'first' }));
    open();
    expect(await first).toMatchObject({ outcome: 'token' });
    await counter.close();
  });
});
