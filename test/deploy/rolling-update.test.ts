/** Two instances and a Redis behind each proxy of `deploy/`, under load, while one instance after the other is restarted. */
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { findProgram } from '../support/debian-program.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { Instance } from './instance.ts';
import { Load } from './load.ts';
import { Proxy, type ProxyName, SECRET_PATH } from './proxies.ts';

const LANES = 8;
const BETWEEN_MS = 700;

interface Stack {
  redis: RedisServer;
  instances: readonly [Instance, Instance];
  proxy: Proxy;
}

async function withStack(name: ProxyName, use: (stack: Stack) => Promise<void>): Promise<void> {
  const undo: (() => Promise<unknown>)[] = [];
  try {
    const redis = await startRedis();
    undo.push(() => redis.stop());
    const env = { STORE_URL: redis.url, AUTHENTICITY_PATHS: `default=${SECRET_PATH}`, TRUSTED_PROXIES: '127.0.0.1/32' };
    const one = await Instance.start(env);
    undo.push(() => one.remove());
    const two = await Instance.start(env);
    undo.push(() => two.remove());
    const proxy = await Proxy.start(name, [one, two]);
    undo.push(() => proxy.stop());
    await use({ redis, instances: [one, two], proxy });
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

describe.each<ProxyName>(['nginx', 'caddy'])('behind %s', { timeout: 90_000 }, (name) => {
  beforeAll(() => findProgram(name));

  test('a rolling update under load loses no post and no wait', async () => {
    await withStack(name, async ({ instances, proxy }) => {
      const load = await Load.start(proxy, LANES);
      for (const instance of instances) {
        await delay(BETWEEN_MS);
        expect(await instance.stop()).toBe(0);
        await delay(BETWEEN_MS);
        await instance.start();
      }
      await delay(BETWEEN_MS);
      const { posts, refused, handedOver, lost, repolls } = await load.stop();
      process.stderr.write(`${name}: ${posts} posts, ${handedOver} handed over, asked again ${JSON.stringify(repolls)}\n`);
      expect(refused).toEqual([]);
      expect(lost).toEqual([]);
      expect(handedOver).toBe(posts);
      expect(posts).toBeGreaterThan(100);
    });
  });

  test('every post is answered 200, the client address is the real one, and the path stays secret', async () => {
    await withStack(name, async ({ proxy }) => {
      const load = await Load.start(proxy, 0);
      const ok = { status: 200, body: 'OK' };
      expect(await load.post('seid=one&merchant_data=1', { 'x-forwarded-for': '203.0.113.9' })).toEqual(ok);
      expect(await load.post('')).toEqual(ok);
      expect(await load.post('x'.repeat(100_000))).toEqual(ok);
      expect(await load.post('x'.repeat(3_000_000))).toEqual(ok);
      expect(await load.post('x'.repeat(3_000_000), { 'transfer-encoding': 'chunked' })).toEqual(ok);
      expect(JSON.parse((await load.get('/v1/tokens?merchant_data=1')).body).value).toBe('one');
      await load.stop();
      expect(await proxy.accessLog()).toContain('127.0.0.1');
      expect(await proxy.accessLog()).not.toContain(SECRET_PATH);
      expect(proxy.output).not.toContain(SECRET_PATH);
    });
  });
});
