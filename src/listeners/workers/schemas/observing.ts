/** Events, the last posts, and the health of the service. */
import * as z from 'zod';
import { CORRELATORS, KINDS, UNUSABLE_REASONS } from '../../../token.ts';
import { correlators, growing, kind, LIMITS, time } from './fields.ts';

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
