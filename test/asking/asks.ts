/** Asking Carat for tokens through the service, on any store. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FaultName } from '../../src/simulator/faults.ts';
import type { RedisServer } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { type AskingWorld, startAskingWorld } from './world.ts';

const SAID = { code: '0', message: expect.any(String) };
const VALUE = /^[0-9a-f]{64}$/;
const TIMES = { received_at: expect.any(String), expires_at: expect.any(String) };
const CONCURRENT = 200;

/** One of the five asks. */
interface Route {
  path: string;
  /** The name of its call at the simulator. */
  call: string;
  /** The field of its token. */
  field: 'seid' | 'nit' | 'token';
  /** The correlator of a token that nobody took; undefined for the pool. */
  correlator?: 'merchant_data' | 'merchant_usn' | 'order_id';
}
const SCHEDULE_EDITS: Route = {
  path: '/v1/schedule-edits',
  call: 'scheduleEdits.begin',
  field: 'seid',
  correlator: 'merchant_data',
};
const RECHARGES: Route = { path: '/v1/recharges', call: 'recharges.begin', field: 'nit', correlator: 'merchant_usn' };
const GENERIC_TOKENS: Route = { path: '/v1/generic-tokens', call: 'genericOperations.askToken', field: 'token' };
const MERCHANT_TOKENS: Route = { path: '/v1/merchant-tokens', call: 'merchants.askToken', field: 'token' };
const CANCELLATIONS: Route = {
  path: '/v1/cancellations',
  call: 'cancellations.begin',
  field: 'nit',
  correlator: 'order_id',
};
const ROUTES = [SCHEDULE_EDITS, RECHARGES, GENERIC_TOKENS, MERCHANT_TOKENS, CANCELLATIONS];
const POOL_ROUTES = [GENERIC_TOKENS, MERCHANT_TOKENS];

/** The answer of an ask: a token with or without Carat's answer, or a problem. */
type Outcome = 'token' | 'token, answer lost' | [status: number, code: string];
const REFUSED = [502, 'carat_refused'] satisfies Outcome;
const UNREACHABLE = [502, 'carat_unreachable'] satisfies Outcome;
/** Every fault of the simulator, except those that hold a call until a test continues. */
const FAULTS: [FaultName, Outcome, value?: string][] = [
  ['delay', 'token', '20'],
  ['delay-answer', 'token', '20'],
  ['no-post', [504, 'no_post']],
  ['double-post', 'token'],
  ['conflicting-post', 'token'],
  ['post-after-answer', 'token', '50'],
  ['unknown-fields', 'token'],
  ['slow-body', 'token', '50'],
  ['odd-charset', 'token'],
  ['closed-connection', 'token, answer lost'],
  ['closed-early', UNREACHABLE],
  ['denied', REFUSED],
  ['error-500', UNREACHABLE],
  ['expiry', 'token'],
];

