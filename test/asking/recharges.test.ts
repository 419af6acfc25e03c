import { afterAll, beforeAll, beforeEach } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { describeRecharges } from './recharges.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(() => redis.command('FLUSHALL'));

describeRecharges('the embedded store', () => undefined);
describeRecharges('Redis', () => redis);
