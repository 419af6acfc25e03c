/** The routes under `/v1` that read, claim and settle tokens. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Handed, Handoff } from '../../handoff/handoff.ts';
import type { Recorder } from '../../observability/recorder.ts';
import type { TokenStore } from '../../store/contract.ts';
import { isTokenId, queryOf } from '../../token.ts';
import { waitOptionsOf } from '../client-gone.ts';
import type { ApiKeys } from './auth.ts';
import { answers, ProblemError } from './problems.ts';
import { failUnlessDone, problemOfHanded, tokenAnswer } from './responses.ts';
import { IdParams, MerchantQuery, NoBody, NoQuery } from './schemas/fields.ts';
import { ClaimBody, ClaimParams, ReadQuery, TokenAnswer } from './schemas/tokens.ts';

declare module 'fastify' {
  interface FastifyReply {
    /** The id of the token that this reply hands over. */
    handedOver: string | undefined;
  }
}

export interface WorkerRoutesOptions {
  store: TokenStore;
  handoff: Handoff;
  recorder: Recorder;
  keys: ApiKeys;
}

export async function workerRoutes(fastify: FastifyInstance, options: WorkerRoutesOptions): Promise<void> {
  const { store, handoff, recorder, keys } = options;
  const app = fastify.withTypeProvider<ZodTypeProvider>();

  app.decorateReply('handedOver', undefined);

  function answerToken(merchant: string, reply: FastifyReply, handed: Handed, how: 'read' | 'claim'): FastifyReply {
    if (handed.outcome !== 'token') {
      recorder.answered(merchant, how, handed.outcome);
      if (handed.outcome === 'nothing' || handed.outcome === 'disconnected') return reply.code(204).send();
      throw problemOfHanded(handed);
    }
    reply.handedOver = handed.token.id;
    // The worker is answered before the event is recorded.
    reply.send(tokenAnswer(handed));
    recorder.answered(merchant, how, handed.outcome);
    recorder.handedOver(handed.token, how, handed.distinct, handed.claim);
    return reply;
  }

  /** Answers a renewal. It records no handover: the worker has the token already. */
  function answerRenewal(merchant: string, reply: FastifyReply, handed: Handed): FastifyReply {
    recorder.answered(merchant, 'renew', handed.outcome);
    if (handed.outcome === 'token') return reply.send(tokenAnswer(handed));
    throw handed.outcome === 'nothing' || handed.outcome === 'disconnected'
      ? new ProblemError('lease_lost')
      : problemOfHanded(handed);
  }

  app.get(
    '/v1/tokens',
    {
      schema: {
        operationId: 'readToken',
        summary:
          'Read the newest live token under a selector. With `wait`, waits for its arrival. A read changes nothing.',
        querystring: ReadQuery,
        response: {
          200: TokenAnswer,
          ...answers(204, 'conflict', 'used', 'store_away'),
        },
      },
    },
    (request, reply) => {
      const { wait, merchant, kind, ...correlators } = request.query;
      keys.checkMerchant(request, merchant);
      const query = queryOf(merchant, kind, correlators);
      if (query === undefined) throw new ProblemError('invalid_request');
      // Not an async function, which would keep about 1 kB for each waiting worker.
      handoff
        .read(query, waitOptionsOf(request.socket, wait))
        .then((handed) => answerToken(merchant, reply, handed, 'read'))
        .catch((error: unknown) => (reply as FastifyReply).send(error));
    },
  );

  app.delete(
    '/v1/tokens/:id',
    {
      schema: {
        operationId: 'useToken',
        summary: 'Mark a token as used. For workers that read it without a claim.',
        params: IdParams,
        querystring: MerchantQuery,
        body: NoBody,
        response: answers(204, 'unknown_token', 'store_away'),
      },
    },
    async (request, reply) => {
      const { merchant } = request.query;
      keys.checkMerchant(request, merchant);
      const { id } = request.params;
      failUnlessDone(isTokenId(id) ? await store.use(merchant, id) : 'unknown', 'unknown_token');
      recorder.settled(merchant, 'used', { token: id });
      return reply.code(204).send();
    },
  );

  app.put(
    '/v1/claims/:claim_id',
    {
      schema: {
        operationId: 'claimToken',
        summary:
          'Take a token exclusively: the newest under a selector, or without a selector the oldest of the kind that came without correlators. With `renew`, only renew the lease.',
        params: ClaimParams,
        querystring: NoQuery,
        body: ClaimBody,
        response: {
          200: TokenAnswer,
          ...answers(204, 'claimed', 'lease_lost', 'used', 'store_away'),
        },
      },
    },
    async (request, reply) => {
      const { wait, lease, renew, merchant, kind, ...correlators } = request.body;
      keys.checkMerchant(request, merchant);
      const claim = { merchant, claimId: request.params.claim_id, leaseMs: Math.round(lease * 1000) };
      if (renew) return answerRenewal(merchant, reply, await handoff.renew(claim));
      const query = queryOf(merchant, kind, correlators);
      if (query === undefined) throw new ProblemError('invalid_request');
      const handed = await handoff.claim({ ...claim, query }, waitOptionsOf(request.socket, wait));
      return answerToken(merchant, reply, handed, 'claim');
    },
  );

  app.delete(
    '/v1/claims/:claim_id',
    {
      schema: {
        operationId: 'settleClaim',
        summary: "Mark the claim's token as used.",
        params: ClaimParams,
        querystring: MerchantQuery,
        body: NoBody,
        response: answers(204, 'unknown_claim', 'lease_lost', 'store_away'),
      },
    },
    (request, reply) => settle(request, reply, request.params.claim_id, request.query.merchant, 'use'),
  );

  app.post(
    '/v1/claims/:claim_id/release',
    {
      schema: {
        operationId: 'releaseClaim',
        summary: "Put the claim's token back at once.",
        params: ClaimParams,
        querystring: MerchantQuery,
        body: NoBody,
        response: answers(204, 'unknown_claim', 'lease_lost', 'used', 'store_away'),
      },
    },
    (request, reply) => settle(request, reply, request.params.claim_id, request.query.merchant, 'release'),
  );

  async function settle(
    request: FastifyRequest,
    reply: FastifyReply,
    claimId: string,
    merchant: string,
    how: 'use' | 'release',
  ): Promise<FastifyReply> {
    keys.checkMerchant(request, merchant);
    const answer = await store.settle(merchant, claimId, how);
    if (answer === 'lease_lost') recorder.leaseLost(merchant, claimId);
    failUnlessDone(answer, 'unknown_claim');
    recorder.settled(merchant, how === 'use' ? 'used' : 'released', { claimId });
    return reply.code(204).send();
  }
}
