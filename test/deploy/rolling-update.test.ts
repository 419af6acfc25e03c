/**
 * Two instances and a Redis behind the proxies of `deploy/`. Behind nginx and HAProxy, one instance
 * after the other is restarted under load. Caddy is not put to that: the version that Debian has
 * cannot send a post's body a second time (docs/deployment.md).
 */
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { Instance } from './instance.ts';
import { Load } from './load.ts';
import { type ProxyName, ProxyServer, SECRET_PATH } from './proxies.ts';

const LANES = 8;
const BETWEEN_MS = 500;

let redis: RedisServer;
const started: Instance[] = [];
let instances: readonly [Instance, Instance];

beforeAll(async () => {
  redis = await startRedis();
  const env = { STORE_URL: redis.url, AUTHENTICITY_PATHS: `default=${SECRET_PATH}`, TRUSTED_PROXIES: '127.0.0.1/32' };
  // Two machines with the same ports, as `deploy/` has them.
  const ports = { port: await freePort(), workerPort: await freePort() };
  const start = async (host: string): Promise<Instance> => {
    const instance = await Instance.start({ host, ...ports }, env);
    started.push(instance);
    return instance;
  };
  instances = [await start('127.0.0.11'), await start('127.0.0.12')];
});

afterAll(async () => {
  await Promise.all(started.map((instance) => instance.remove()));
  await redis?.stop();
});

describe.each<ProxyName>(['nginx', 'haproxy', 'caddy'])('behind %s', (name) => {
  let proxy: ProxyServer;
  beforeAll(async () => {
    proxy = await ProxyServer.start(name, instances);
  });
  afterAll(() => proxy?.stop());

  test('every post gets 200, keeps its real sender, and the path stays secret', async () => {
    const load = await Load.start(proxy, 0);
    const ok = { status: 200, body: 'OK' };
    expect(await load.post(`seid=${name}&merchant_data=1`, { 'x-forwarded-for': '203.0.113.9' })).toEqual(ok);
    expect(await load.post('')).toEqual(ok);
    expect(await load.post('x'.repeat(100_000))).toEqual(ok);
    expect(await load.post('x'.repeat(1_500_000))).toEqual(ok);
    expect(await load.post('x'.repeat(1_500_000), { 'transfer-encoding': 'chunked' })).toEqual(ok);
    expect(JSON.parse((await load.get('/v1/tokens?merchant_data=1')).body).value).toBe(name);
    expect((await load.get('/v1/tokens?nonsense=1')).status).toBe(400);
    await load.stop();
    const senders = instances.map(({ output }) => output).join('\n');
    expect(senders).toContain('127.0.0.1');
    expect(senders).not.toContain('203.0.113.9');
    expect(await proxy.accessLog()).toContain('127.0.0.1');
    expect(await proxy.accessLog()).not.toContain(SECRET_PATH);
    expect(proxy.output).not.toContain(SECRET_PATH);
  });

  test('an event is forwarded at once', async () => {
    const stream = await fetch(`http://${LOOPBACK}:${proxy.workerPort}/v1/events`, {
      headers: { connection: 'close' },
    });
    const load = await Load.start(proxy, 0);
    await load.post(`seid=event-${name}&merchant_data=event-${name}`);
    await load.stop();
    const decoder = new TextDecoder();
    let seen = '';
    for await (const chunk of stream.body ?? []) {
      seen += decoder.decode(chunk as Uint8Array, { stream: true });
      if (seen.includes(`event-${name}`)) break;
    }
    expect(seen).toContain('event: ');
  });

  test('a worker that disconnects while it waits frees its waiter at once', async () => {
    const parked = async (): Promise<number> => {
      const counts = instances.map(async ({ place }) => {
        const ready = await fetch(`http://${place.host}:${place.workerPort}/readyz`, {
          headers: { connection: 'close' },
        });
        return ((await ready.json()) as { waiters: { parked: number } }).waiters.parked;
      });
      return (await Promise.all(counts)).reduce((sum, count) => sum + count);
    };
    const worker = connect(proxy.workerPort, LOOPBACK);
    const claim = '{"kind":"token","wait":60}';
    const head = `PUT /v1/claims/leaving HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`;
    worker.write(`${head}Content-Length: ${claim.length}\r\n\r\n${claim}`);
    await until('it waits', async () => (await parked()) === 1);
    worker.destroy();
    await until('nobody waits', async () => (await parked()) === 0);
  });

  if (name === 'caddy' && process.env['ROLLING_CADDY'] === undefined) return;
  test('loses no post and no wait in a rolling update under load', async () => {
    const load = await Load.start(proxy, LANES);
    for (const instance of instances) {
      await delay(BETWEEN_MS);
      expect(await instance.stop()).toBe(0);
      await delay(BETWEEN_MS);
      await instance.start();
    }
    await delay(BETWEEN_MS);
    const { posts, refused, handedOver, lost, repolls } = await load.stop();
    process.stderr.write(
      `${name}: ${posts} posts, ${handedOver} handed over, asked again ${JSON.stringify(repolls)}\n`,
    );
    expect(refused).toEqual([]);
    expect(lost).toEqual([]);
    expect(handedOver).toBe(posts);
    expect(posts).toBeGreaterThan(50);
  });
});
