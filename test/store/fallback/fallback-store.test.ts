/** The fallback store beyond the contract: what it keeps after a loss of Redis and after a bug. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import type { PutAnswer } from '../../../src/store/contract.ts';
import { FallbackStore } from '../../../src/store/fallback/fallback-store.ts';
import { LocalStore } from '../../../src/store/fallback/local-store.ts';
import { RedisStore } from '../../../src/store/redis/redis-store.ts';
import { type NewToken, tokenId } from '../../../src/token.ts';
import { GuardedFolder } from '../../support/guarded-folder.ts';
import { latch } from '../../support/latch.ts';
import { LOOPBACK } from '../../support/ports.ts';
import { startRedis } from '../../support/redis.ts';
import { startProxy } from '../../support/tcp-proxy.ts';
import { scaled } from '../../support/time-scale.ts';
import { until } from '../../support/until.ts';
import { LONG_MS, TTL_MS } from '../contract/bench.ts';

/** On a busy machine, a slow Redis is not an absence. */
const DEADLINE_MS = scaled(5000);

/** Waits for the reconciliation of the start: until then, claims get local answers. */
async function claimsAreShared(store: FallbackStore, merchant: string): Promise<void> {
  await until('claims are shared', async () => (await store.settle(merchant, 'nobody', 'use')) !== 'away');
}

