/** Reading, claiming and settling tokens. */
import * as z from 'zod';
import { CORRELATORS } from '../../../token.ts';
import {
  correlators,
  kind,
  LIMITS,
  merchant,
  oneCorrelator,
  secondsText,
  selector,
  time,
  wait,
  waitInQuery,
  waitText,
} from './fields.ts';

const leaseText = secondsText(1, LIMITS.leaseSeconds);

export const ReadQuery = z
  .strictObject(
    {
      ...selector('Exactly one'),
      kind: kind.optional(),
      merchant,
      wait: waitInQuery('token'),
    },
    'a JSON object',
  )
  .check(oneCorrelator(1));

export const ClaimBody = z
  .strictObject(
    {
      ...selector('At most one'),
      kind: kind.optional(),
      merchant,
      wait: wait.default(0).describe(`How long to wait for a token; ${waitText}.`),
      lease: z
        .number(leaseText)
        .min(1, leaseText)
        .max(LIMITS.leaseSeconds, leaseText)
        .default(LIMITS.defaultLeaseSeconds)
        .describe(`How long the token is held; ${leaseText}.`),
      renew: z
        .boolean('true or false')
        .default(false)
        .describe('Only renew the lease of the token that the claim holds. Never takes another token.'),
    },
    'a JSON object',
  )
  .check(oneCorrelator(0), (given) => {
    if (given.value.renew) return;
    if (given.value.kind === undefined && CORRELATORS.every((name) => given.value[name] === undefined)) {
      given.issues.push({ code: 'custom', path: ['kind'], message: 'a kind if there is no selector', input: 'none' });
    }
  });

const claimIdText = '1 to 64 of A-Z a-z 0-9 _ -';
export const ClaimParams = z.strictObject({
  claim_id: z
    .string(claimIdText)
    .regex(/^[A-Za-z0-9_-]{1,64}$/, claimIdText)
    .describe("The worker's own choice."),
});

const ClaimState = z.object({ id: z.string(), lease_expires_at: time, deliveries: z.int().min(1) });
export const TokenAnswer = z
  .object({
    id: z.string().describe('Stable for merchant, kind and value.'),
    merchant: z.string(),
    kind,
    value: z.string().describe('The SEID, NIT or token itself.'),
    ...correlators,
    received_at: time,
    expires_at: time,
    distinct: z.int().min(1).describe('How many different live values match the selector.'),
    claim: ClaimState.nullable(),
  })
  .meta({ id: 'Token' });
