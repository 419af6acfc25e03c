/** The fallback store keeps the contract of a store while Redis takes writes. */
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import { FallbackStore } from '../../../src/store/fallback/fallback-store.ts';
import { LocalStore } from '../../../src/store/fallback/local-store.ts';
import { RedisStore } from '../../../src/store/redis/redis-store.ts';
import { GuardedFolder } from '../../support/guarded-folder.ts';
import { type SharedRedis, shareRedis } from '../../support/redis.ts';
import { scaled } from '../../support/time-scale.ts';
import { until } from '../../support/until.ts';
import { describeStoreContract } from '../contract.ts';

const INSTANCES = 3;

let redis: SharedRedis;
beforeAll(async () => {
  redis = await shareRedis();
});
afterAll(() => redis?.stop());

describeStoreContract('the fallback store', {
  instances: INSTANCES,
  async setup(options) {
    const folder = await GuardedFolder.make('fallback-');
    const [merchant] = options.merchants;
    let opened = 0;
    return {
      async open(events) {
        // Each store has its own local half, like each process.
        const directory = join(folder.path, `${opened++ % INSTANCES}`);
        // On a busy machine, a slow Redis is not an absence.
        const shared = new RedisStore({ address: parseStoreUrl(redis.url), ...options, deadlineMs: scaled(5000) });
        const local = new LocalStore({ ...options, directory });
        const store = new FallbackStore({ shared, local, merchants: options.merchants });
        await store.open(events);
        // Until reconciliation ends, claims get local answers.
        await until('claims are shared', async () => (await store.settle(`${merchant}`, 'nobody', 'use')) !== 'away');
        return store;
      },
      remove: () => folder.remove(),
    };
  },
});
