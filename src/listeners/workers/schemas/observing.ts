/** Events, the last posts, and the health of the service. */
import * as z from 'zod';
import { CORRELATORS, KINDS, UNUSABLE_REASONS } from '../../../token.ts';
import { correlators, growing, kind, LIMITS, time } from './fields.ts';

const onlyMerchant = z
  .string('the name of a merchant')
  .min(1, 'the name of a merchant')
  .optional()
  .describe('Limits the answer to this merchant. Default: all merchants that the key allows.');
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
    .describe(`The maximum number of posts; ${limitText}.`),
});
const POST_OUTCOMES = ['kept', 'known', 'unexpected', 'deferred', 'late', 'failed', 'unusable'];
const TOKEN_STATUSES = ['waiting', 'read', 'claimed', 'released', 'used', 'orphan'];
export const PostsAnswer = z.object({
  posts: z
    .array(
      z.object({
        received_at: time,
        instance: z.string().describe('The instance that received it.'),
        merchant: z.string(),
        kind: kind.optional(),
        ...correlators,
        fingerprint: z
          .string()
          .optional()
          .describe("8 hexadecimal digits that identify the token's value without revealing it."),
        outcome: growing('The outcome of the post.', POST_OUTCOMES),
        reason: growing('Why it is unusable.', UNUSABLE_REASONS).optional(),
        from: z.string().describe("The sender's address."),
        dropped: z
          .array(z.enum([...KINDS, ...CORRELATORS]))
          .optional()
          .describe('Fields that could not be read: malformed, or repeated with different values.'),
        content_type: z.string().optional().describe('The media type, if it is the reason for `not_a_form`.'),
        content_encoding: z.string().optional().describe('The compression, if it is the reason for `not_a_form`.'),
        became: growing('The state of its token. Absent if the token is never handed out.', TOKEN_STATUSES).optional(),
        handed_over_after_ms: z
          .number()
          .nullable()
          .describe('Milliseconds until its token was first given to a worker; null if it was not.'),
      }),
    )
    .describe('Newest first, since this instance started. With Redis, those of all instances.'),
});
export const HealthAnswer = z.object({
  status: z.enum(['ready', 'stopping']),
  store: z.object({ kind: z.string(), state: z.string(), detail: z.string().optional() }),
  fallback: z.record(z.string(), z.union([z.string(), z.number()])).nullable(),
  waiters: z.object({ parked: z.int(), max: z.int() }),
});
export const AliveAnswer = z.object({ status: z.literal('alive') });
