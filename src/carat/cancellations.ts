/** Cancellations, only partly documented: ask for a NIT, which comes by authenticity post, and cancel with it. */
import * as z from 'zod';
import { card, checked, fields } from './arguments.ts';
import type { CallOptions, Send } from './call.ts';

const beginArguments = z.strictObject({
  esitef_usn: fields.esitef_usn,
  merchant_usn: fields.merchant_usn.optional(),
  order_id: fields.order_id.optional(),
});
const cancelArguments = z.strictObject({ nit: fields.nit, amount: fields.amount.optional(), card: card.optional() });
const cancelled = z.looseObject({ cancellation: z.looseObject({ status: z.string().optional() }).optional() });
export type CancellationAnswer = z.output<typeof cancelled>;

export function cancellations(send: Send) {
  return {
    /**
     * Begins the cancellation of a confirmed payment: `POST /v1/cancellations` with the payment's `esitef_usn` [ex];
     * `merchant_usn` and `order_id` beside it are inferred. The NIT comes by authenticity post, with `nsu` (the
     * merchant's USN) and `pedido` (its order id) [field], before this answers. Without a 200 to that post, the call
     * fails and Carat invalidates the NIT [doc]. A 200 with an empty body was enough [inf].
     */
    async begin(args: z.input<typeof beginArguments>, options?: CallOptions): Promise<void> {
      const name = 'cancellations.begin';
      const body = checked(name, beginArguments, args);
      const call = { name, service: 'portal', method: 'POST', path: '/v1/cancellations', body } as const;
      await send({ ...call, effectful: true, answer: z.looseObject({}) }, options);
    },

    /** Cancels: `PUT /v1/cancellations/{nit}` with `card` and `amount` in cents [ex] → `cancellation.status` `CON`; the payment becomes `EST`. */
    async cancel(args: z.input<typeof cancelArguments>, options?: CallOptions): Promise<CancellationAnswer> {
      const name = 'cancellations.cancel';
      const { nit, ...body } = checked(name, cancelArguments, args);
      const call = { name, service: 'portal', method: 'PUT', path: `/v1/cancellations/${nit}`, body } as const;
      return send({ ...call, effectful: true, answer: cancelled }, options);
    },
  };
}
