/** The Redis store keeps the contract on a Cluster, behind Sentinel, and on Valkey. */
import { afterAll, beforeAll, describe } from 'vitest';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import { RedisStore } from '../../../src/store/redis/redis-store.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';
import { startCluster } from '../../support/redis-cluster.ts';
import { startSentinel } from '../../support/redis-sentinel.ts';
import { scaled } from '../../support/time-scale.ts';
import { describeStoreContract, type Part } from '../contract.ts';

interface Topology {
  name: string;
  start: () => Promise<Pick<RedisServer, 'url' | 'stop'>>;
  /** The differences to one Redis: how scripts run, and how connections are found and get hints. */
  parts: Part[];
}

const TOPOLOGIES: Topology[] = [
  {
    // No failover: a hint is lost when the nodes of a busy machine consider each other dead.
    name: 'Redis Cluster',
    start: () => startCluster({ config: { 'cluster-node-timeout': String(scaled(15_000)) } }),
    parts: ['tokens', 'claims', 'settling', 'expectations', 'hints', 'concurrency'],
  },
  { name: 'Redis behind Sentinel', start: () => startSentinel(), parts: ['tokens', 'hints'] },
  {
    name: 'Valkey',
    start: () => startRedis({ server: 'valkey' }),
    parts: ['tokens', 'claims', 'leases', 'settling', 'expectations', 'expiry', 'hints'],
  },
];

describe.each(TOPOLOGIES)('on $name', ({ name, start, parts }) => {
  let servers: Pick<RedisServer, 'url' | 'stop'>;
  beforeAll(async () => {
    servers = await start();
  });
  afterAll(() => servers?.stop());

  describeStoreContract(
    `the store on ${name}`,
    {
      instances: 3,
      async setup(options) {
        return {
          async open(events) {
            const store = new RedisStore({ address: parseStoreUrl(servers.url), deadlineMs: scaled(5000), ...options });
            await store.open(events);
            return store;
          },
          // Every case has its own merchants, whose keys expire.
          remove: async () => {},
        };
      },
    },
    parts,
  );
});
