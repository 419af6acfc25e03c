/** Asking Carat through the service with the client, and deciding about recharges. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import type {
  WireAskedToken,
  WireCancellation,
  WireRecharge,
  WireRechargeState,
  WireScheduleEdit,
} from '../../src/client/asks.ts';
import { createWorkerClient, type WorkerClient } from '../../src/client/index.ts';
import type {
  CancellationAnswer,
  RechargeAnswer,
  RechargeState,
  ScheduleEditAnswer,
  TokenAskAnswer,
} from '../../src/listeners/workers/schemas/asks.ts';
import { type AskingWorld, startAskingWorld } from '../asking/world.ts';
import { until } from '../support/until.ts';

const SAID = { code: '0', message: expect.any(String) };
const VALUE = expect.stringMatching(/^[0-9a-f]{64}$/);
const ASKED = { merchant: 'default', receivedAt: expect.any(Date), expiresAt: expect.any(Date), carat: SAID };
const GENERIC = 'genericOperations.askToken';

let world: AskingWorld;
let url: string;
let client: WorkerClient;
beforeEach(async () => {
  world = await startAskingWorld({ env: { AUTHENTICITY_PATHS: 'default=/authenticity,other=/other' } });
  url = world.services[0]?.service.workerUrl ?? '';
  client = createWorkerClient({ url });
});
afterEach(() => world.close());

const release = () => fetch(new URL('/simulator/release', world.simulator.url), { method: 'POST' });

describe('an ask', () => {
  it("resolves with a SEID, a NIT or a token, and Carat's answer", async () => {
    const sid = await world.sid();
    expect(await client.askScheduleEdit({ sid })).toEqual({
      ...ASKED,
      seid: VALUE,
      sid,
      merchantData: expect.stringMatching(/^[0-9a-z]{20}$/),
    });
    expect(await client.askScheduleEdit({ sid, merchantData: 'mine1' })).toMatchObject({ merchantData: 'mine1' });
    const recharge = { merchantUsn: '2398', orderId: 'P-1', rechargeType: 'normal' } as const;
    const asked = await client.askRecharge({ ...recharge, settleWithin: 60_000 });
    expect(asked).toEqual({
      ...ASKED,
      nit: VALUE,
      merchantUsn: '2398',
      orderId: 'P-1',
      settleBy: expect.any(Date),
    });
    expect(asked.settleBy.getTime() - asked.receivedAt.getTime()).toBeLessThan(70_000);
    expect(await client.askGenericToken()).toEqual({ ...ASKED, token: VALUE });
    expect(await client.askMerchantToken({ merchant: 'default' }, { timeout: 10_000 })).toEqual({
      ...ASKED,
      token: VALUE,
    });
    const esitefUsn = await world.payment('7001');
    expect(await client.askCancellation({ esitefUsn, merchantUsn: '7001' })).toEqual({
      ...ASKED,
      nit: VALUE,
      esitefUsn,
      merchantUsn: '7001',
    });
  });

  it('has no answer of Carat when that answer was lost', async () => {
    world.simulator.plan({ fault: 'closed-connection', call: GENERIC });
    expect(await client.askGenericToken()).toEqual({ ...ASKED, token: VALUE, carat: null });
  });

  it.each([
    ['denied', 'carat_refused', 502, { code: '999', message: 'Denied on demand' }],
    ['closed-early', 'carat_unreachable', 502, undefined],
    ['error-500', 'carat_unreachable', 502, undefined],
    ['no-post', 'no_post', 504, undefined],
  ] as const)('rejects after %s with %s, and Carat is asked once', async (fault, code, status, carat) => {
    world.simulator.plan({ fault, call: GENERIC, times: 9 });
    const asking = client.askGenericToken({}, { timeout: 1000 });
    await expect(asking).rejects.toMatchObject({ code, status, carat, passing: false });
    expect(world.calls(GENERIC)).toBe(1);
  });

  it('rejects a merchant without credentials, and wrong arguments', async () => {
    await expect(client.askGenericToken({ merchant: 'other' })).rejects.toMatchObject({ code: 'not_configured' });
    const message = expect.stringMatching(/sid.*wait/s);
    const wrong = client.askScheduleEdit({ sid: 'short' }, { timeout: 0 });
    await expect(wrong).rejects.toMatchObject({ code: 'invalid_request', message });
  });

  it('is not repeated when the service disconnects', async () => {
    let requests = 0;
    const counted: typeof fetch = (...args) => {
      requests += 1;
      return fetch(...args);
    };
    world.simulator.plan({ fault: 'hold', call: GENERIC });
    const held = once(world.simulator.events, 'held');
    const asking = createWorkerClient({ url, fetch: counted })
      .askGenericToken()
      .catch((error: unknown) => error);
    await held;
    await world.services[0]?.service.stop();
    expect(await asking).toMatchObject({ code: 'draining' });
    await expect(createWorkerClient({ url, fetch: counted }).askGenericToken()).rejects.toMatchObject({
      code: 'unreachable',
    });
    expect(requests).toBe(2);
    await release();
  });

  it('puts the token back when it is aborted', async () => {
    world.simulator.plan({ fault: 'hold-answer', call: GENERIC });
    const held = once(world.simulator.events, 'held');
    const caller = new AbortController();
    const asking = client.askGenericToken({}, { signal: caller.signal });
    await held;
    caller.abort(new Error('enough'));
    await expect(asking).rejects.toThrow('enough');
    await release();
    expect(await client.claim({ kind: 'token' })).toMatchObject({ claim: { deliveries: 2 } });
  });
});

describe('a recharge', () => {
  it.each([
    ['confirm', 'confirmed', 'CON'],
    ['undo', 'undone', 'PPN'],
  ] as const)('ends by %s as %s, and the other decision is refused', async (decision, end, status) => {
    const recharge = await client.askRecharge({ merchantUsn: '1' });
    expect(await client.readRecharge(recharge)).toMatchObject({ decision: null, decidedBy: null, end: null });
    await world.effect(recharge.nit);
    const ended = await client.decideRecharge(recharge, decision);
    const { merchant, nit, merchantUsn, settleBy } = recharge;
    expect(ended).toEqual({
      ...{ merchant, nit, merchantUsn, settleBy },
      ...{ decision, decidedBy: 'worker', end, status },
    });
    expect(await client.decideRecharge({ nit }, decision)).toEqual(ended);
    expect(await client.readRecharge({ nit })).toEqual(ended);
    const other = client.decideRecharge(recharge, decision === 'undo' ? 'confirm' : 'undo');
    await expect(other).rejects.toMatchObject({ code: 'decided', status: 409, decision });
  });

  it('is decided after a network failure, and read until it ends', async () => {
    const recharge = await client.askRecharge({ merchantUsn: '2' });
    await world.effect(recharge.nit);
    world.simulator.plan({ fault: 'hold', call: 'recharges.query' });
    const held = once(world.simulator.events, 'held');
    let requests = 0;
    const cut: typeof fetch = async (address, init) => {
      requests += 1;
      if (requests > 2) return fetch(address, init);
      const cable = new AbortController();
      const first = fetch(address, { ...init, signal: cable.signal });
      await held;
      cable.abort();
      await first.catch(() => {});
      throw new TypeError('fetch failed', { cause: { code: 'ECONNRESET' } });
    };
    const deciding = createWorkerClient({ url, fetch: cut }).decideRecharge(recharge, 'confirm', { timeout: 1000 });
    expect(await deciding).toMatchObject({ decision: 'confirm', end: null, status: null });
    const reading = client.readRecharge(recharge, { timeout: 60_000 });
    await release();
    expect(await reading).toMatchObject({ decision: 'confirm', end: 'confirmed', status: 'CON' });
    expect(requests).toBeGreaterThan(2);
  });

  it('stays decided when the wait for its end is aborted', async () => {
    const recharge = await client.askRecharge({ merchantUsn: '3' });
    await world.effect(recharge.nit);
    world.simulator.plan({ fault: 'hold', call: 'recharges.query' });
    const held = once(world.simulator.events, 'held');
    const stop = new AbortController();
    const deciding = client.decideRecharge(recharge, 'undo', { signal: stop.signal });
    await held;
    stop.abort(new Error('enough'));
    await expect(deciding).rejects.toThrow('enough');
    await release();
    const ended = await until('it has ended', async () => {
      const state = await client.readRecharge(recharge);
      return state.end !== null && state;
    });
    expect(ended).toMatchObject({ decision: 'undo', end: 'undone' });
  });

  it('is unknown when the service did not hand it out', async () => {
    const unknown = { nit: 'c3'.repeat(32) };
    for (const asking of [client.readRecharge(unknown), client.decideRecharge(unknown, 'undo')]) {
      await expect(asking).rejects.toMatchObject({ code: 'unknown_recharge', status: 404 });
    }
  });
});

it('has the types of the wire', () => {
  expectTypeOf<z.output<typeof ScheduleEditAnswer>>().toExtend<WireScheduleEdit>();
  expectTypeOf<z.output<typeof RechargeAnswer>>().toExtend<WireRecharge>();
  expectTypeOf<z.output<typeof TokenAskAnswer>>().toExtend<WireAskedToken>();
  expectTypeOf<z.output<typeof CancellationAnswer>>().toExtend<WireCancellation>();
  expectTypeOf<z.output<typeof RechargeState>>().toExtend<WireRechargeState>();
});
