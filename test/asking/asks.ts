/** Asking Carat for tokens through the service, whichever store the service has. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FaultName } from '../../src/simulator/faults.ts';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { type AskingWorld, startAskingWorld } from './world.ts';

const SAID = { code: '0', message: expect.any(String) };
const VALUE = /^[0-9a-f]{64}$/;
const TIMES = { received_at: expect.any(String), expires_at: expect.any(String) };
/** Each ask that needs nothing prepared, its call at the simulator, and the field of its token. */
const ASKS = [
  ['/v1/generic-tokens', 'genericOperations.askToken', {}],
  ['/v1/merchant-tokens', 'merchants.askToken', {}],
] as const;

export function describeAsks(store: string, redis: () => RedisServer | undefined): void {
  describe(`asking Carat through a service on ${store}`, () => {
    let world: AskingWorld;
    beforeEach(async () => {
      world = await startAskingWorld({ redis: redis(), env: { ACCEPT: 'expected' } });
    });
    afterEach(() => world.close());
    const last = () => world.services.at(-1);

    it('answers the SEID of a schedule edit with a fresh merchant_data, or with the one given', async () => {
      const sid = await world.sid();
      const fresh = await world.ask('POST', '/v1/schedule-edits', { body: { sid } }, last());
      expect(fresh).toMatchObject({
        status: 201,
        json: {
          seid: expect.stringMatching(VALUE),
          sid,
          merchant_data: expect.stringMatching(/^[0-9a-z]{20}$/),
          ...TIMES,
        },
      });
      expect(fresh.json.carat).toEqual(SAID);
      const body = { sid, merchant_data: 'mine1' };
      expect((await world.ask('POST', '/v1/schedule-edits', { body })).json).toMatchObject({ merchant_data: 'mine1' });
      const used = await world.ask('GET', `/v1/tokens?merchant_data=${fresh.json.merchant_data}`);
      expect([used.status, used.json.code]).toEqual([410, 'used']);
    });

    it('answers a generic token, also to an empty body of any type, and the token of a registration', async () => {
      for (const [path] of ASKS) {
        const asked = await world.ask('POST', path, { body: {} }, last());
        expect(asked).toMatchObject({
          status: 201,
          json: { token: expect.stringMatching(VALUE), carat: SAID, ...TIMES },
        });
      }
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      expect((await world.ask('POST', '/v1/generic-tokens', { headers })).status).toBe(201);
      expect((await world.ask('PUT', '/v1/claims/left', { body: { kind: 'token' } })).status).toBe(204);
    });

    it('answers the NIT of a cancellation', async () => {
      const esitef_usn = await world.payment('7001');
      const body = { esitef_usn, merchant_usn: '7001' };
      const asked = await world.ask('POST', '/v1/cancellations', { body }, last());
      expect(asked).toMatchObject({
        status: 201,
        json: { nit: expect.stringMatching(VALUE), ...body, carat: SAID, ...TIMES },
      });
    });

    it.each<[FaultName, number, string, object]>([
      ['denied', 502, 'carat_refused', { carat: { code: '999' } }],
      ['error-500', 502, 'carat_unreachable', {}],
      ['closed-early', 502, 'carat_unreachable', {}],
      ['no-post', 504, 'no_post', {}],
    ])('tells %s by %i %s, asks once, and leaves nothing', async (fault, status, code, more) => {
      for (const [path, call] of ASKS) {
        world.simulator.plan({ fault, call });
        const asked = await world.ask('POST', path, { body: { wait: 1 } }, last());
        expect(asked).toMatchObject({ status, json: { code, ...more } });
        expect(world.calls(call)).toBe(1);
      }
      expect((await world.ask('PUT', '/v1/claims/left', { body: { kind: 'token' } })).status).toBe(204);
    });

    it.each<[FaultName, string | undefined]>([
      ['closed-connection', undefined],
      ['post-after-answer', '50'],
      ['double-post', undefined],
      ['unknown-fields', undefined],
    ])('answers the token all the same when the simulator commits %s', async (fault, value) => {
      for (const [path, call] of ASKS) {
        world.simulator.plan({ fault, value, call });
        const asked = await world.ask('POST', path, { body: {} }, last());
        expect(asked).toMatchObject({ status: 201, json: { token: expect.stringMatching(VALUE) } });
        expect(asked.json.carat).toEqual(fault === 'closed-connection' ? null : SAID);
        expect(world.calls(call)).toBe(1);
      }
    });

    it('puts the token of a caller that went away back', async () => {
      const sid = await world.sid();
      for (const [path, body, call] of [
        ['/v1/schedule-edits', { sid, merchant_data: 'gone1' }, 'scheduleEdits.begin'],
        ['/v1/generic-tokens', {}, 'genericOperations.askToken'],
      ] as const) {
        world.simulator.plan({ fault: 'hold-answer', call });
        const held = once(world.simulator.events, 'held');
        const caller = new AbortController();
        const asking = world.ask('POST', path, { body, signal: caller.signal }, last());
        await held;
        caller.abort();
        await expect(asking).rejects.toThrow();
        await fetch(new URL('/simulator/release', world.simulator.url), { method: 'POST' });
      }
      const seid = await until('the SEID is free', async () => {
        const { json } = await world.ask('GET', '/v1/tokens?merchant_data=gone1');
        return json?.claim === null && json;
      });
      expect(seid.value).toMatch(VALUE);
      const claim = await world.ask('PUT', '/v1/claims/next', { body: { kind: 'token', wait: 10 } });
      expect(claim.json).toMatchObject({ claim: { deliveries: 2 } });
    });

    it('gives each of 200 callers at once a token of its own', async () => {
      const edits = await Promise.all(Array.from({ length: 20 }, () => world.sid()));
      const asks = Array.from({ length: 200 }, (_, at) => [
        ['/v1/generic-tokens', {}] as const,
        ['/v1/schedule-edits', { sid: edits[at % edits.length] }] as const,
      ]).flat();
      const asked = await Promise.all(
        asks.map(([path, body], at) =>
          world.ask('POST', path, { body: { ...body, wait: 60 } }, world.services.at(at % 4 > 1 ? 0 : -1)),
        ),
      );
      expect(asked.filter(({ status }) => status !== 201)).toEqual([]);
      expect(new Set(asked.map(({ json }) => json.token ?? json.seid)).size).toBe(asks.length);
      expect((await world.ask('PUT', '/v1/claims/left', { body: { kind: 'token' } })).status).toBe(204);
    });

    it('sends those who wait for Carat away when the service stops', async () => {
      world.simulator.plan({ fault: 'hold', call: 'genericOperations.askToken' });
      const held = once(world.simulator.events, 'held');
      const asking = world.ask('POST', '/v1/generic-tokens', {}, last());
      await held;
      await last()?.service.stop();
      expect(await asking).toMatchObject({ status: 503, json: { code: 'draining' } });
      await fetch(new URL('/simulator/release', world.simulator.url), { method: 'POST' });
    });
  });
}
