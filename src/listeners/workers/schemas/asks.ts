/** Asking Carat through the service: tokens, recharges and cancellations. */
import * as z from 'zod';
import { fields } from '../../../carat/arguments.ts';
import { LIMITS, merchant, secondsText, time, wait, waitInQuery, waitText } from './fields.ts';
import { CaratSaid } from './problems.ts';

const said = CaratSaid.nullable().describe(
  "Null if the post came but Carat's own answer was lost. The token is valid.",
);

const RECHARGE_TYPES = ['normal', 'others', 'invoice'] as const;
const askWaitText = secondsText(1, LIMITS.waitSeconds);
/** The fields of every route that asks Carat. */
const asking = {
  merchant,
  wait: z
    .number(askWaitText)
    .min(1, askWaitText)
    .max(LIMITS.waitSeconds, askWaitText)
    .default(LIMITS.defaultAskSeconds)
    .describe(`How long to wait for Carat's answer and the post together; ${askWaitText}.`),
};
const tokenTimes = {
  received_at: time,
  expires_at: time.describe('When the service forgets the token; RFC 3339, UTC.'),
};

export const ScheduleEditBody = z.strictObject(
  { sid: fields.sid, merchant_data: fields.merchant_data.optional(), ...asking },
  'a JSON object',
);
export const ScheduleEditAnswer = z
  .object({ seid: z.string(), sid: z.string(), merchant_data: z.string(), ...tokenTimes, carat: said })
  .meta({ id: 'ScheduleEdit' });
const nit = z.string().describe('The NIT. Do not log it.');
const settleText = secondsText(30, 3600);
export const RechargeBody = z.strictObject(
  {
    merchant_usn: fields.merchant_usn,
    order_id: fields.order_id.optional(),
    recharge_type: z.enum(RECHARGE_TYPES, `one of ${RECHARGE_TYPES.join(', ')}`).optional(),
    general_hash: fields.general_hash.optional(),
    settle_within: z
      .number(settleText)
      .min(30, settleText)
      .max(3600, settleText)
      .default(300)
      .describe(`Without a decision within this time, the service undoes the recharge; ${settleText}.`),
    ...asking,
  },
  'a JSON object',
);
export const RechargeAnswer = z
  .object({
    nit,
    merchant_usn: z.string(),
    order_id: z.string().optional(),
    settle_by: time.describe('Without a decision by this time, the service undoes the recharge; RFC 3339, UTC.'),
    ...tokenTimes,
    carat: said,
  })
  .meta({ id: 'Recharge' });
export const NitParams = z.strictObject({ nit: z.string().describe('The NIT as POST /v1/recharges answered it.') });
const DECISIONS = ['confirm', 'undo'] as const;
export const DecisionBody = z.strictObject(
  {
    decision: z.enum(DECISIONS, `one of ${DECISIONS.join(', ')}`),
    merchant,
    wait: wait.default(LIMITS.defaultAskSeconds).describe(`How long to wait for the end; ${waitText}.`),
  },
  'a JSON object',
);
export const RechargeQuery = z.strictObject({
  merchant,
  wait: waitInQuery('end'),
});
export const RechargeState = z
  .object({
    nit,
    merchant_usn: z.string(),
    settle_by: time,
    decision: z.enum(DECISIONS).nullable(),
    decided_by: z.enum(['worker', 'guard']).nullable().describe('`guard` means that no decision came by settle_by.'),
    end: z
      .enum(['confirmed', 'undone', 'not_effected'])
      .nullable()
      .describe('Null until Carat has answered. The service continues automatically.'),
    status: z.string().nullable().describe("Carat's status of the recharge, e.g. CON or PPN."),
  })
  .meta({ id: 'RechargeState' });

export const TokenAskBody = z.strictObject(asking, 'a JSON object').nullish();
export const TokenAskAnswer = z.object({ token: z.string(), ...tokenTimes, carat: said }).meta({ id: 'AskedToken' });
export const CancellationBody = z
  .strictObject(
    {
      esitef_usn: fields.esitef_usn,
      merchant_usn: fields.merchant_usn.optional(),
      order_id: fields.order_id.optional(),
      ...asking,
    },
    'a JSON object',
  )
  .check((given) => {
    if (given.value.merchant_usn !== undefined || given.value.order_id !== undefined) return;
    const message = 'merchant_usn or order_id, which identifies the post';
    given.issues.push({ code: 'custom', path: ['merchant_usn'], message, input: 'none' });
  });
export const CancellationAnswer = z
  .object({
    nit: z.string(),
    esitef_usn: z.string(),
    merchant_usn: z.string().optional(),
    order_id: z.string().optional(),
    ...tokenTimes,
    carat: said,
  })
  .meta({ id: 'Cancellation' });
