/** The routes under `/v1` through which workers ask Carat. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Ask, Asked, Asker } from '../../asking/asker.ts';
import { cancellation, genericToken, merchantToken, scheduleEdit } from '../../asking/asks.ts';
import type { TokenRecord } from '../../token.ts';
import { waitOptionsOf } from '../client-gone.ts';
import type { ApiKeys } from './auth.ts';
import { answers, ProblemError, refuseCardData } from './problems.ts';
import { timeText } from './responses.ts';
import {
  CancellationAnswer,
  CancellationBody,
  ScheduleEditAnswer,
  ScheduleEditBody,
  TokenAskAnswer,
  TokenAskBody,
} from './schemas/asks.ts';
import { LIMITS, NoQuery } from './schemas/fields.ts';

export interface AskRoutesOptions {
  /** Absent when no credentials are configured. */
  asker: Asker | undefined;
  keys: ApiKeys;
}

export const ASK_PROBLEMS = [
  'conflict',
  'cancelled',
  'not_configured',
  'carat_refused',
  'carat_unreachable',
  'no_post',
  'store_away',
] as const;

/** Returns the function that asks Carat on behalf of a request. It throws a `ProblemError` or an `AskError`. */
export function asksOf({ asker, keys }: AskRoutesOptions) {
  return async (
    request: FastifyRequest,
    { merchant = 'default', wait = LIMITS.defaultAskSeconds }: { merchant?: string; wait?: number },
    what: Ask,
  ): Promise<Asked | 'disconnected'> => {
    keys.checkMerchant(request, merchant);
    if (asker === undefined) throw notConfigured();
    return asker.ask(merchant, what, waitOptionsOf(request.socket, wait));
  };
}

/** Refuses every request while no credentials are configured, whatever its body. Then refuses card data. */
export function admitAsks(app: FastifyInstance, { asker }: AskRoutesOptions): void {
  app.addHook('onRequest', async () => {
    if (asker === undefined) throw notConfigured();
  });
  app.addHook('preValidation', async ({ body }) => refuseCardData(body));
}

export function notConfigured(): ProblemError {
  return new ProblemError(
    'not_configured',
    'no credentials are configured: set CARAT_CREDENTIALS and CARAT_ENVIRONMENT',
  );
}

export async function askRoutes(fastify: FastifyInstance, options: AskRoutesOptions): Promise<void> {
  const app = fastify.withTypeProvider<ZodTypeProvider>();
  const ask = asksOf(options);

  admitAsks(fastify, options);

  app.post(
    '/v1/schedule-edits',
    {
      schema: {
        operationId: 'askScheduleEdit',
        summary: 'Ask Carat for a schedule edit. Returns the SEID and marks it as used.',
        querystring: NoQuery,
        body: ScheduleEditBody,
        response: { 201: ScheduleEditAnswer, ...answers(...ASK_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const { sid, merchant_data } = request.body;
      const asked = await ask(request, request.body, scheduleEdit({ sid, merchant_data }));
      return answerAsked(reply, asked, ({ value, correlators }) => ({
        seid: value,
        sid,
        merchant_data: correlators.merchant_data,
      }));
    },
  );

  app.post(
    '/v1/generic-tokens',
    {
      schema: {
        operationId: 'askGenericToken',
        summary: 'Ask Carat for the token of a generic operation. Returns the token and marks it as used.',
        querystring: NoQuery,
        body: TokenAskBody,
        response: { 201: TokenAskAnswer, ...answers(...ASK_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const asked = await ask(request, request.body ?? {}, genericToken());
      return answerAsked(reply, asked, ({ value }) => ({ token: value }));
    },
  );

  app.post(
    '/v1/merchant-tokens',
    {
      schema: {
        operationId: 'askMerchantToken',
        summary: 'Ask Carat for the token that registers a merchant. Returns the token and marks it as used.',
        querystring: NoQuery,
        body: TokenAskBody,
        response: { 201: TokenAskAnswer, ...answers(...ASK_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const asked = await ask(request, request.body ?? {}, merchantToken());
      return answerAsked(reply, asked, ({ value }) => ({ token: value }));
    },
  );

  app.post(
    '/v1/cancellations',
    {
      schema: {
        operationId: 'askCancellation',
        summary: 'Ask Carat for the cancellation of a payment. Returns the NIT and marks it as used.',
        querystring: NoQuery,
        body: CancellationBody,
        response: { 201: CancellationAnswer, ...answers(...ASK_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const { esitef_usn, merchant_usn, order_id } = request.body;
      const given = { esitef_usn, merchant_usn, order_id };
      const asked = await ask(request, request.body, cancellation(given));
      return answerAsked(reply, asked, ({ value }) => ({ nit: value, ...given }));
    },
  );
}

/** Sends 201 with the token, its times and Carat's answer. Sends 204 when the client has disconnected. */
export function answerAsked(
  reply: FastifyReply,
  asked: Asked | 'disconnected',
  found: (token: TokenRecord) => object,
): FastifyReply {
  if (asked === 'disconnected') return reply.code(204).send();
  const { token, carat } = asked;
  const times = { received_at: timeText(token.receivedAt), expires_at: timeText(token.expiresAt) };
  return reply.code(201).send({ ...found(token), ...times, carat });
}
