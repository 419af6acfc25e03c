import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { RunningService } from '../support/service.ts';
import { describeAsks } from './asks.ts';
import { caratEnv } from './world.ts';

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

  it('gets an error that names each wrong field, without its value', async () => {
    const service = await RunningService.start({ env: caratEnv(nowhere, nowhere) });
    const number = '5222333344445555';
    const sid = 'a1'.repeat(32);
    const cases: [string, object, string, string][] = [
      ['/v1/schedule-edits', {}, 'sid', 'exactly 64'],
      ['/v1/schedule-edits', { sid: number }, 'sid', 'exactly 64'],
      ['/v1/schedule-edits', { sid, merchant_data: 'x'.repeat(21) }, 'merchant_data', '1 to 20'],
      ['/v1/schedule-edits', { sid, wait: 61 }, 'wait', 'seconds'],
      ['/v1/schedule-edits', { sid, color: 'red' }, 'color', 'no such parameter'],
      ['/v1/schedule-edits', { sid, card: { number } }, 'card', 'send it to Carat directly'],
      ['/v1/cancellations', { esitef_usn: '1', security_code: '837' }, 'security_code', 'send it to Carat directly'],
      ['/v1/cancellations', { esitef_usn: '1', cardNumber: number }, 'cardNumber', 'send it to Carat directly'],
      ['/v1/cancellations', { esitef_usn: '1' }, 'merchant_usn', 'order_id'],
      ['/v1/cancellations', { esitef_usn: '1', merchant_usn: number }, 'merchant_usn', '1 to 12 digits'],
      ['/v1/generic-tokens', { number }, 'number', 'send it to Carat directly'],
      ['/v1/generic-tokens', { merchant: 'nobody' }, 'merchant', 'AUTHENTICITY_PATHS'],
    ];
    for (const [path, body, parameter, expected] of cases) {
      const { status, json, text } = await service.worker('POST', path, { body });
      expect([status, json.code]).toEqual([400, 'invalid_request']);
      expect(json.errors).toMatchObject([{ parameter, expected: expect.stringContaining(expected) }]);
      expect(text).not.toMatch(/5222|837/);
    }
    await service.stop();
  });
});
