/** The routes under `/v1` by which workers read, claim and settle. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { Handed, Handoff } from '../../handoff/handoff.ts';
import type { Journal } from '../../observability/recorder.ts';
import type { TokenStore } from '../../store/contract.ts';
import { isTokenId } from '../../token.ts';
import { patienceOf } from '../client-gone.ts';
import type { Keys } from './auth.ts';
import { answers, ProblemError } from './problems.ts';
import { failUnlessDone, leadOf, problemOfHanded, tokenAnswer } from './responses.ts';
import { ClaimBody, ClaimParams, IdParams, MerchantQuery, NoBody, NoQuery, ReadQuery, TokenAnswer } from './schemas.ts';

declare module 'fastify' {
  interface FastifyReply {
    /** The id of the token that it hands over. */
    handedOver: string | undefined;
  }
}

export interface WorkerRoutesOptions {
  store: TokenStore;
  handoff: Handoff;
  journal: Journal;
  keys: Keys;
}

export async function workerRoutes(fastify: FastifyInstance, options: WorkerRoutesOptions): Promise<void> {
  const { store, handoff, journal, keys } = options;
  const app = fastify.withTypeProvider<ZodTypeProvider>();

  app.decorateReply('handedOver', undefined);

  function answerToken(merchant: string, reply: FastifyReply, handed: Handed, how: 'read' | 'claim'): FastifyReply {
    if (handed.outcome !== 'token') {
      journal.answered(merchant, how, handed.outcome);
      if (handed.outcome === 'nothing' || handed.outcome === 'gone') return reply.code(204).send();
      throw problemOfHanded(handed);
    }
    reply.handedOver = handed.token.id;
    // The worker comes first, and what is told of it after.
    reply.send(tokenAnswer(handed));
    journal.answered(merchant, how, handed.outcome);
    journal.handedOver(handed.token, how, handed.distinct, handed.claim);
    return reply;
  }

  app.get(
    '/v1/tokens',
    {
      schema: {
        operationId: 'readToken',
        summary: 'Read the newest live token under a selector, waiting for it if wanted. Takes nothing away.',
        querystring: ReadQuery,
        response: {
          200: TokenAnswer,
          ...answers(204, 'invalid_request', 'unauthorized', 'forbidden', 'conflict', 'used', 'store_away'),
        },
      },
    },
    (request, reply) => {
      const { wait, merchant, kind, ...correlators } = request.query;
      keys.checkMerchant(request, merchant);
      const lead = leadOf(merchant, kind, correlators);
      if (lead === undefined) throw new ProblemError('invalid_request');
      // No async function: what it would keep while it waits is a kilobyte for each worker.
      handoff
        .read(lead, patienceOf(request.socket, wait))
        .then((handed) => answerToken(merchant, reply, handed, 'read'))
        .catch((error: unknown) => (reply as FastifyReply).send(error));
    },
  );

  app.delete(
    '/v1/tokens/:id',
    {
      schema: {
        operationId: 'useToken',
        summary: 'Say that a token was used, for those who only read it.',
        params: IdParams,
        querystring: MerchantQuery,
        body: NoBody,
        response: answers(204, 'invalid_request', 'unauthorized', 'forbidden', 'unknown_token', 'store_away'),
      },
    },
    async (request, reply) => {
      const { merchant } = request.query;
      keys.checkMerchant(request, merchant);
      const { id } = request.params;
      failUnlessDone(isTokenId(id) ? await store.use(merchant, id) : 'unknown', 'unknown_token');
      journal.settled(merchant, 'used', { token: id });
      return reply.code(204).send();
    },
  );

  app.put(
    '/v1/claims/:claim_id',
    {
      schema: {
        operationId: 'claimToken',
        summary:
          'Take a token exclusively: the newest under a selector, or without one the oldest of the kind that came without correlator.',
        params: ClaimParams,
        querystring: NoQuery,
        body: ClaimBody,
        response: {
          200: TokenAnswer,
          ...answers(204, 'invalid_request', 'unauthorized', 'forbidden', 'claimed', 'used', 'store_away'),
        },
      },
    },
    async (request, reply) => {
      const { wait, lease, merchant, kind, ...correlators } = request.body;
      keys.checkMerchant(request, merchant);
      const lead = leadOf(merchant, kind, correlators);
      if (lead === undefined) throw new ProblemError('invalid_request');
      const claim = { merchant, claimId: request.params.claim_id, leaseMs: Math.round(lease * 1000), lead };
      return answerToken(merchant, reply, await handoff.claim(claim, patienceOf(request.socket, wait)), 'claim');
    },
  );

  app.delete(
    '/v1/claims/:claim_id',
    {
      schema: {
        operationId: 'settleClaim',
        summary: "Say that the claim's token was used.",
        params: ClaimParams,
        querystring: MerchantQuery,
        body: NoBody,
        response: answers(
          204,
          'invalid_request',
          'unauthorized',
          'forbidden',
          'unknown_claim',
          'lease_lost',
          'store_away',
        ),
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
        response: answers(
          204,
          'invalid_request',
          'unauthorized',
          'forbidden',
          'unknown_claim',
          'lease_lost',
          'used',
          'store_away',
        ),
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
    if (answer === 'lease_lost') journal.leaseLost(merchant, claimId);
    failUnlessDone(answer, 'unknown_claim');
    journal.settled(merchant, how === 'use' ? 'used' : 'released', { claimId });
    return reply.code(204).send();
  }
}
