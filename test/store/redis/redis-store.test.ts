/** The Redis store keeps the contract on a real server. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import { RedisStore } from '../../../src/store/redis/redis-store.ts';
import { tokenId } from '../../../src/token.ts';
import { type SharedRedis, shareRedis } from '../../support/redis.ts';
import { scaled } from '../../support/time-scale.ts';
import { describeStoreContract } from '../contract.ts';

let redis: SharedRedis;
beforeAll(async () => {
  redis = await shareRedis();
});
afterAll(() => redis?.stop());

describeStoreContract('the store on Redis', {
  instances: 3,
  async setup(options) {
    return {
      async open(events) {
        const store = new RedisStore({ address: parseStoreUrl(redis.url), deadlineMs: scaled(5000), ...options });
        await store.open(events);
        return store;
      },
      // Every case has its own merchants, whose keys expire.
      remove: async () => {},
    };
  },
});

test('concurrent claims skip a value that they cannot open, and each answer names its key', async () => {
  const merchant = `m-${randomBytes(6).toString('hex')}`;
  const options = { merchants: [merchant], ttlMs: 60_000, accept: 'any', maxUnexpected: 10 } as const;
  const address = parseStoreUrl(redis.url);
  const store = new RedisStore({ address, deadlineMs: scaled(5000), openable: new Set(['aa']), ...options });
  await store.open({ onHint: () => {}, onGap: () => {}, onExpiry: () => {}, onNotice: () => {} });
  try {
    const put = (value: string) => {
      const token = { merchant, kind: 'token', value, correlators: {}, pooled: true } as const;
      return store.put({ ...token, id: tokenId(merchant, 'token', value) });
    };
    const claim = (claimId: string) => {
      const query = { merchant, by: 'pool', kind: 'token' } as const;
      return store.claim({ merchant, claimId, leaseMs: 60_000, query, refuseConflict: false });
    };
    await put('sealed bb 1');
    expect(await claim('c0')).toEqual({ state: 'none', unknownKey: 'bb' });
    await put('sealed aa 2');
    await put('sealed cc 3');
    await put('sealed aa 4');
    expect(await Promise.all(['c1', 'c2', 'c3'].map(claim))).toMatchObject([
      { state: 'held', token: { value: 'sealed aa 2' }, unknownKey: 'bb' },
      { state: 'held', token: { value: 'sealed aa 4' }, unknownKey: 'cc' },
      { state: 'none', unknownKey: 'cc' },
    ]);
  } finally {
    await store.close();
  }
});
