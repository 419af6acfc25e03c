/** The Redis store keeps the contract on a real server. */
import { afterAll, beforeAll } from 'vitest';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import { RedisStore } from '../../../src/store/redis/redis-store.ts';
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
