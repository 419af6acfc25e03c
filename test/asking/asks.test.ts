import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { RunningService } from '../support/service.ts';
import { describeAsks } from './asks.ts';
import { caratEnv, startAskingWorld } from './world.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(() => redis.command('FLUSHALL'));

describeAsks('the embedded store', () => undefined);
describeAsks('Redis', () => redis);

describe('a request that cannot go to Carat', () => {
  let nowhere: string;
  beforeEach(async () => {
    nowhere = `http://${LOOPBACK}:${await freePort()}`;
  });

  it('gets 501 with the name of the variable when credentials are missing', async () => {
    const [none, some] = await Promise.all([
      RunningService.start(),
      RunningService.start({
        env: { ...caratEnv(nowhere, nowhere), AUTHENTICITY_PATHS: 'default=/a,other=/b' },
      }),
    ]);
    const asked = [
      await none.worker('POST', '/v1/generic-tokens', { body: {} }),
      await some.worker('POST', '/v1/generic-tokens', { body: { merchant: 'other' } }),
    ];
    for (const { status, json } of asked) {
      expect([status, json.code, json.detail]).toEqual([
        501,
        'not_configured',
        expect.stringContaining('CARAT_CREDENTIALS'),
      ]);
    }
    const refused = await some.worker('POST', '/v1/generic-tokens', { body: {} });
    expect([refused.status, refused.json.code]).toEqual([502, 'carat_unreachable']);
    await Promise.all([none.stop(), some.stop()]);
  });

  it('gets 503 when the store cannot keep its recharge', async () => {
    const world = await startAskingWorld({ env: { STORE_URL: `redis://${nowhere.replace('http://', '')}` } });
    const { status, json } = await world.ask('POST', '/v1/recharges', { body: { merchant_usn: '2398' } });
    expect([status, json.code, world.calls('recharges.begin')]).toEqual([503, 'store_away', 0]);
    await world.close();
  });
});
