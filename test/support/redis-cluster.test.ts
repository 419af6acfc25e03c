import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RedisCluster, startCluster } from './redis-cluster.ts';
import { until } from './until.ts';

let cluster: RedisCluster;

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(() => cluster?.stop());

test('three masters share the slots, and each has a replica', async () => {
  const roles = await Promise.all(cluster.nodes.map((node) => cluster.roleOf(node)));
  expect(roles).toEqual(['master', 'master', 'master', 'replica', 'replica', 'replica']);
  expect(cluster.url).toMatch(/^redis-cluster:\/\/(127\.0\.0\.1:\d+,){5}127\.0\.0\.1:\d+$/);
  const owners = new Set<number>();
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
    const master = await cluster.masterOf(key);
    expect(await master.command('SET', key, key)).toBe('OK');
    owners.add(master.port);
  }
  expect(owners.size).toBe(3);
});

test('a replica replaces a killed master, which comes back as a replica', async () => {
  const master = await cluster.masterOf('{merchant}');
  await master.command('SET', '{merchant}', 'kept');
  await master.command('WAIT', '1', '1000');
  await master.kill();
  const promoted = await until('a replica is promoted', async () => {
    const owner = await cluster.masterOf('{merchant}');
    return owner !== master && owner;
  });
  await cluster.settled();
  expect(await cluster.roleOf(promoted)).toBe('master');
  expect(await promoted.command('GET', '{merchant}')).toBe('kept');
  await master.restart();
  await cluster.settled();
  await until('it is a replica', async () => (await cluster.roleOf(master)) === 'replica');
});
