/** Generic operations (`operações genéricas`): ask for a token, which comes by authenticity post, and run an operation with it. */
import * as z from 'zod';
import { checked, fields } from './arguments.ts';
import type { CallOptions, Send } from './call.ts';

/** Each operation has its own parameters, which Carat documents per routing. They are sent unchanged. */
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
     * Asks for one token: `GET /v1/token` [doc]. It comes by authenticity post, without a correlator, before this resolves.
     * **A GET with side effects**: a repeated call asks for a second token. This client never repeats it.
     */
    async askToken(options?: CallOptions): Promise<void> {
      const call = { name: 'genericOperations.askToken', service: 'portal', method: 'GET', path: '/v1/token' } as const;
      await send({ ...call, effectful: true, answer: z.looseObject({}) }, options);
    },

    /**
     * Asks for one token that registers a merchant: `POST /v1/token/merchants` [doc]. It comes like the token of `askToken`
     * and cannot be distinguished from it: do not ask for both at once. This client never repeats it.
     */
    async askMerchantToken(options?: CallOptions): Promise<void> {
      const name = 'genericOperations.askMerchantToken';
      const call = { name, service: 'portal', method: 'POST', path: '/v1/token/merchants' } as const;
      await send({ ...call, effectful: true, answer: z.looseObject({}) }, options);
    },

    /**
     * Runs an operation: `POST /v1/genericoperations` [doc], with the token in the parameters. `operation` up to 3 digits,
     * `terminal_id` 8 letters or digits, `merchant_usn` up to 12 digits, `subfunction` 2 digits. Two requests at once must
     * not use the same `terminal_id`: the flow `genericOperation` reserves it. Carat spends the token before it runs the
     * operation.
     */
    async run(args: z.input<typeof runArguments>, options?: CallOptions): Promise<OperationAnswer> {
      const name = 'genericOperations.run';
      const body = checked(name, runArguments, args);
      const call = { name, service: 'portal', method: 'POST', path: '/v1/genericoperations', body } as const;
      return send({ ...call, effectful: true, resultCode: 'optional', answer: operationAnswer }, options);
    },
  };
}