export function describeAsks(store: string, redis: () => RedisServer | undefined): void {
  describe(`asking Carat through a service on ${store}`, () => {
    let world: AskingWorld;
    beforeEach(async () => {
      world = await startAskingWorld({ redis: redis(), env: { ACCEPT: 'expected' } });
    });
    afterEach(() => world.close());
    const last = () => world.services.at(-1);

    /** The body of an ask by its index. Each has its own correlator. */
    async function bodiesFor({ path }: Route): Promise<(at: number) => Record<string, string>> {
      if (path === SCHEDULE_EDITS.path) {
        const sid = await world.sid();
        return (at) => ({ sid, merchant_data: `mine${at}` });
      }
      if (path === RECHARGES.path) return (at) => ({ merchant_usn: String(1000 + at) });
      if (path !== CANCELLATIONS.path) return () => ({});
      const esitef_usn = await world.payment('7001');
      return (at) => ({ esitef_usn, order_id: `C-${at}`, ...(at % 2 === 1 ? { merchant_usn: String(at) } : {}) });
    }
    const poolIsEmpty = async () =>
      expect((await world.ask('PUT', '/v1/claims/left', { body: { kind: 'token' } })).status).toBe(204);
    const found = async (correlator: string, body: Record<string, string>) => {
      const { status, json } = await world.ask('GET', `/v1/tokens?${correlator}=${body[correlator]}`);
      return json?.code ?? status;
    };

    it('answers the SEID of a schedule edit with a new merchant_data or the given one', async () => {
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

    it('answers a generic token (also for an empty body of any type) and a merchant token', async () => {
      for (const { path } of POOL_ROUTES) {
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

    it.each(FAULTS)('asks once when the simulator commits %s, and answers %j', async (fault, outcome, value) => {
      const ask = async (route: Route) => {
        const { path, call, field, correlator } = route;
        const body = (await bodiesFor(route))(0);
        world.simulator.plan({ fault, value, call });
        // Without a post, the wait ends after a second.
        const wait = Array.isArray(outcome) ? { wait: 1 } : {};
        const { status, json } = await world.ask('POST', path, { body: { ...body, ...wait } }, last());
        if (Array.isArray(outcome)) {
          expect([path, status, json.code]).toEqual([path, ...outcome]);
          expect(json.carat).toEqual(outcome === REFUSED ? { code: '999', message: 'Denied on demand' } : undefined);
        } else {
          expect([path, status, json.code]).toEqual([path, 201, undefined]);
          expect(json).toMatchObject({ [field]: expect.stringMatching(VALUE), ...TIMES });
          expect(json.carat).toEqual(outcome === 'token' ? SAID : null);
        }
        expect([path, world.calls(call)]).toEqual([path, 1]);
        const left = Array.isArray(outcome) ? (fault === 'no-post' ? 204 : 'cancelled') : 'used';
        if (correlator !== undefined) expect([path, await found(correlator, body)]).toEqual([path, left]);
      };
      await Promise.all(ROUTES.map(ask));
      await poolIsEmpty();
    });

    it('accepts the same name again after a refusal and after a use', async () => {
      for (const route of ROUTES) {
        const { path, call, field } = route;
        const body = (await bodiesFor(route))(0);
        const outcome = async (fault?: FaultName) => {
          if (fault !== undefined) world.simulator.plan({ fault, call });
          const { status, json } = await world.ask(
            'POST',
            path,
            { body: { ...body, wait: fault === 'no-post' ? 1 : 30 } },
            last(),
          );
          return [path, status, json.code ?? VALUE.test(json[field])];
        };
        expect(await outcome('denied')).toEqual([path, ...REFUSED]);
        expect(await outcome()).toEqual([path, 201, true]);
        expect(await outcome()).toEqual([path, 201, true]);
        expect(await outcome('no-post')).toEqual([path, 504, 'no_post']);
      }
      await poolIsEmpty();
    });

    it('puts the token back when the caller disconnects', async () => {
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

    it('answers the token of its own post when an older one is live under its name', async () => {
      for (const route of ROUTES) {
        const { path, field, correlator } = route;
        if (correlator === undefined) continue;
        const body = (await bodiesFor(route))(0);
        const name = { [correlator]: body[correlator] ?? '' };
        await world.ask('POST', '/v1/expectations', { body: { kind: field, ...name } });
        await world.services[0]?.post({ [field]: `old-${path}`, ...name });
        const asked = await world.ask('POST', path, { body }, last());
        expect([path, asked.status, asked.json[field]]).toEqual([path, 201, expect.stringMatching(VALUE)]);
        const left = await world.ask('GET', `/v1/tokens?${new URLSearchParams(name)}`);
        expect(left.json).toMatchObject({ value: `old-${path}`, claim: null });
      }
    });

    it.each(ROUTES)(`gives each of ${CONCURRENT} concurrent callers its own token by $path`, async (route) => {
      const { path, call, field, correlator } = route;
      const body = await bodiesFor(route);
      const bodies = Array.from({ length: CONCURRENT }, (_, at) => body(at));
      const asked = await Promise.all(
        bodies.map((one, at) => world.ask('POST', path, { body: { ...one, wait: 60 } }, world.services.at(-(at % 2)))),
      );
      expect(asked.filter(({ status }) => status !== 201)).toEqual([]);
      const given = asked.map(({ json }) => json[field]);
      const posted = world.simulator.world.posts.filter(({ by }) => by === call).map(({ fields }) => fields[field]);
      expect(new Set(given).size).toBe(CONCURRENT);
      expect(new Set(posted)).toEqual(new Set(given));
      expect(world.calls(call)).toBe(CONCURRENT);
      await poolIsEmpty();
      if (correlator === undefined) return;
      const left = await Promise.all(bodies.map((one) => found(correlator, one)));
      expect(new Set(left)).toEqual(new Set(['used']));
    });

    it('gives concurrent callers of all five routes their own tokens', async () => {
      const asks = await Promise.all(
        ROUTES.map(async (route) => {
          const body = await bodiesFor(route);
          return Array.from({ length: CONCURRENT / 5 }, (_, at) => ({ ...route, body: body(at) }));
        }),
      );
      const given = await Promise.all(
        asks.flat().map(async ({ path, field, body }, at) => {
          const { json } = await world.ask('POST', path, { body: { ...body, wait: 60 } }, world.services.at(-(at % 2)));
          return json[field];
        }),
      );
      expect(given.filter((value) => !VALUE.test(value))).toEqual([]);
      expect(new Set(given).size).toBe(CONCURRENT);
      await poolIsEmpty();
    });

    it('answers callers that wait for Carat when the service stops', async () => {
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
