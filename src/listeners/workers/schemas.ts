/**
 * The wire of the worker API: paths, schemas and error codes. What workers may rely on stands here, and the OpenAPI
 * document is made of it.
 */
import * as z from 'zod';
import { fields } from '../../carat/arguments.ts';
import { MAX_CORRELATOR_CHARS } from '../../intake/parse-post.ts';
import { CORRELATORS, type Correlator, KINDS, UNUSABLE_REASONS } from '../../token.ts';

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

const kind = z.enum(KINDS, `one of ${KINDS.join(', ')}`).describe('The kind of token.');
const merchant = z
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
const MEANING = {
  merchant_data: 'What the worker sent to Carat as merchant_data.',
  sid: 'The SID of the schedule.',
  merchant_usn: "The merchant's USN, in a post merchantUSN, merchant_usn or nsu.",
  order_id: "The merchant's order, in a post order_id or pedido.",
} as const satisfies Record<Correlator, string>;

/** The four fields of a selector, of which a request has as many as `howMany` says. */
function selector(howMany: 'Exactly one' | 'At most one') {
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
const correlators = {
  merchant_data: z.string().optional().describe(MEANING.merchant_data),
  sid: z.string().optional().describe(MEANING.sid),
  merchant_usn: z.string().optional().describe(MEANING.merchant_usn),
  order_id: z.string().optional().describe(MEANING.order_id),
};

/** A string of which these values are known today. An enumeration would make clients refuse a new one. */
function growing(what: string, values: readonly string[]) {
  return z.string().describe(`${what} Today one of ${values.join(', ')}; new ones may be added.`);
}

const secondsText = (least: number, most: number) => `seconds, a number from ${least} to ${most}`;
const waitText = secondsText(0, LIMITS.waitSeconds);
const wait = z.number(waitText).min(0, waitText).max(LIMITS.waitSeconds, waitText);
/** The same in a query, where everything is text. */
function waitInQuery(what: string) {
  return z
    .string(waitText)
    .regex(/^\d{1,3}(\.\d{1,9})?$/, waitText)
    .transform(Number)
    .pipe(wait)
    .default(0)
    .describe(`How long to wait for the ${what}; ${waitText}.`);
}
const leaseText = secondsText(1, LIMITS.leaseSeconds);
const ttlText = secondsText(1, LIMITS.ttlSeconds);

/** A selector has one correlator, or with `least` 0 at most one. */
function oneCorrelator(least: 0 | 1) {
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
        .describe('Only renew the lease of what the claim holds; take nothing, whatever the selector says.'),
    },
    'a JSON object',
  )
  .check(oneCorrelator(0), (given) => {
    if (given.value.renew) return;
    if (given.value.kind === undefined && CORRELATORS.every((name) => given.value[name] === undefined)) {
      given.issues.push({ code: 'custom', path: ['kind'], message: 'a kind when there is no selector', input: 'none' });
    }
  });

export const ExpectationBody = z
  .strictObject(
    {
      ...selector('At most one'),
      kind,
      merchant,
      ttl: z
        .number(ttlText)
        .min(1, ttlText)
        .max(LIMITS.ttlSeconds, ttlText)
        .default(LIMITS.defaultTtlSeconds)
        .describe(`How long the post is expected; ${ttlText}.`),
    },
    'a JSON object',
  )
  .check(oneCorrelator(0), (given) => {
    if (given.value.kind === 'nit' && CORRELATORS.every((name) => given.value[name] === undefined)) {
      const message = `one of ${CORRELATORS.join(', ')} when the kind is nit`;
      given.issues.push({ code: 'custom', path: ['selector'], message, input: 'none' });
    }
  });

export const MerchantQuery = z.strictObject({ merchant });
/** For routes whose parameters are in the body: one that is in the address would do nothing. */
export const NoQuery = z.strictObject({});
/** The same the other way round. */
export const NoBody = z.strictObject({}, 'no body').nullish();

