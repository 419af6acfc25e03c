/**
 * The ledger keeps only live records in memory: it releases every record that has ended, in any
 * way.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { Ledger } from '../../../src/store/embedded/ledger.ts';
import { type NewToken, tokenId } from '../../../src/token.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const M = 'default';
const TTL_MS = 1000;

function token(name: string, fields: Partial<NewToken> = {}): NewToken {
  return {
    id: tokenId(M, 'token', name),
    merchant: M,
    kind: 'token',
    value: name,
    correlators: {},
    pooled: true,
    ...fields,
  };
}

/** How many of these things are still in memory. */
async function left(things: readonly WeakRef<object>[]): Promise<number> {
  // What was looked at in this turn of the event loop stays until its end.
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  return things.filter((thing) => thing.deref() !== undefined).length;
}

describe('the ledger removes', () => {
  const claiming = (ledger: Ledger, claimId: string, leaseMs: number, now: number): void => {
    const query = { merchant: M, by: 'pool', kind: 'token' } as const;
    expect(ledger.claim({ merchant: M, claimId, leaseMs, query, refuseConflict: false }, now).state).toBe('held');
  };
  const entries = (ledger: Ledger): WeakRef<object>[] => [...ledger.tokens()].map((entry) => new WeakRef(entry));
  const make = (accept: 'any' | 'expected' = 'any', maxUnexpected = 10): Ledger =>
    new Ledger({ ttlMs: TTL_MS, accept, maxUnexpected });

  it.each([
    ['pooled tokens that nobody claimed', () => {}],
    ['pooled tokens that were claimed', (ledger: Ledger, at: number) => claiming(ledger, `c${at}`, 100, 0)],
    ['pooled tokens that are held to their end', (ledger: Ledger, at: number) => claiming(ledger, `c${at}`, 9e9, 0)],
    [
      'pooled tokens that were renewed many times',
      (ledger: Ledger, at: number) => {
        for (let time = 0; time < 5; time++) claiming(ledger, `c${at}`, 100 + time, 0);
      },
    ],
    [
      'pooled tokens that were released',
      (ledger: Ledger, at: number) => {
        claiming(ledger, `c${at}`, 100, 0);
        ledger.settle(M, `c${at}`, 'release', 0);
      },
    ],
    ['used tokens', (ledger: Ledger, at: number) => void ledger.use(M, tokenId(M, 'token', `t${at}`), 0)],
  ])('%s after their expiry', async (_name, happen) => {
    const ledger = make();
    for (let at = 0; at < 100; at++) {
      ledger.put(token(`t${at}`), 0);
      happen(ledger, at);
    }
    const all = entries(ledger);
    ledger.changes.take();
    expect(await left(all)).toBe(100);
    ledger.sweep(TTL_MS);
    ledger.changes.take();
    expect(await left(all)).toBe(0);
    expect(ledger.count).toBe(0);
    expect([...ledger.everything()]).toEqual([]);
  });

  it('evicted unexpected tokens before their expiry', async () => {
    const ledger = make('expected', 10);
    const all: WeakRef<object>[] = [];
    for (let at = 0; at < 5000; at++) {
      expect(ledger.put(token(`t${at}`, { pooled: false, correlators: { sid: 'x' } }), 0)).toBe('unexpected');
      const entry = ledger.get(M, tokenId(M, 'token', `t${at}`));
      if (entry !== undefined) all.push(new WeakRef(entry));
      ledger.changes.take();
    }
    expect(all).toHaveLength(5000);
    expect(await left(all)).toBeLessThan(1100);
    expect(ledger.count).toBe(10);
  });

  it.each([
    ['pooled tokens', { pooled: true }],
    ['tokens with a correlator', { pooled: false, correlators: { sid: 'x' } }],
  ])('%s that a shared store knew or refused, before their expiry', async (_name, fields) => {
    const ledger = make();
    const all: WeakRef<object>[] = [];
    for (let at = 0; at < 5000; at++) {
      ledger.put(token(`t${at}`, fields), 0, 'in_doubt');
      const entry = ledger.get(M, tokenId(M, 'token', `t${at}`));
      if (entry === undefined) continue;
      all.push(new WeakRef(entry));
      ledger.forget(entry);
      ledger.changes.take();
    }
    expect(all).toHaveLength(5000);
    expect(await left(all)).toBeLessThan(1100);
    // The ledger itself was in memory all the time.
    expect(ledger.count).toBe(0);
  });

  it('expectations in any state', async () => {
    const ledger = make();
    for (let at = 0; at < 30; at++) {
      ledger.expectations.open({ id: `e${at}`, merchant: M, kind: 'token', topic: 'pool=token', ttlMs: 100 }, 0);
    }
    ledger.put(token('t'), 0);
    ledger.expectations.cancel(M, 'e7', 0);
    const all = [...ledger.expectations.entries()].map((entry) => new WeakRef(entry));
    ledger.changes.take();
    expect(await left(all)).toBe(30);
    expect(ledger.sweep(100).filter(({ what }) => what === 'no_show')).toHaveLength(28);
    ledger.changes.take();
    expect(await left(all)).toBe(0);
  });
});

describe('the ledger writes', () => {
  it('a token that a shared store was asked to take once, with the outcome', () => {
    const ledger = new Ledger({ ttlMs: TTL_MS, accept: 'any', maxUnexpected: 10 });
    ledger.put(token('asked'), 0, 'in_doubt');
    expect(ledger.changes.take()).toEqual([]);
    const [entry] = ledger.tokens();
    if (entry !== undefined) ledger.update(entry, { replication: 'replicated' });
    expect(ledger.changes.take()).toMatchObject([{ of: 'token', entry: { replication: 'replicated' } }]);
  });
});
