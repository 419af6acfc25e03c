/** The routes under `/v1` that open and cancel expectations. */
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { announce } from '../../asking/announce.ts';
import { answers } from './problems.ts';
import { failUnlessDone, timeText } from './responses.ts';
import type { WorkerRoutesOptions } from './routes.ts';
import { ExpectationAnswer, ExpectationBody } from './schemas/expectations.ts';
import { IdParams, MerchantQuery, NoBody, NoQuery } from './schemas/fields.ts';

/** The form of an expectation's id. */
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export async function expectationRoutes(fastify: FastifyInstance, options: WorkerRoutesOptions): Promise<void> {
  const { store, recorder, keys } = options;
  const app = fastify.withTypeProvider<ZodTypeProvider>();

  app.post(
    '/v1/expectations',
    {
      schema: {
        operationId: 'expectToken',
        summary: 'Announce a post before asking Carat for it.',
        querystring: NoQuery,
        body: ExpectationBody,
        response: { 201: ExpectationAnswer, ...answers('store_away') },
      },
    },
    async (request, reply) => {
      const { ttl, merchant, kind, ...given } = request.body;
      keys.checkMerchant(request, merchant);
      const ttlMs = Math.round(ttl * 1000);
      const { id, correlators, expiresAt } = await announce(options, { merchant, kind, correlators: given, ttlMs });
      return reply.code(201).send({ id, kind, ...correlators, expires_at: timeText(expiresAt) });
    },
  );

  app.delete(
    '/v1/expectations/:id',
    {
      schema: {
        operationId: 'cancelExpectation',
        summary: 'Cancel an expectation, because the request to Carat failed.',
        params: IdParams,
        querystring: MerchantQuery,
        body: NoBody,
        response: answers(204, 'unknown_expectation', 'store_away'),
      },
    },
    async (request, reply) => {
      const { merchant } = request.query;
      keys.checkMerchant(request, merchant);
      const { id } = request.params;
      failUnlessDone(UUID.test(id) ? await store.cancel(merchant, id) : 'unknown', 'unknown_expectation');
      recorder.expectation(merchant, { what: 'cancelled', id });
      return reply.code(204).send();
    },
  );
}
