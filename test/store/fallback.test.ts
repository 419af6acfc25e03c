/** The fallback store keeps the contract of a store: while Redis takes writes, and while it is away from the start. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { FallbackStore } from '../../src/store/fallback.ts';
import { LocalStore } from '../../src/store/local.ts';
import { RedisStore } from '../../src/store/redis.ts';
import { parseStoreUrl } from '../../src/store/redis-address.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { describeStoreContract, type Implementation } from './contract.ts';

/** On a machine that does much else, Redis is not away because it is slow. */
const DEADLINE_MS = 5000;

/** Each store has a local half of its own, as each process has. */
function over(url: () => string, instances: number): Implementation {
  return {
    instances,
    async setup(options) {
      const folder = await GuardedFolder.make('fallback-');
      let opened = 0;
      return {
        async open(events) {
          const directory = join(folder.path, `${opened++ % instances}`);
          const shared = new RedisStore({ address: parseStoreUrl(url()), ...options, deadlineMs: DEADLINE_MS });
          const local = new LocalStore({ ...options, unmatched: 'deferred', directory });
          const store = new FallbackStore({ shared, local, merchants: options.merchants });
          await store.open(events);
          // What was brought together at the start is: until then, claims are answered from here.
          const [merchant] = options.merchants as [string];
          await until('claims are shared', async () => (await store.settle(merchant, 'nobody', 'use')) !== 'away');
          return store;
        },
        remove: () => folder.remove(),
      };
    },
  };
}

describe('around a Redis that is there', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  describeStoreContract(
    'the fallback store',
    over(() => redis.url, 3),
  );
});
