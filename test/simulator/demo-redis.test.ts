import { afterAll } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { testWholeRound } from '../support/whole-round.ts';

let redis: RedisServer | undefined;
afterAll(() => redis?.stop());

testWholeRound('Redis', async () => {
  redis = await startRedis();
  return { STORE_URL: redis.url };
});
