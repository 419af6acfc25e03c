/** The routes under `/v1/recharges`: ask Carat for a recharge, and decide to confirm or undo it. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { recharge } from '../../asking/asks.ts';
import type { RechargeGuard } from '../../asking/guard.ts';
import type { Recorder } from '../../observability/recorder.ts';
import { StoreAway } from '../../store/contract.ts';
import type { OwedRecharge } from '../../store/recharges.ts';
import { waitOptionsOf } from '../client-gone.ts';
import { ASK_PROBLEMS, type AskRoutesOptions, admitAsks, answerAsked, asksOf, notConfigured } from './ask-routes.ts';
import { answers, ProblemError } from './problems.ts';
import { timeText } from './responses.ts';
import { DecisionBody, NitParams, RechargeAnswer, RechargeBody, RechargeQuery, RechargeState } from './schemas/asks.ts';
import { NoQuery } from './schemas/fields.ts';

export interface RechargeRoutesOptions extends AskRoutesOptions {
  /** Absent when no credentials are configured. */
  guard: RechargeGuard | undefined;
  recorder: Recorder;
}

const STATE_PROBLEMS = ['unknown_recharge', 'not_configured', 'store_away'] as const;

export async function rechargeRoutes(fastify: FastifyInstance, options: RechargeRoutesOptions): Promise<void> {
  const { guard, recorder, keys, asker } = options;
  const app = fastify.withTypeProvider<ZodTypeProvider>();
  const ask = asksOf(options);

  admitAsks(fastify, options);

  /** @throws ProblemError for a merchant that the key does not allow, or without credentials */
  function guardFor(request: FastifyRequest, merchant: string): RechargeGuard {
    keys.checkMerchant(request, merchant);
    if (guard === undefined || asker === undefined) throw notConfigured();
    asker.clientOf(merchant);
    return guard;
  }

  app.post(
    '/v1/recharges',
    {
      schema: {
        operationId: 'askRecharge',
        summary:
          'Ask Carat for a recharge. Returns the NIT. Without a decision by `settle_by`, the service undoes the recharge.',
        querystring: NoQuery,
        body: RechargeBody,
        response: { 201: RechargeAnswer, ...answers(...ASK_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const { merchant, wait: _, settle_within, ...given } = request.body;
      const keeper = guardFor(request, merchant);
      await keeper.checkStore(merchant).catch(storeAway);
      const asked = await ask(request, request.body, recharge(given));
      if (asked === 'disconnected') return answerAsked(reply, asked, () => ({}));
      const { merchant_usn, order_id } = given;
      const nit = asked.token.value;
      const settleWithinMs = Math.round(settle_within * 1000);
      const owed = await keeper.owe({ merchant, nit, merchantUsn: merchant_usn, settleWithinMs }).catch(storeAway);
      return answerAsked(reply, asked, () => ({ nit, merchant_usn, order_id, settle_by: timeText(owed.settleBy) }));
    },
  );

  app.put(
    '/v1/recharges/:nit',
    {
      schema: {
        operationId: 'decideRecharge',
        summary: 'Confirm or undo a recharge. The decision is stored first, then sent to Carat until Carat answers.',
        params: NitParams,
        querystring: NoQuery,
        body: DecisionBody,
        response: { 200: RechargeState, 202: RechargeState, ...answers(...STATE_PROBLEMS, 'decided') },
      },
    },
    async (request, reply) => {
      const { decision, merchant, wait } = request.body;
      const { nit } = request.params;
      const decider = guardFor(request, merchant);
      const { waitMs, signal } = waitOptionsOf(request.socket, wait);
      const found = known(await decider.decide(merchant, nit, decision).catch(storeAway));
      const stands = found.decided?.decision;
      if (stands !== undefined && stands !== decision) {
        const by = found.decided?.by === 'guard' ? ' by the service, because no decision came by settle_by' : '';
        throw new ProblemError('decided', `the recharge is already decided: ${stands}${by}`, { decision: stands });
      }
      if (found.attempts === 0) recorder.recharge(merchant, { what: decision, merchant_usn: found.merchantUsn });
      const last = await decider.ended(found, waitMs, signal).catch(storeAway);
      return reply.code(last.ended === undefined ? 202 : 200).send(stateOf(nit, last));
    },
  );

  app.get(
    '/v1/recharges/:nit',
    {
      schema: {
        operationId: 'readRecharge',
        summary:
          'The state of a recharge that this service handed out. With `wait`, the answer comes as soon as the recharge has ended.',
        params: NitParams,
        querystring: RechargeQuery,
        response: { 200: RechargeState, ...answers(...STATE_PROBLEMS) },
      },
    },
    async (request) => {
      const { merchant, wait } = request.query;
      const { nit } = request.params;
      const finder = guardFor(request, merchant);
      const { waitMs, signal } = waitOptionsOf(request.socket, wait);
      const found = known(await finder.find(merchant, nit).catch(storeAway));
      return stateOf(nit, await finder.ended(found, waitMs, signal).catch(storeAway));
    },
  );
}

function known(recharge: OwedRecharge | undefined): OwedRecharge {
  if (recharge === undefined) throw new ProblemError('unknown_recharge');
  return recharge;
}

function storeAway(error: unknown): never {
  throw error instanceof StoreAway ? new ProblemError('store_away') : error;
}

function stateOf(nit: string, { merchantUsn, settleBy, decided, ended }: OwedRecharge) {
  return {
    nit,
    merchant_usn: merchantUsn,
    settle_by: timeText(settleBy),
    decision: decided?.decision ?? null,
    decided_by: decided?.by ?? null,
    end: ended?.end ?? null,
    status: ended?.status ?? null,
  };
}
