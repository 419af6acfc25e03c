/** Announcing what a worker is about to ask Carat for. */
import * as z from 'zod';
import { CORRELATORS } from '../../../token.ts';
import { correlators, kind, LIMITS, MEANING, merchant, oneCorrelator, secondsText, selector, time } from './fields.ts';

const ttlText = secondsText(1, LIMITS.ttlSeconds);

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
      const message = `one of ${CORRELATORS.join(', ')} if the kind is nit`;
      given.issues.push({ code: 'custom', path: ['selector'], message, input: 'none' });
    }
  });

export const ExpectationAnswer = z
  .object({
    id: z.string(),
    kind,
    ...correlators,
    merchant_data: correlators.merchant_data.describe(
      `${MEANING.merchant_data} Always present for a seid that was announced without a selector.`,
    ),
    expires_at: time,
  })
  .meta({ id: 'Expectation' });
