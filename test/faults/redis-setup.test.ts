/** A Redis with a wrong set-up: reported by name at the start, and in `readyz`. */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { Instance } from '../support/instance.ts';
import { startRedis } from '../support/redis.ts';
import { startCluster } from '../support/redis-cluster.ts';
import { startSentinel } from '../support/redis-sentinel.ts';
import { until } from '../support/until.ts';

const SEID = 's'.repeat(64);

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function start(url: string, env?: Record<string, string>): Promise<Instance> {
  const instance = await Instance.start(url, env);
  stops.push(() => instance.stop());
  return instance;
}

it('uses no other database when that of STORE_URL does not exist', async () => {
  const redis = await startRedis({ config: { databases: '4' } });
  stops.push(() => redis.stop());
  const instance = await start(`${redis.url}/4`);
  expect(instance.told('redis_no_database')).toBe(1);
  expect((await instance.ready()).store).toMatchObject({ state: 'away', detail: expect.stringContaining('database') });
  expect((await instance.post({ seid: SEID, merchant_data: 'm' })).status).toBe(200);
  expect((await instance.read({ merchant_data: 'm' })).body).toMatchObject({ value: SEID });
  expect(await redis.command('DBSIZE')).toBe(0);
});

it('keeps its tokens in the database of STORE_URL, also after a reconnect', async () => {
  const redis = await startRedis({ config: { databases: '4' } });
  stops.push(() => redis.stop());
  const instance = await start(`${redis.url}/3`);
  await instance.post({ seid: SEID, merchant_data: 'm' });
  await redis.restart();
  await instance.settled();
  await instance.post({ token: SEID });
  expect((await instance.claim('c', { kind: 'token' })).body).toMatchObject({ value: SEID });
  expect(await redis.command('DBSIZE')).toBe(0);
  expect((await redis.info('keyspace')).has('db3')).toBe(true);
});

it('names a missing channel permission once, and uses Redis when it is granted', async () => {
  const redis = await startRedis();
  stops.push(() => redis.stop());
  await redis.command('ACL', 'SETUSER', 'carat', 'on', '>secret', '~*', '+@all', 'resetchannels');
  const instance = await start(redis.url.replace('://', '://carat:secret@'));
  expect(instance.told('redis_no_permission')).toBe(1);
  expect((await instance.ready()).store).toMatchObject({
    state: 'away',
    detail: expect.stringContaining('permission'),
  });
  expect((await instance.post({ token: SEID })).status).toBe(200);
  expect((await instance.claim('c', { kind: 'token' })).body).toMatchObject({ value: SEID });
  expect(await redis.command('EXISTS', 'carat:{default}:s')).toBe(0);
  await redis.command('ACL', 'SETUSER', 'carat', '&carat:*');
  await instance.settled();
  expect((await instance.used('c')).status).toBe(204);
  expect([instance.told('store_away'), instance.told('redis_no_permission')]).toEqual([1, 1]);
});

it('reports a cluster node behind a single-server URL before the first post', async () => {
  const cluster = await startCluster();
  stops.push(() => cluster.stop());
  const paths = ['a', 'b', 'c', 'd', 'e', 'f'].map((merchant) => `${merchant}=/${merchant}`).join(',');
  const instance = await start(cluster.nodes[0]?.url ?? '', { AUTHENTICITY_PATHS: paths });
  expect(instance.told('redis_is_cluster')).toBe(1);
  expect((await instance.ready()).store).toMatchObject({
    state: 'away',
    detail: expect.stringContaining('redis-cluster://'),
  });
}, 60_000);

it('uses the password of the sentinels', async () => {
  const sentinel = await startSentinel({}, { requirepass: 'of-the/sentinels' });
  stops.push(() => sentinel.stop());
  const instance = await start(`${sentinel.url}?sentinel_password=of-the%2Fsentinels`);
  await instance.settled();
  expect((await instance.ready()).store).toMatchObject({ state: 'ok' });
  expect(instance.told('redis_unreachable')).toBe(0);
}, 60_000);

it('reports each reason once when two reasons alternate', async () => {
  let attempts = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    attempts += 1;
    sockets.add(socket.on('error', () => {}));
    if (attempts % 2 === 0) socket.resetAndDestroy();
    else socket.end('-ERR no TLS here\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const instance = await start(`rediss://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await until('many attempts', () => attempts > 100, 60_000);
  expect(instance.told('redis_unreachable')).toBeGreaterThan(1);
  expect(instance.told('redis_unreachable')).toBeLessThanOrEqual(10);
}, 90_000);
