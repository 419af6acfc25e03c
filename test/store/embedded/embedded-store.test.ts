import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DurableLedger } from '../../../src/store/embedded/durable-ledger.ts';
import { EmbeddedStore } from '../../../src/store/embedded/embedded-store.ts';
import { readRecord } from '../../../src/store/embedded/encoding.ts';
import type { ExpectationEntry } from '../../../src/store/embedded/records.ts';
import { type Batch, chainedBatches } from '../../support/chained-batches.ts';
import { EmbeddedBench, M, names } from '../../support/embedded.ts';
import { GuardedFolder } from '../../support/guarded-folder.ts';
import { latch } from '../../support/latch.ts';
import { until } from '../../support/until.ts';
import { describeStoreContract } from '../contract.ts';

describeStoreContract('the embedded store', {
  instances: 1,
  async setup({ merchants: _, ...options }) {
    const folder = await GuardedFolder.make('embedded-');
    return {
      async open(events) {
        const store = new EmbeddedStore(new DurableLedger({ directory: join(folder.path, 'tokens'), ...options }));
        await store.open(events);
        return store;
      },
      remove: () => folder.remove(),
    };
  },
});

describe('the embedded store', () => {
  let bench: EmbeddedBench;
  beforeEach(async () => {
    bench = await EmbeddedBench.make();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await bench.remove();
  });
  const put = (name: string, pooled = false): Promise<string> => bench.store.put(bench.token(name, pooled));

  it('writes concurrent changes in few batches, each synced', async () => {
    await bench.open();
    const batches = await chainedBatches();
    const [puts, write] = [vi.spyOn(batches, 'put'), vi.spyOn(batches, 'write')];
    expect(new Set(await Promise.all(names(1000).map((name) => put(name))))).toEqual(new Set(['kept']));
    expect(write.mock.calls.length).toBeLessThanOrEqual(3);
    for (const [options] of write.mock.calls) expect(options).toMatchObject({ sync: true });
    expect(puts.mock.calls.filter(([key]) => String(key).startsWith('token'))).toHaveLength(1000);
  });

  it('acknowledges nothing before it is on disk', async () => {
    await bench.open();
    const { opened, open } = latch();
    const batches = await chainedBatches();
    const real = batches.write;
    const write = vi.spyOn(batches, 'write').mockImplementation(async function (this: Batch, options) {
      await opened;
      await real.call(this, options);
    });
    const acknowledged: string[] = [];
    const { store } = bench;
    const changes = [
      put('x').then(() => acknowledged.push('put')),
      put('x').then(() => acknowledged.push('put again')),
      bench.claim('c1', bench.under('x')).then(() => acknowledged.push('claim')),
      store.settle(M, 'c1', 'use').then(() => acknowledged.push('settle')),
      store.use(M, bench.token('x').id).then(() => acknowledged.push('use')),
      store
        .expect({ id: 'e1', merchant: M, kind: 'seid', topic: 'sid=x', ttlMs: 60_000 })
        .then(() => acknowledged.push('expect')),
      store.cancel(M, 'e1').then(() => acknowledged.push('cancel')),
    ];
    await until('the disk is asked', () => write.mock.calls.length > 0);
    expect(acknowledged).toEqual([]);
    open();
    await Promise.all(changes);
    expect(acknowledged).toHaveLength(changes.length);
  });

  it('restores claims, the order of the pool, expectations and uses after a restart', async () => {
    await bench.open();
    for (const name of ['p1', 'p2', 'p3', 'p4']) await put(name, true);
    await put('used');
    await put('live');
    const expectation = { merchant: M, kind: 'seid', ttlMs: 60_000 } as const;
    await bench.store.use(M, bench.token('used').id);
    for (const claimId of ['c1', 'c2', 'c3']) await bench.claim(claimId);
    await bench.store.settle(M, 'c2', 'release');
    await bench.store.settle(M, 'c3', 'use');
    await bench.store.expect({ ...expectation, id: 'e1', topic: 'sid=cancelled' });
    await bench.store.cancel(M, 'e1');
    await bench.store.expect({ ...expectation, id: 'e2', topic: 'sid=open' });
    const read = await bench.store.read(bench.under('live'));
    await bench.reopen();
    expect(bench.troubles).toEqual([]);
    const { store } = bench;
    expect(await store.read(bench.under('live'))).toEqual(read);
    const states = await Promise.all(['used', 'cancelled', 'open'].map((name) => bench.state(name)));
    expect(states).toEqual(['used', 'cancelled', 'none']);
    expect(await put('used')).toBe('known');
    expect(await store.settle(M, 'c3', 'use')).toBe('done');
    expect(await store.settle(M, 'c2', 'use')).toBe('lease_lost');
    expect(await bench.claim('c1')).toMatchObject({ token: { value: 'p1' }, claim: { deliveries: 1, renewals: 1 } });
    expect(await bench.claim('c4')).toMatchObject({ token: { value: 'p2' }, claim: { deliveries: 2 } });
    expect(await bench.claim('c5')).toMatchObject({ token: { value: 'p4' }, claim: { deliveries: 1 } });
    expect(await bench.claim('c6')).toMatchObject({ state: 'none' });
    expect(await store.cancel(M, 'e2')).toBe('done');
  });

  it('evicts the oldest unexpected token after a restart, too', async () => {
    bench.acceptExpected(20);
    await bench.open();
    for (const name of names(20)) expect(await put(name)).toBe('unexpected');
    await bench.reopen();
    expect(await put('one more')).toBe('unexpected');
    expect(await put('t1')).toBe('known');
    expect(await put('t0')).toBe('unexpected');
  });

  it.each(['before', 'after', 'last'])(
    'answers none, even after a restart, when an announcement ended that replaced a cancelled one (cancelled %s)',
    async (when) => {
      await bench.open();
      const { store } = bench;
      const announced = { merchant: M, kind: 'token', topic: 'sid=x' } as const;
      await store.expect({ ...announced, id: 'long', ttlMs: 600_000 });
      if (when === 'before') await store.cancel(M, 'long');
      await store.expect({ ...announced, id: 'brief', ttlMs: 300 });
      if (when === 'after') await store.cancel(M, 'long');
      await store.cancel(M, 'brief');
      expect(await bench.state('x')).toBe('cancelled');
      await until('the newer one ends', async () => (await bench.state('x')) === 'none');
      await bench.reopen();
      if (when === 'last') await bench.store.cancel(M, 'long');
      expect(await bench.state('x')).toBe('none');
      await bench.reopen();
      expect(await bench.state('x')).toBe('none');
    },
  );

  it('fills the oldest expectation first, even after a restart', async () => {
    await bench.open();
    const expectation = { merchant: M, kind: 'token', topic: 'sid=x', ttlMs: 60_000 } as const;
    // One tick of the clock apart, and their ids the other way round.
    for (const id of ['e3', 'e2', 'e1']) {
      const before = Date.now();
      await until('the clock moves on', () => Date.now() > before);
      await bench.store.expect({ ...expectation, id });
    }
    await bench.reopen();
    await put('x');
    await bench.close();
    const level = new ClassicLevel<string, string>(bench.directory);
    const filled = ['e3', 'e2', 'e1'].map(async (id) => {
      const key = `expectation\n${M}\n${id}`;
      return (readRecord(key, (await level.get(key)) ?? '') as { entry: ExpectationEntry }).entry.token !== undefined;
    });
    expect(await Promise.all(filled)).toEqual([true, false, false]);
    await level.close();
  });
});
