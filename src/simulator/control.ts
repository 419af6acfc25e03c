/** The simulator's own calls, under `/simulator`: faults, expiry, status notifications, and its state. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { type Context, isFields } from './call.ts';
import { FAULTS, faultName } from './faults.ts';
import { postForm } from './poster.ts';

/**
 * Carat repeats a status notification until it gets a 200 [doc]. Here the attempts are limited,
 * with a pause between.
 */
const NOTIFICATION_ATTEMPTS = 3;
const NOTIFICATION_PAUSE_MS = 100;

export function addControl(app: FastifyInstance, context: Context): void {
  const { world, plan, held } = context;

  app.get('/simulator/state', async () => ({
    ...world.shown(),
    faults: plan.list(),
    held: [...held].flatMap(([call, waiting]) => waiting.map(() => call)),
  }));

  app.get('/simulator/faults', async () => ({ known: FAULTS, planned: plan.list() }));

  app.post('/simulator/faults', async (request, reply) => {
    const asked = isFields(request.body) ? request.body : {};
    const fault = faultName(String(asked['fault']));
    const { value, call, times = 1 } = asked;
    if (fault === undefined)
      return reply.code(400).send({ message: `fault must be one of ${Object.keys(FAULTS).join(', ')}` });
    if (typeof times !== 'number' || !Number.isInteger(times) || times < 1) {
      return reply.code(400).send({ message: 'times must be a whole number from 1' });
    }
    plan.add({ fault, times, value: optionalText(value), call: optionalText(call) });
    return reply.code(201).send({ planned: plan.list() });
  });

  app.delete('/simulator/faults', async (_request, reply) => {
    plan.clear();
    return reply.code(204).send();
  });

  app.post('/simulator/release', async (_request, reply) => {
    for (const waiting of held.values()) for (const go of waiting) go();
    held.clear();
    return reply.code(204).send();
  });

  app.post('/simulator/expire', async (_request, reply) => {
    world.expireAll();
    return reply.code(204).send();
  });

  app.post('/simulator/notifications', async (request, reply) => {
    const asked = isFields(request.body) ? request.body : {};
    const nit = String(asked['nit'] ?? '');
    const known = world.find(world.payments, nit) ?? world.find(world.recharges, nit);
    if (known === undefined) return reply.code(404).send({ message: 'nit must be of a payment or recharge' });
    const fields = {
      nit,
      status: String(asked['status'] ?? known.status),
      pedido: known.orderId,
      nsu: known.merchantUsn,
      nsuesitef: 'esitefUsn' in known ? known.esitefUsn : '',
      tipoPagamento: 'C',
      mensagem: 'Transacao aprovada',
    };
    const statuses: number[] = [];
    while (statuses.length < NOTIFICATION_ATTEMPTS && statuses.at(-1) !== 200) {
      if (statuses.length > 0) await sleep(NOTIFICATION_PAUSE_MS);
      const status = await postForm(context.authenticityUrl, fields, { timeoutMs: context.postTimeoutMs });
      world.remember(world.posts, { by: 'notification', fields, status, ms: 0 });
      statuses.push(status);
    }
    return { statuses };
  });
}

function optionalText(value: unknown): string | undefined {
  return value === undefined ? undefined : String(value);
}
