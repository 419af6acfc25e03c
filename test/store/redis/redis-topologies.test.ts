/** The Redis store keeps the contract on a Cluster and behind Sentinel. */
import { afterAll, beforeAll, describe } from 'vitest';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import { RedisStore } from '../../../src/store/redis/redis-store.ts';
import type { RedisServer } from '../../support/redis.ts';
import { startCluster } from '../../support/redis-cluster.ts';
import { startSentinel } from '../../support/redis-sentinel.ts';
import { scaled } from '../../support/time-scale.ts';
import { describeStoreContract } from '../contract.ts';

const TOPOLOGIES = [
  {
    name: 'Redis Cluster', // Nothing fails over here: a hint is lost when the nodes of a busy machine take each other for dead.
    start: () => startCluster({ config: { 'cluster-node-timeout': '15000' } }),
  },
  { name: 'Redis behind Sentinel', start: () => startSentinel() },
];

describe.each(TOPOLOGIES)('on $name', ({ name, start }) => {
  let servers: Pick<RedisServer, 'url' | 'stop'>;
  beforeAll(async () => {
    servers = await start();
  });
  afterAll(() => servers.stop());

  describeStoreContract(`the store on ${name}`, {
    instances: 3,
    async setup(options) {
      return {
        async open(events) {
          const store = new RedisStore({ address: parseStoreUrl(servers.url), deadlineMs: scaled(5000), ...options });
          await store.open(events);
          return store;
        },
        // Every case has merchants of its own, whose keys end by themselves.
        remove: async () => {},
      };
    },
  });
});
