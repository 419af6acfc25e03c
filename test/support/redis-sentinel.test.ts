import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RedisSentinel, startSentinel } from './redis-sentinel.ts';
import { until } from './until.ts';

let sentinel: RedisSentinel;

beforeAll(async () => {
  sentinel = await startSentinel();
});

afterAll(() => sentinel?.stop());

test('the Sentinels agree on the master, and a replica replaces it when it is killed', async () => {
  expect(sentinel.url).toMatch(/^redis-sentinel:\/\/127\.0\.0\.1:\d+,127\.0\.0\.1:\d+,127\.0\.0\.1:\d+\/tokens$/);
  const master = await sentinel.master();
  expect(master).toBe(sentinel.servers[0]);
  await master.command('SET', 'key', 'kept');
  await master.command('WAIT', '2', '1000');
  await master.kill();
  const promoted = await until('a replica is promoted', async () => {
    const current = await sentinel.master();
    return current !== master && current;
  });
  expect((await promoted.info('replication')).get('role')).toBe('master');
  expect(await promoted.command('GET', 'key')).toBe('kept');
  expect(await promoted.command('SET', 'key', 'written')).toBe('OK');
});
