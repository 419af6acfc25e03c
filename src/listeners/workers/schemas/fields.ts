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
// Generated clients have no flag `u`, which `\P{Cc}` needs. hey-api writes
// `\u0000` as a NUL into its source.
const correlator = z
  .string(correlatorText)
  .regex(new RegExp(`^[^\\x00-\\x1f\\x7f-\\x9f]{1,${MAX_CORRELATOR_CHARS}}$`, 'u'), correlatorText);
export const MEANING = {
  merchant_data: 'What the worker sent to Carat as merchant_data.',
  sid: 'The SID of the schedule.',
  merchant_usn: "The merchant's USN, in a post merchantUSN, merchant_usn or nsu.",
  order_id: "The merchant's order, in a post order_id or pedido.",
} as const satisfies Record<Correlator, string>;

/** The four fields of a selector, of which a request has as many as `howMany` says. */
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

// No pattern in answers: a client must take whatever comes.
export const correlators = {
  merchant_data: z.string().optional().describe(MEANING.merchant_data),
  sid: z.string().optional().describe(MEANING.sid),
  merchant_usn: z.string().optional().describe(MEANING.merchant_usn),
  order_id: z.string().optional().describe(MEANING.order_id),
};

/** A string of which these values are known today. An enumeration would make clients refuse a new one. */
export function growing(what: string, values: readonly string[]) {
  return z.string().describe(`${what} Today one of ${values.join(', ')}; new ones may be added.`);
}

export const secondsText = (least: number, most: number) => `seconds, a number from ${least} to ${most}`;
export const waitText = secondsText(0, LIMITS.waitSeconds);
export const wait = z.number(waitText).min(0, waitText).max(LIMITS.waitSeconds, waitText);
/** The same in a query, where everything is text. */
export function waitInQuery(what: string) {
  return z
    .string(waitText)
    .regex(/^\d{1,3}(\.\d{1,9})?$/, waitText)
    .transform(Number)
    .pipe(wait)
    .default(0)
    .describe(`How long to wait for the ${what}; ${waitText}.`);
}

/** A selector has one correlator, or with `least` 0 at most one. */
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
/** For routes whose parameters are in the body: one that is in the address would do nothing. */
export const NoQuery = z.strictObject({});
/** The same the other way round. */
export const NoBody = z.strictObject({}, 'no body').nullish();

export const IdParams = z.strictObject({ id: z.string() });

export const time = z.iso.datetime().describe('RFC 3339, UTC.');
