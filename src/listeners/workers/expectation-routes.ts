/** The routes under `/v1` by which workers announce what they are about to ask Carat for, and take it back. */
import { randomInt, randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { topicOf } from '../../token.ts';
import { answers, ProblemError } from './problems.ts';
import { failUnlessDone, queryOf, timeText } from './responses.ts';
import type { WorkerRoutesOptions } from './routes.ts';
import { ExpectationAnswer, ExpectationBody, IdParams, MerchantQuery, NoBody, NoQuery } from './schemas.ts';

/** What the id of an expectation looks like. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export async function expectationRoutes(fastify: FastifyInstance, options: WorkerRoutesOptions): Promise<void> {
  const { store, recorder, keys } = options;
  const app = fastify.withTypeProvider<ZodTypeProvider>();

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
      const ownKey = kind === 'seid' && queryOf(merchant, kind, given)?.by === 'pool';
      const correlators = ownKey ? { merchant_data: newMerchantData() } : given;
      const query = queryOf(merchant, kind, correlators);
      if (query === undefined) throw new ProblemError('invalid_request');
      const topic = topicOf(query);
      const expiresAt = await store.expect({ id, merchant, kind, topic, ttlMs: Math.round(ttl * 1000) });
      recorder.expectation(merchant, 'opened', id, { kind, topic, expiresAt });
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
      recorder.expectation(merchant, 'cancelled', id);
      return reply.code(204).send();
    },
  );
}

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';
const RANDOM_CHARS = 19;

/** A fresh `merchant_data`: 20 characters of `[0-9a-z]`, the longest that Carat takes, the last one a check character. */
export function newMerchantData(): string {
  const random = Array.from({ length: RANDOM_CHARS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return random + checkCharacter(random);
}

/** The check character of ISO 7064, MOD 37,36. */
export function checkCharacter(text: string): string {
  let product = 36;
  for (const character of text) {
    const sum = (product + ALPHABET.indexOf(character)) % 36;
    product = ((sum === 0 ? 36 : sum) * 2) % 37;
  }
  return ALPHABET.charAt((37 - product) % 36);
}