const claimIdText = '1 to 64 of A-Z a-z 0-9 _ -';
export const ClaimParams = z.strictObject({
  claim_id: z
    .string(claimIdText)
    .regex(/^[A-Za-z0-9_-]{1,64}$/, claimIdText)
    .describe("The worker's own choice."),
});
export const IdParams = z.strictObject({ id: z.string() });

const time = z.iso.datetime().describe('RFC 3339, UTC.');
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
    distinct: z.int().min(1).describe('How many different live values there are under the selector.'),
    claim: ClaimState.nullable(),
  })
  .meta({ id: 'Token' });
export const ExpectationAnswer = z
  .object({
    id: z.string(),
    kind,
    ...correlators,
    merchant_data: correlators.merchant_data.describe(
      `${MEANING.merchant_data} Always there for a seid that was announced without a selector.`,
    ),
    expires_at: time,
  })
  .meta({ id: 'Expectation' });

const onlyMerchant = z
  .string('the name of a merchant')
  .min(1, 'the name of a merchant')
  .optional()
  .describe('Of this merchant only; without it of all that the key may see.');
export const EventsQuery = z.strictObject({ merchant: onlyMerchant });
const limitText = `a whole number from 1 to ${LIMITS.posts}`;
export const PostsQuery = z.strictObject({
  merchant: onlyMerchant,
  limit: z
    .string(limitText)
    .regex(/^\d{1,3}$/, limitText)
    .transform(Number)
    .pipe(z.int(limitText).min(1, limitText).max(LIMITS.posts, limitText))
    .default(LIMITS.defaultPosts)
    .describe(`How many at the most; ${limitText}.`),
});
const POST_OUTCOMES = ['kept', 'known', 'unexpected', 'deferred', 'late', 'failed', 'unusable'];
const TOKEN_STATUSES = ['waiting', 'read', 'claimed', 'released', 'used', 'orphan'];
export const PostsAnswer = z.object({
  posts: z
    .array(
      z.object({
        received_at: time,
        instance: z.string().describe('Which instance received it.'),
        merchant: z.string(),
        kind: kind.optional(),
        ...correlators,
        fingerprint: z.string().optional().describe("8 hexadecimal digits that stand for the token's value."),
        outcome: growing('What became of the post.', POST_OUTCOMES),
        reason: growing('Why it is unusable.', UNUSABLE_REASONS).optional(),
        from: z.string().describe("The sender's address."),
        dropped: z
          .array(z.enum([...KINDS, ...CORRELATORS]))
          .optional()
          .describe('Fields that could not be read: malformed, or sent with different values.'),
        content_type: z.string().optional().describe('The media type, where it is the reason for `not_a_form`.'),
        content_encoding: z.string().optional().describe('The compression, where it is the reason for `not_a_form`.'),
        became: growing('Where its token is now. Absent for what is never handed out.', TOKEN_STATUSES).optional(),
        handed_over_after_ms: z
          .number()
          .nullable()
          .describe('Milliseconds until its token was first given to a worker; null if it was not.'),
      }),
    )
    .describe('Newest first; those that came since this instance started, with Redis to any instance.'),
});
export const HealthAnswer = z.object({
  status: z.enum(['ready', 'stopping']),
  store: z.object({ kind: z.string(), state: z.string(), detail: z.string().optional() }),
  fallback: z.record(z.string(), z.union([z.string(), z.number()])).nullable(),
  waiters: z.object({ parked: z.int(), max: z.int() }),
});
export const AliveAnswer = z.object({ status: z.literal('alive') });

const CaratSaid = z
  .object({
    code: z.string().describe("Carat's result code; 0 is success."),
    message: z.string().describe("Carat's message, without secrets."),
  })
  .meta({ id: 'CaratSaid' });
const said = CaratSaid.nullable().describe(
  "Null when the post came and Carat's own answer was lost: the operation lives.",
);

