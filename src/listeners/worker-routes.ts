/** The routes under `/v1` by which workers read, claim, settle and announce. */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { z } from 'zod';
import { newMerchantData } from '../expectations.ts';
import type { Handed, Handoff, Patience } from '../handoff.ts';
import type { Journal } from '../journal.ts';
import { CORRELATORS, type Correlators, type Kind } from '../post.ts';
import {
  ClaimBody,
  ClaimParams,
  ExpectationAnswer,
  ExpectationBody,
  IdParams,
  MerchantQuery,
  NoBody,
  NoQuery,
  ReadQuery,
  TokenAnswer,
} from '../protocol.ts';
import { type Claim, isTokenId, type Lead, type SettleAnswer, type TokenStore, topicOf } from '../store/store.ts';
import type { Keys } from './keys.ts';
import { answers, ProblemError } from './problems.ts';

/** What the id of an expectation looks like. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

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
    journal.answered(merchant, how, handed.outcome);
    if (handed.outcome === 'nothing' || handed.outcome === 'gone') return reply.code(204).send();
    if (handed.outcome !== 'token') throw problemOfHanded(handed);
    reply.handedOver = handed.token.id;
    journal.handedOver(handed.token, how, handed.distinct, handed.claim);
    return reply.send(tokenAnswer(handed));
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
    async (request, reply) => {
      const { wait, merchant, kind, ...correlators } = request.query;
      keys.checkMerchant(request, merchant);
      const lead = leadOf(merchant, kind, correlators);
      if (lead === undefined) throw new ProblemError('invalid_request');
      return answerToken(merchant, reply, await handoff.read(lead, patienceOf(reply, wait)), 'read');
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
      return answerToken(merchant, reply, await handoff.claim(claim, patienceOf(reply, wait)), 'claim');
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

  app.post(
    '/v1/expectations',
    {
      schema: {
        operationId: 'expectToken',
        summary: 'Announce a post that Carat is about to be asked for.',
        querystring: NoQuery,
        body: ExpectationBody,
        response: { 201: ExpectationAnswer, ...answers('invalid_request', 'unauthorized', 'forbidden', 'store_away') },
      },
    },
    async (request, reply) => {
      const { ttl, merchant, kind, ...given } = request.body;
      keys.checkMerchant(request, merchant);
      const id = randomUUID();
      const ownKey = kind === 'seid' && leadOf(merchant, kind, given)?.by === 'pool';
      const correlators = ownKey ? { merchant_data: newMerchantData() } : given;
      const lead = leadOf(merchant, kind, correlators);
      if (lead === undefined) throw new ProblemError('invalid_request');
      const topic = topicOf(lead);
      const expiresAt = await store.expect({ id, merchant, kind, topic, ttlMs: Math.round(ttl * 1000) });
      journal.expectation(merchant, 'opened', id, { kind, topic, expiresAt });
      return reply.code(201).send({ id, kind, ...correlators, expires_at: timeText(expiresAt) });
    },
  );

  app.delete(
    '/v1/expectations/:id',
    {
      schema: {
        operationId: 'cancelExpectation',
        summary: 'Say that the request to Carat failed: nothing is expected any more.',
        params: IdParams,
        querystring: MerchantQuery,
        body: NoBody,
        response: answers(204, 'invalid_request', 'unauthorized', 'forbidden', 'unknown_expectation', 'store_away'),
      },
    },
    async (request, reply) => {
      const { merchant } = request.query;
      keys.checkMerchant(request, merchant);
      const { id } = request.params;
      failUnlessDone(UUID.test(id) ? await store.cancel(merchant, id) : 'unknown', 'unknown_expectation');
      journal.expectation(merchant, 'cancelled', request.params.id);
      return reply.code(204).send();
    },
  );
}

/** A selector, or with a kind alone its pool. */
function leadOf(merchant: string, kind: Kind | undefined, correlators: Correlators): Lead | undefined {
  for (const by of CORRELATORS) {
    const is = correlators[by];
    if (is !== undefined) return { merchant, by, is, ...(kind === undefined ? {} : { kind }) };
  }
  return kind === undefined ? undefined : { merchant, by: 'pool', kind };
}

/**
 * A wait that ends when the client goes away: when the connection closes before the response was sent. The response's
 * own `close` would not do, for one that stands behind another on the same connection never hears of it.
 */
function patienceOf(reply: FastifyReply, waitSeconds: number): Patience {
  const gone = new AbortController();
  const { socket } = reply.request.raw;
  const onClose = (): void => gone.abort();
  socket.once('close', onClose);
  reply.raw.once('close', () => socket.off('close', onClose));
  if (socket.destroyed) gone.abort();
  return { waitMs: waitSeconds * 1000, signal: gone.signal };
}

function tokenAnswer({ token, distinct, claim }: Handed & { outcome: 'token' }): z.output<typeof TokenAnswer> {
  const { id, merchant, kind, value, merchant_data, sid, merchant_usn, order_id, receivedAt, expiresAt } = token;
  return {
    id,
    merchant,
    kind,
    value,
    merchant_data,
    sid,
    merchant_usn,
    order_id,
    received_at: timeText(receivedAt),
    expires_at: timeText(expiresAt),
    distinct,
    claim: claim && claimAnswer(claim),
  };
}

function claimAnswer({ id, leaseExpiresAt, deliveries }: Claim) {
  return { id, lease_expires_at: timeText(leaseExpiresAt), deliveries };
}

function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

type Unserved = Exclude<Handed, { outcome: 'token' | 'nothing' | 'gone' }>;

function problemOfHanded(handed: Unserved): ProblemError {
  switch (handed.outcome) {
    case 'claimed': {
      const { id, lease_expires_at } = claimAnswer(handed.claim);
      return new ProblemError('claimed', `claimed by ${id} until ${lease_expires_at}`, {
        claim_id: id,
        lease_expires_at,
      });
    }
    case 'conflict':
      return new ProblemError('conflict', `there are ${handed.distinct} different live tokens under this selector`);
    default:
      return new ProblemError(handed.outcome);
  }
}

function failUnlessDone(
  answer: SettleAnswer,
  unknown: 'unknown_token' | 'unknown_claim' | 'unknown_expectation',
): void {
  if (answer === 'done') return;
  throw new ProblemError(answer === 'away' ? 'store_away' : answer === 'unknown' ? unknown : answer);
}
