/** Recharges through the service: each NIT that was handed out ends confirmed or undone, once. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RedisServer } from '../support/redis.ts';
import type { Answer, RunningService } from '../support/service.ts';
import { until } from '../support/until.ts';
import { type AskingWorld, startAskingWorld } from './world.ts';

let usn = 0;

export function describeRecharges(store: string, redis: () => RedisServer | undefined): void {
  describe(`a recharge through a service on ${store}`, () => {
    let world: AskingWorld;
    beforeEach(async () => {
      world = await startAskingWorld({ redis: redis() });
    });
    afterEach(() => world.close());
    const last = (): RunningService => world.services.at(-1) as RunningService;
    const release = () => fetch(new URL('/simulator/release', world.simulator.url), { method: 'POST' });
    const clearFaults = () => fetch(new URL('/simulator/faults', world.simulator.url), { method: 'DELETE' });

    async function handedOut(body: object = {}): Promise<string> {
      usn += 1;
      const asked = await world.ask('POST', '/v1/recharges', { body: { merchant_usn: String(usn), ...body } });
      expect([asked.status, asked.json.code]).toEqual([201, undefined]);
      return asked.json.nit;
    }
    /** Effects the recharge at Carat, as a worker does with its NIT. */
    async function effected(): Promise<string> {
      const nit = await handedOut();
      expect(await world.effect(nit)).toMatchObject({ status: 'PPC' });
      return nit;
    }
    const decide = (nit: string, decision: string, more: object = {}, at?: RunningService): Promise<Answer> =>
      world.ask('PUT', `/v1/recharges/${nit}`, { body: { decision, ...more } }, at);
    const state = (nit: string, at?: RunningService) => world.ask('GET', `/v1/recharges/${nit}`, {}, at);
    const status = (nit: string) => world.simulator.world.recharges.get(nit)?.status;

    it('answers with the NIT and the deadline of the decision', async () => {
      usn += 1;
      const body = { merchant_usn: String(usn), order_id: 'P-1', recharge_type: 'normal', settle_within: 60 };
      const { status: code, json } = await world.ask('POST', '/v1/recharges', { body }, last());
      expect(code).toBe(201);
      expect(json).toMatchObject({
        nit: expect.stringMatching(/^[0-9a-f]{64}$/),
        merchant_usn: String(usn),
        order_id: 'P-1',
      });
      expect(Date.parse(json.settle_by) - Date.parse(json.received_at)).toBeGreaterThanOrEqual(59_000);
      expect((await state(json.nit)).json).toMatchObject({ decision: null, decided_by: null, end: null, status: null });
    });

    it.each([
      ['confirm', 'confirmed', 'CON'],
      ['undo', 'undone', 'PPN'],
    ] as const)('%s ends %s at any instance, and a repeated call answers the same', async (decision, end, left) => {
      const nit = await effected();
      const first = await decide(nit, decision, {}, last());
      expect([first.status, first.json]).toEqual([200, expect.objectContaining({ nit, decision, end, status: left })]);
      const again = await decide(nit, decision);
      expect([again.status, again.json]).toEqual([200, first.json]);
      expect((await state(nit, last())).json).toMatchObject({ decision, decided_by: 'worker', end, status: left });
      expect(status(nit)).toBe(left);
      expect(world.calls('recharges.confirm')).toBe(1);
    });

    it('refuses the other decision and names the existing one', async () => {
      const nit = await effected();
      await decide(nit, 'confirm');
      const other = await decide(nit, 'undo', {}, last());
      expect([other.status, other.json]).toEqual([
        409,
        expect.objectContaining({ code: 'decided', decision: 'confirm' }),
      ]);
      expect(status(nit)).toBe('CON');
    });

    it('accepts one of two concurrent decisions', async () => {
      const nit = await effected();
      const decisions = ['confirm', 'undo', 'confirm', 'undo'];
      const answers = await Promise.all(
        decisions.map((decision, at) => decide(nit, decision, {}, world.services.at(-(at % 2)))),
      );
      const won = answers.find(({ status: code }) => code === 200)?.json.decision;
      for (const [at, answer] of answers.entries()) expect(answer.status).toBe(decisions[at] === won ? 200 : 409);
      expect(status(nit)).toBe(won === 'confirm' ? 'CON' : 'PPN');
      expect(world.calls('recharges.confirm')).toBe(1);
    });

    it('knows only the NITs that it handed out', async () => {
      const nit = 'c3'.repeat(32);
      for (const answer of [await state(nit), await decide(nit, 'undo')]) {
        expect([answer.status, answer.json.code]).toEqual([404, 'unknown_recharge']);
      }
      const wrong = await world.ask('PUT', `/v1/recharges/${nit}`, { body: { decision: 'maybe' } });
      expect([wrong.status, wrong.json.errors[0].parameter]).toEqual([400, 'decision']);
      const soon = await world.ask('POST', '/v1/recharges', { body: { merchant_usn: '1', settle_within: 29 } });
      expect([soon.status, soon.json.errors[0].parameter]).toEqual([400, 'settle_within']);
    });

    it('answers 202 while Carat is down, retries automatically, and reports the owed recharge', async () => {
      const nit = await effected();
      world.simulator.plan({ fault: 'error-500', call: 'recharges.query', times: 1000 });
      const waiting = await decide(nit, 'confirm', { wait: 1 });
      expect([waiting.status, waiting.json]).toEqual([
        202,
        expect.objectContaining({ decision: 'confirm', end: null }),
      ]);
      const log = () => world.services.flatMap((service) => service.log).join('');
      await until('the operator is notified', () => log().includes('"code":"recharge_owed"'), 30_000);
      const metrics = await until('it is counted', async () => {
        const { text } = await world.ask('GET', '/metrics');
        return text.includes('carat_authenticity_recharges_owed{merchant="default"} 1') && text;
      });
      expect(metrics).toContain('recharges_total{merchant="default",what="handed_out"} 1');
      expect(log()).not.toContain(nit);
      await clearFaults();
      const ended = await world.ask('GET', `/v1/recharges/${nit}?wait=60`, {}, last());
      expect(ended.json).toMatchObject({ end: 'confirmed', status: 'CON' });
    });

    it.each(['closed-connection', 'closed-early', 'error-500'] as const)(
      'recovers from %s at the confirmation',
      async (fault) => {
        const nit = await effected();
        world.simulator.plan({ fault, call: 'recharges.confirm' });
        expect(await decide(nit, 'confirm', {}, last())).toMatchObject({ status: 200, json: { end: 'confirmed' } });
        expect(status(nit)).toBe('CON');
      },
    );

    it('ends not_effected when Carat never effected the recharge and its NIT expired', async () => {
      const nit = await handedOut();
      const { status: code } = await decide(nit, 'undo', { wait: 0 });
      expect([code, status(nit)]).toEqual([202, 'NOV']);
      world.simulator.world.expireAll();
      const ended = await world.ask('GET', `/v1/recharges/${nit}?wait=60`);
      expect(ended.json).toMatchObject({ decision: 'undo', end: 'not_effected', status: 'EXP' });
    });

    it('settles owed and decided recharges when Redis comes back empty', async () => {
      const server = redis();
      if (server === undefined) return;
      const undecided = await effected();
      const decided = await effected();
      world.simulator.plan({ fault: 'error-500', call: 'recharges.query', times: 1000 });
      expect(await decide(decided, 'confirm', { wait: 1 }, last())).toMatchObject({ status: 202 });
      await server.command('FLUSHALL');
      await clearFaults();
      expect(await decide(undecided, 'confirm')).toMatchObject({ status: 200, json: { end: 'confirmed' } });
      const ended = await until(
        'the decision is brought back',
        async () => {
          const { json } = await state(decided);
          return json.end === 'confirmed' && json;
        },
        60_000,
      );
      expect(ended).toMatchObject({ decision: 'confirm', status: 'CON' });
      expect((await decide(decided, 'undo', {}, last())).json).toMatchObject({ code: 'decided' });
    });

    it('answers 503 while Redis is unavailable, and continues when it is back', async () => {
      const server = redis();
      if (server === undefined) return;
      const nit = await effected();
      await server.kill();
      const away = await decide(nit, 'confirm');
      expect([away.status, away.json.code]).toEqual([503, 'store_away']);
      await server.restart();
      const done = await until(
        'the decision is taken',
        async () => {
          const answer = await decide(nit, 'confirm', {}, last());
          return answer.status === 200 && answer.json;
        },
        60_000,
      );
      expect(done).toMatchObject({ decision: 'confirm', end: 'confirmed' });
      expect(status(nit)).toBe('CON');
    });

    it('answers 202 to callers that wait when the service stops, and keeps the decision', async () => {
      const nit = await effected();
      world.simulator.plan({ fault: 'hold', call: 'recharges.query' });
      const held = once(world.simulator.events, 'held');
      const deciding = decide(nit, 'confirm', { wait: 60 }, last());
      await held;
      await last().service.stop();
      expect(await deciding).toMatchObject({ status: 202, json: { decision: 'confirm', end: null } });
      await release();
      if (redis() === undefined) return;
      const ended = await world.ask('GET', `/v1/recharges/${nit}?wait=60`);
      expect(ended.json).toMatchObject({ decision: 'confirm', end: 'confirmed' });
    });
  });
}
