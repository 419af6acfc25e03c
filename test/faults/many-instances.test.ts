/** Many workers at several instances over one Redis: exclusive, served, and cheap for Redis. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { Instance } from '../support/instance.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { scaled } from '../support/time-scale.ts';
import { until } from '../support/until.ts';

const value = (): string => randomBytes(32).toString('hex');
const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

describe('two instances', () => {
  let redis: RedisServer;
  let a: Instance;
  let b: Instance;
  beforeAll(async () => {
    redis = await startRedis();
    a = await Instance.start(redis.url);
    b = await Instance.start(redis.url);
    await a.settled();
    await b.settled();
  });
  afterAll(async () => {
    await a?.stop();
    await b?.stop();
    await redis?.stop();
  });

  it('give 60 claimers 60 pool tokens, none twice', async () => {
    const tokens = numbers(60).map(value);
    const claims = numbers(60).map((at) => (at % 2 === 0 ? a : b).claim(`c${at}`, { kind: 'token', wait: 20 }));
    await Promise.all(tokens.map((token, at) => (at % 3 === 0 ? a : b).post({ token })));
    const given = (await Promise.all(claims)).map(({ body }) => body?.['value']);
    expect(new Set(given)).toEqual(new Set(tokens));
    await Promise.all(numbers(60).map(async (at) => expect((await a.used(`c${at}`)).status).toBe(204)));
    expect((await b.claim('late', { kind: 'token' })).status).toBe(204);
  });

  it('send the posts of one tick to Redis in one call', async () => {
    await redis.command('CONFIG', 'RESETSTAT');
    const { store } = a.service;
    const tokens = numbers(50).map((at) => ({ value: value(), at }));
    await Promise.all(
      tokens.map(({ value, at }) =>
        store.put({
          id: `tick-${at}`,
          merchant: 'default',
          kind: 'seid',
          value,
          correlators: { sid: `tick${at}` },
          pooled: false,
        }),
      ),
    );
    const calls = async (): Promise<number> =>
      Number(/calls=(\d+)/.exec((await redis.info('commandstats')).get('cmdstat_evalsha') ?? '')?.[1]);
    // One, and the calls of the sweeps of two instances.
    expect(await calls()).toBeLessThan(10);
  });
});

it('serves all waiting workers soon when their instance loses its subscription', async () => {
  const redis = await startRedis();
  const [a, b] = [await Instance.start(redis.url), await Instance.start(redis.url)];
  try {
    await a.settled();
    const waits = numbers(50).map((at) => a.read({ merchant_data: `k${at}`, wait: 20 }));
    await until('all wait', () => a.service.waiters.count === 50);
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await Promise.all(numbers(50).map((at) => b.post({ seid: value(), merchant_data: `k${at}` })));
    const answers = await Promise.all(waits);
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(scaled(8000));
  } finally {
    await a.stop();
    await b.stop();
    await redis.stop();
  }
});

it('leaves only a counter and a mark in Redis after expiry, which expire, too', async () => {
  const redis = await startRedis();
  const a = await Instance.start(redis.url, { TOKEN_TTL_SECONDS: '1', ACCEPT: 'any' });
  try {
    await a.settled();
    await Promise.all(numbers(50).map((at) => a.post({ seid: value(), merchant_data: `x${at}` })));
    await Promise.all(numbers(50).map(() => a.post({ token: value() })));
    await a.read({ merchant_data: 'x1' });
    await a.claim('c1', { kind: 'token' });
    await a.used('c1');
    await a.claim('c2', { kind: 'token' });
    await a.claim('c3', { merchant_data: 'x2' });
    await until('the keys are gone', async () => {
      const keys = ((await redis.command('KEYS', '*')) as string[]).filter((key) => !/:[sw]$/.test(key));
      return keys.length === 0;
    });
    // The counter, and the mark of this instance.
    for (const key of (await redis.command('KEYS', '*')) as string[]) {
      expect(Number(await redis.command('PTTL', key))).toBeGreaterThan(0);
    }
    await until('the journal is empty, too', async () => (await a.ready()).fallback['journaled'] === 0);
  } finally {
    await a.stop();
    await redis.stop();
  }
});

it('warns once about eviction and once about a missing AOF', async () => {
  const redis = await startRedis({ config: { 'maxmemory-policy': 'allkeys-lru', appendonly: 'no' } });
  const a = await Instance.start(redis.url);
  try {
    await until('both are reported', () => a.told('redis_eviction') > 0 && a.told('redis_no_aof') > 0);
    await redis.command('CLIENT', 'KILL', 'TYPE', 'normal');
    await a.settled();
    expect([a.told('redis_eviction'), a.told('redis_no_aof')]).toEqual([1, 1]);
    expect([a.told('redis_version'), a.told('redis_clock')]).toEqual([0, 0]);
  } finally {
    await a.stop();
    await redis.stop();
  }
});

it('connects with TLS, its own authority, a user, a password and a database', async () => {
  const folder = await GuardedFolder.make('certificate-');
  const tls = await makeCertificate(folder.path);
  const redis = await startRedis({ tls, config: { user: 'carat on >p%40ss ~* &* +@all' } });
  const a = await Instance.start(`rediss://carat:p%2540ss@localhost:${redis.port}/3?ca=${tls.certFile}`);
  try {
    await a.settled();
    await a.post({ seid: value(), merchant_data: 'x' });
    expect((await redis.info('keyspace')).get('db3')).toContain('keys=');
    expect(a.told('store_away')).toBe(0);
  } finally {
    await a.stop();
    await redis.stop();
    await folder.remove();
  }
});
