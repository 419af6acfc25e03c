/** Generic operations (`operações genéricas`): ask for a token, which comes by authenticity post, and run an operation with it. */
import * as z from 'zod';
import { checked, fields } from './arguments.ts';
import type { CallOptions, Send } from './call.ts';

/** Operations have parameters of their own, which each routing documents: they are let through as they are. */
export const operationParameters = z.looseObject({
  token: fields.token.optional(),
  authorizer_id: fields.authorizer_id,
  terminal_id: fields.terminal_id,
  merchant_usn: fields.merchant_usn,
  subfunction: fields.subfunction,
});
export type OperationParameters = z.input<typeof operationParameters>;
const runArguments = z.strictObject({ operation: fields.operation, parameters: operationParameters });

/** "The answer depends on each operation" [doc]. */
const operationAnswer = z.looseObject({});
export type OperationAnswer = z.output<typeof operationAnswer>;

export function genericOperations(send: Send) {
  return {
    /**
     * Asks for one token: `GET /v1/token` [doc]. It comes by authenticity post, without anything to tell it by, before
     * this answers. **A GET with side effects**: repeated, it asks for a second token; it is never repeated here.
     */
    async askToken(options?: CallOptions): Promise<void> {
      const call = { name: 'genericOperations.askToken', service: 'portal', method: 'GET', path: '/v1/token' } as const;
      await send({ ...call, effectful: true, answer: z.looseObject({}) }, options);
    },

    /**
     * Asks for one token for the registration of a merchant: `POST /v1/token/merchants` [doc]. It comes like that of
     * `askToken`, and nothing tells the two apart: do not ask for both at once. Never repeated here.
     */
    async askMerchantToken(options?: CallOptions): Promise<void> {
      const name = 'genericOperations.askMerchantToken';
      const call = { name, service: 'portal', method: 'POST', path: '/v1/token/merchants' } as const;
      await send({ ...call, effectful: true, answer: z.looseObject({}) }, options);
    },

    /**
     * Runs an operation: `POST /v1/genericoperations` [doc], the token among the parameters. `operation` up to 3 digits,
     * `terminal_id` 8 letters or digits, `merchant_usn` up to 12 digits, `subfunction` 2 digits. A `terminal_id` must not
     * be used by two requests at once: the flow `genericOperation` holds it. The token is burnt before the operation runs.
     */
    async run(args: z.input<typeof runArguments>, options?: CallOptions): Promise<OperationAnswer> {
      const name = 'genericOperations.run';
      const body = checked(name, runArguments, args);
      const call = { name, service: 'portal', method: 'POST', path: '/v1/genericoperations', body } as const;
      return send({ ...call, effectful: true, resultCode: 'optional', answer: operationAnswer }, options);
    },
  };
}