const RECHARGE_TYPES = ['normal', 'others', 'invoice'] as const;
const askWaitText = secondsText(1, LIMITS.waitSeconds);
/** What every route takes that asks Carat. */
const asking = {
  merchant,
  wait: z
    .number(askWaitText)
    .min(1, askWaitText)
    .max(LIMITS.waitSeconds, askWaitText)
    .default(LIMITS.defaultAskSeconds)
    .describe(`For Carat's answer and the post together; ${askWaitText}.`),
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
      .describe(`Without a decision in this time the service undoes the recharge; ${settleText}.`),
    ...asking,
  },
  'a JSON object',
);
export const RechargeAnswer = z
  .object({
    nit,
    merchant_usn: z.string(),
    order_id: z.string().optional(),
    settle_by: time.describe('Without a decision by then the service undoes the recharge; RFC 3339, UTC.'),
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
    decided_by: z.enum(['worker', 'guard']).nullable().describe('guard: nobody decided by settle_by.'),
    end: z
      .enum(['confirmed', 'undone', 'not_effected'])
      .nullable()
      .describe("Null until Carat's answer was seen; the service goes on automatically."),
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
    const message = 'merchant_usn or order_id, by which the post is recognised';
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

/** Every error that the worker API answers, with its status and what it means. */
export const PROBLEMS = {
  invalid_request: { status: 400, title: 'A parameter is wrong' },
  unauthorized: { status: 401, title: 'A worker key is missing or wrong' },
  forbidden: { status: 403, title: 'The key is for another merchant' },
  foreign_origin: { status: 403, title: 'Request from a page of another site, or to a host name that is not loopback' },
  not_found: { status: 404, title: 'No such address' },
  unknown_token: { status: 404, title: 'Unknown or expired token' },
  unknown_claim: { status: 404, title: 'Unknown claim, or its token expired' },
  unknown_expectation: { status: 404, title: 'Unknown or ended expectation' },
  unknown_recharge: { status: 404, title: 'Unknown NIT: this service did not hand it out' },
  decided: { status: 409, title: 'The recharge already has the other decision' },
  conflict: { status: 409, title: 'Different live tokens under this selector' },
  claimed: { status: 409, title: 'Another claim holds the token' },
  lease_lost: { status: 409, title: 'The claim no longer holds the token' },
  used: { status: 410, title: 'The token was used' },
  cancelled: { status: 410, title: 'The expectation was cancelled' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  unsupported_media_type: { status: 415, title: 'The body is not JSON' },
  internal_error: { status: 500, title: 'Internal error' },
  not_configured: { status: 501, title: 'No credentials at Carat for this merchant' },
  carat_refused: { status: 502, title: 'Carat refused the request' },
  carat_unreachable: { status: 502, title: 'Carat could not be reached, or its answer was lost' },
  no_post: { status: 504, title: 'Carat answered success, but its authenticity post did not come in time' },
  store_away: { status: 503, title: "Store unavailable: the token's state is unknown" },
  draining: { status: 503, title: 'The service is stopping' },
  too_many_waiters: { status: 503, title: 'Too many waiting workers' },
  too_many_readers: { status: 503, title: 'Too many event readers' },
} as const;
export type ProblemCode = keyof typeof PROBLEMS;

export const Problem = z
  .object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: growing('What went wrong. Treat an unknown code by its status.', Object.keys(PROBLEMS)),
    errors: z
      .array(z.object({ parameter: z.string(), expected: z.string(), received: z.string().optional() }))
      .optional()
      .describe('Each wrong parameter, with invalid_request.'),
    claim_id: z.string().optional().describe('The holder, with claimed.'),
    lease_expires_at: time.optional().describe('When its lease ends, with claimed.'),
    decision: z.enum(['confirm', 'undo']).optional().describe('The decision that stands, with decided.'),
    carat: CaratSaid.optional().describe('What Carat said, with carat_refused.'),
  })
  .describe('RFC 9457.')
  .meta({ id: 'Problem' });
export type ProblemDocument = z.output<typeof Problem>;
