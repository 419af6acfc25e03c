/** Fields that several resources of the worker API share, with their limits. */
import * as z from 'zod';
import { MAX_CORRELATOR_CHARS } from '../../../intake/parse-post.ts';
import { CORRELATORS, type Correlator, KINDS } from '../../../token.ts';

export const LIMITS = {
  waitSeconds: 60,
  leaseSeconds: 600,
  defaultLeaseSeconds: 60,
  ttlSeconds: 3600,
  defaultTtlSeconds: 120,
  defaultAskSeconds: 30,
  posts: 500,
  defaultPosts: 50,
} as const;

export const kind = z.enum(KINDS, `one of ${KINDS.join(', ')}`).describe('The kind of token.');
export const merchant = z
  .string('the name of a merchant')
  .min(1, 'the name of a merchant')
  .default('default')
  .describe("Carat's merchant (loja), as named in AUTHENTICITY_PATHS.");
const correlatorText = `1 to ${MAX_CORRELATOR_CHARS} characters without control characters`;
// Generated clients drop the flag `u`, which `\P{Cc}` needs. hey-api writes `\u0000` as a NUL into its source.
const correlator = z
  .string(correlatorText)
  .regex(new RegExp(`^[^\\x00-\\x1f\\x7f-\\x9f]{1,${MAX_CORRELATOR_CHARS}}$`, 'u'), correlatorText);
export const MEANING = {
  merchant_data: 'The merchant_data that the worker sent to Carat.',
  sid: 'The SID of the schedule.',
  merchant_usn: "The merchant's USN. A post names it merchantUSN, merchant_usn or nsu.",
  order_id: "The merchant's order. A post names it order_id or pedido.",
} as const satisfies Record<Correlator, string>;

/** The four fields of a selector. `howMany` says how many of them a request may have. */
export function selector(howMany: 'Exactly one' | 'At most one') {
  const field = (name: Correlator) =>
    correlator.optional().describe(`${MEANING[name]} ${howMany} of ${CORRELATORS.join(', ')}.`);
  return {
    merchant_data: field('merchant_data'),
    sid: field('sid'),
    merchant_usn: field('merchant_usn'),
    order_id: field('order_id'),
  };
}

// Answers have no pattern: a client must accept every value.
export const correlators = {
  merchant_data: z.string().optional().describe(MEANING.merchant_data),
  sid: z.string().optional().describe(MEANING.sid),
  merchant_usn: z.string().optional().describe(MEANING.merchant_usn),
  order_id: z.string().optional().describe(MEANING.order_id),
};

/** A string with known values. An enumeration would make clients refuse a new value. */
export function growing(meaning: string, values: readonly string[]) {
  return z.string().describe(`${meaning} Currently one of ${values.join(', ')}; releases may add values.`);
}

export const secondsText = (least: number, most: number) => `seconds, a number from ${least} to ${most}`;
export const waitText = secondsText(0, LIMITS.waitSeconds);
export const wait = z.number(waitText).min(0, waitText).max(LIMITS.waitSeconds, waitText);
/** `wait` in a query, where every value is text. */
export function waitInQuery(what: string) {
  return z
    .string(waitText)
    .regex(/^\d{1,3}(\.\d{1,9})?$/, waitText)
    .transform(Number)
    .pipe(wait)
    .default(0)
    .describe(`How long to wait for the ${what}; ${waitText}.`);
}

/** Checks that a selector has exactly one correlator, or at most one if `least` is 0. */
export function oneCorrelator(least: 0 | 1) {
  return (given: z.core.ParsePayload<Partial<Record<(typeof CORRELATORS)[number], string | undefined>>>): void => {
    const present = CORRELATORS.filter((name) => given.value[name] !== undefined);
    const expected = `${least === 1 ? 'exactly' : 'at most'} one of ${CORRELATORS.join(', ')}`;
    if (present.length > 1) {
      given.issues.push({ code: 'custom', path: present.slice(1, 2), message: expected, input: present.join(' and ') });
    } else if (present.length < least) {
      given.issues.push({ code: 'custom', path: ['selector'], message: expected, input: 'none' });
    }
  };
}

export const MerchantQuery = z.strictObject({ merchant });
/** For routes with a body: a parameter in the address would have no effect. */
export const NoQuery = z.strictObject({});
/** For routes with a query: a parameter in the body would have no effect. */
export const NoBody = z.strictObject({}, 'no body').nullish();

export const IdParams = z.strictObject({ id: z.string() });

export const time = z.iso.datetime().describe('RFC 3339, UTC.');
