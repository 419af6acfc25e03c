/** Warnings about the Redis server at connection: one for each problem of its set-up. */
import type { Redis } from 'ioredis';
import type { Notice } from '../notice.ts';
import type { RedisClient } from './client.ts';
import { connected } from './topology.ts';

const LEAST_VERSION = 7;
const MOST_SKEW_MS = 1000;

/** Reports problems of the server, or of each master of a cluster, after the connection. */
export async function tellOfServers(
  client: RedisClient,
  shown: string,
  onNotice: (trouble: Notice) => void,
): Promise<void> {
  await connected(client);
  const servers = 'nodes' in client ? client.nodes('master') : [client as Redis];
  for (const server of servers) {
    tellOfServer(server, shown, onNotice).catch(() => {
      // The server went away or denies the command. The next start asks again.
    });
  }
}

async function tellOfServer(server: Redis, shown: string, onNotice: (trouble: Notice) => void): Promise<void> {
  const warn = (code: string, message: string): void =>
    onNotice({ level: 'warn', code, message, facts: { redis: shown } });
  const before = Date.now();
  const [seconds = 0, micros = 0] = (await server.time()).map(Number);
  const mine = (before + Date.now()) / 2;
  const skewMs = Math.round(seconds * 1000 + micros / 1000 - mine);
  if (Math.abs(skewMs) > MOST_SKEW_MS) {
    warn('redis_clock', `the clock of Redis is ${skewMs} ms off ours; deadlines are by the clock of Redis`);
  }
  const facts = new Map<string, string>();
  for (const line of (await server.info()).split('\r\n')) {
    const [name = '', value = ''] = line.split(/:(.*)/s);
    facts.set(name, value);
  }
  const version = facts.get('redis_version') ?? '0';
  // Valkey reports the Redis version that it is compatible with: 7.
  if (Number.parseInt(version, 10) < LEAST_VERSION)
    warn('redis_version', `Redis is version ${version}; expected 7 or newer`);
  const policy = facts.get('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction') {
    warn('redis_eviction', `maxmemory-policy is ${policy}; with anything but noeviction, Redis may drop tokens`);
  }
  if (facts.get('aof_enabled') === '0') {
    warn(
      'redis_no_aof',
      'Redis has no append-only file; tokens are lost when it restarts, but for those journaled here',
    );
  }
}
