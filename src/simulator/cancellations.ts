/** Cancellations of confirmed payments, as far as they are known. */
import type { FastifyInstance } from 'fastify';
import { addCall, type Context } from './call.ts';
import { AUTHENTICITY, deniedBy, failure, success, UNKNOWN, wrongStatus } from './codes.ts';

const BASE = '/e-sitef/api';

export function addCancellations(app: FastifyInstance, context: Context): void {
  const { world } = context;
  const merchant = 'headers';

  addCall(app, context, {
    name: 'cancellations.begin',
    method: 'POST',
    url: `${BASE}/v1/cancellations`,
    merchant,
    handle: async (call) => {
      const esitefUsn = String(call.body['esitef_usn'] ?? '');
      const payment = [...world.payments.values()].find(
        (one) => one.esitefUsn === esitefUsn && one.owner === call.owner,
      );
      if (payment === undefined) return failure(UNKNOWN, 404);
      if (payment.status !== 'CON') return failure(wrongStatus(payment.status));
      const denied = deniedBy(call);
      if (denied) return failure(denied);
      const issued = { ...world.issue(call.owner, call.faults.has('expiry')), esitefUsn };
      world.cancellations.set(issued.id, issued);
      const pedido = String(call.body['order_id'] ?? payment.orderId);
      const nsu = String(call.body['merchant_usn'] ?? payment.merchantUsn);
      const accepted = await call.post(issued, (nit) => ({ nit, pedido, nsu, codigoLoja: 'simulator' }));
      return accepted ? success() : failure(AUTHENTICITY);
    },
  });

  addCall(app, context, {
    name: 'cancellations.cancel',
    method: 'PUT',
    url: `${BASE}/v1/cancellations/:nit`,
    merchant,
    handle: (call) => {
      const nit = call.params['nit'] ?? '';
      const cancellation = world.find(world.cancellations, nit, call.owner);
      if (cancellation === undefined) return failure(UNKNOWN, 404);
      if (call.faults.has('expiry')) cancellation.status = 'EXP';
      if (cancellation.status !== 'NOV') return failure(wrongStatus(cancellation.status));
      const denied = deniedBy(call);
      cancellation.status = denied ? 'NEG' : 'CON';
      if (denied) return failure(denied);
      const payment = [...world.payments.values()].find((one) => one.esitefUsn === cancellation.esitefUsn);
      if (payment !== undefined) payment.status = 'EST';
      return success({ cancellation: { authorizer_code: '000', status: cancellation.status, nit } });
    },
  });
}
