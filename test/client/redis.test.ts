import { afterAll, beforeAll, beforeEach } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { describeClient } from './behaviour.ts';
import { describeWithToken } from './with-token.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

// The tests share the server, but nothing in it.
beforeEach(() => redis.command('FLUSHALL'));

const env = () => ({ STORE_URL: redis.url });
describeClient('Redis', env);
describeWithToken('Redis', env);