test('retries when a bug ends the reconciliation', async () => {
  const redis = await startRedis();
  const folder = await GuardedFolder.make('fallback-');
  const options = { ttlMs: TTL_MS, accept: 'any', maxUnexpected: 10, merchants: ['m'] } as const;
  const shared = new RedisStore({ address: parseStoreUrl(redis.url), ...options, deadlineMs: DEADLINE_MS });
  let bugs = 0;
  const buggy = new Proxy(shared, {
    get(target, name) {
      if (name === 'merge' && bugs > 0) {
        bugs -= 1;
        throw new TypeError('a bug');
      }
      const member = Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const local = new LocalStore({ ...options, directory: join(folder.path, 'tokens') });
  const store = new FallbackStore({ shared: buggy, local, merchants: options.merchants });
  const codes: string[] = [];
  try {
    const onNotice = ({ code }: { code: string }): void => void codes.push(code);
    await store.open({ onHint: () => {}, onGap: () => {}, onExpiry: () => {}, onNotice });
    await claimsAreShared(store, 'm');
    const id = tokenId('m', 'token', 'value');
    await store.put({ id, merchant: 'm', kind: 'token', value: 'value', correlators: {}, pooled: true });
    bugs = 2;
    await redis.command('FLUSHALL');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await until('Redis has the token again', async () => (await redis.command('EXISTS', `carat:{m}:t:${id}`)) === 1);
    expect(codes.filter((code) => code === 'reconcile_failed')).toHaveLength(1);
  } finally {
    await store.close();
    await folder.remove();
    await redis.stop();
  }
});

describe('the copy of a token that another instance received', () => {
  test.each(['claimed', 'used'] as const)(
    'and that was %s here while it arrived here, too, survives the loss of Redis',
    async (how) => {
      const redis = await startRedis();
      const folder = await GuardedFolder.make('fallback-');
      const answered = latch<void>();
      const options = { ttlMs: TTL_MS, accept: 'any', maxUnexpected: 10, merchants: ['m'] } as const;
      const shared = new RedisStore({ address: parseStoreUrl(redis.url), ...options, deadlineMs: DEADLINE_MS });
      const late = async (token: NewToken): Promise<PutAnswer> => {
        const answer = await shared.put(token);
        await answered.opened;
        return answer;
      };
      const slow = new Proxy(shared, {
        get(target, name) {
          const member = name === 'put' ? late : Reflect.get(target, name);
          return typeof member === 'function' ? member.bind(target) : member;
        },
      });
      const local = new LocalStore({ ...options, directory: join(folder.path, 'tokens') });
      const store = new FallbackStore({ shared: slow, local, merchants: options.merchants });
      try {
        await store.open({ onHint: () => {}, onGap: () => {}, onExpiry: () => {}, onNotice: () => {} });
        await claimsAreShared(store, 'm');
        const id = tokenId('m', 'token', 'value');
        const token: NewToken = { id, merchant: 'm', kind: 'token', value: 'value', correlators: {}, pooled: true };
        await shared.put(token);
        const again = store.put(token);
        const query = { merchant: 'm', by: 'pool', kind: 'token' } as const;
        await store.claim({ merchant: 'm', claimId: 'c', leaseMs: LONG_MS, query, refuseConflict: false });
        if (how === 'used') expect(await store.settle('m', 'c', 'use')).toBe('done');
        answered.open();
        expect(await again).toBe('known');

        await redis.command('FLUSHALL');
        await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
        await until(
          'Redis has the token again',
          async () => (await redis.command('EXISTS', `carat:{m}:t:${id}`)) === 1,
        );
        expect(await store.settle('m', 'c', 'use')).toBe('done');
        expect(await shared.use('m', id)).toBe('done');
      } finally {
        await store.close();
        await folder.remove();
        await redis.stop();
      }
    },
  );
});

test('a read answers away instead of none until all copies are back in a Redis that lost them', async () => {
  const redis = await startRedis();
  const folder = await GuardedFolder.make('fallback-');
  const options = { ttlMs: TTL_MS, accept: 'any', maxUnexpected: 10, merchants: ['m'] } as const;
  const shared = new RedisStore({ address: parseStoreUrl(redis.url), ...options, deadlineMs: DEADLINE_MS });
  const restoring = latch<void>();
  const restored = latch<void>();
  const slow = new Proxy(shared, {
    get(target, name) {
      const merge: RedisStore['merge'] = async (...request) => {
        restoring.open();
        await restored.opened;
        return target.merge(...request);
      };
      const member = name === 'merge' ? merge : Reflect.get(target, name);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const local = new LocalStore({ ...options, directory: join(folder.path, 'tokens') });
  const store = new FallbackStore({ shared: slow, local, merchants: options.merchants });
  try {
    await store.open({ onHint: () => {}, onGap: () => {}, onExpiry: () => {}, onNotice: () => {} });
    await claimsAreShared(store, 'm');
    const id = tokenId('m', 'seid', 'value');
    await store.put({ id, merchant: 'm', kind: 'seid', value: 'value', correlators: { sid: 's' }, pooled: false });
    await redis.command('FLUSHALL');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await restoring.opened;
    const query = { merchant: 'm', by: 'sid', is: 's' } as const;
    expect(await store.read(query)).toEqual({ state: 'none', away: true });
    restored.open();
    await until('the copy is back', async () => (await store.read(query)).state === 'live');
  } finally {
    restored.open();
    await store.close();
    await folder.remove();
    await redis.stop();
  }
});

test.each([
  ['late', { kind: 'stall', direction: 'to client' }],
  ['lost', { kind: 'blackhole', direction: 'to client' }],
] as const)('the token of each concurrent claim is put back when their answer is %s', async (_how, mode) => {
  const redis = await startRedis();
  const proxy = await startProxy({ host: redis.host, port: redis.port });
  const folder = await GuardedFolder.make('fallback-');
  const options = { ttlMs: TTL_MS, accept: 'any', maxUnexpected: 10, merchants: ['m'] } as const;
  const address = parseStoreUrl(`redis://${LOOPBACK}:${proxy.port}`);
  const shared = new RedisStore({ address, ...options, deadlineMs: scaled(500) });
  const local = new LocalStore({ ...options, directory: join(folder.path, 'tokens') });
  const store = new FallbackStore({ shared, local, merchants: options.merchants });
  const claimIds = ['a', 'b', 'c', 'd'];
  const claim = (claimId: string) => {
    const query = { merchant: 'm', by: 'pool', kind: 'token' } as const;
    return store.claim({ merchant: 'm', claimId, leaseMs: LONG_MS, query, refuseConflict: false });
  };
  const field = (key: string, name: string): Promise<unknown> => redis.command('HGET', `carat:{m}:${key}`, name);
  try {
    await store.open({ onHint: () => {}, onGap: () => {}, onExpiry: () => {}, onNotice: () => {} });
    await claimsAreShared(store, 'm');
    const ids = claimIds.map((value) => tokenId('m', 'token', value));
    for (const [at, id] of ids.entries()) {
      const value = claimIds[at] as string;
      await store.put({ id, merchant: 'm', kind: 'token', value, correlators: {}, pooled: true });
    }
    const deliveries = (): Promise<unknown[]> => Promise.all(ids.map((id) => field(`t:${id}`, 'dl')));
    await proxy.mode(mode);
    const answers = await Promise.all(claimIds.map(claim));
    // Nothing is given here to a claim id that may hold a token there.
    expect(answers).toEqual(claimIds.map(() => ({ state: 'none', elsewhere: true, away: true })));
    expect(await deliveries()).toEqual(['1', '1', '1', '1']);
    await proxy.mode({ kind: 'pass' });
    await until('all are put back', async () => (await deliveries()).every((count) => count === '0'));
    await claimsAreShared(store, 'm');
    const again = await Promise.all(claimIds.map(claim));
    expect(again).toMatchObject(
      claimIds.map((value) => ({ state: 'held', token: { value }, claim: { deliveries: 1 } })),
    );
  } finally {
    await store.close();
    await proxy.stop();
    await folder.remove();
    await redis.stop();
  }
});
