/** The error codes of the worker API and the document in which they are sent. */
import * as z from 'zod';
import { growing, time } from './fields.ts';

export const CaratSaid = z
  .object({
    code: z.string().describe("Carat's result code; 0 is success."),
    message: z.string().describe("Carat's message, without secrets."),
  })
  .meta({ id: 'CaratSaid' });

/** Every error code of the worker API, with its status and its meaning. */
export const PROBLEMS = {
  invalid_request: { status: 400, title: 'A parameter is wrong' },
  unauthorized: { status: 401, title: 'A worker key is missing or wrong' },
  forbidden: { status: 403, title: 'The key is limited to another merchant' },
  foreign_origin: { status: 403, title: 'Request from a page of another site, or to a host name that is not loopback' },
  not_found: { status: 404, title: 'Unknown path or method' },
  unknown_token: { status: 404, title: 'Unknown or expired token' },
  unknown_claim: { status: 404, title: 'Unknown claim, or its token expired' },
  unknown_expectation: { status: 404, title: 'Unknown or ended expectation' },
  unknown_recharge: { status: 404, title: 'Unknown NIT: not handed out by this service' },
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
    claim_id: z.string().optional().describe('The claim that holds the token, with claimed.'),
    lease_expires_at: time.optional().describe('When its lease ends, with claimed.'),
    decision: z.enum(['confirm', 'undo']).optional().describe('The decision that was made, with decided.'),
    carat: CaratSaid.optional().describe("Carat's code and message, with carat_refused."),
  })
  .describe('RFC 9457.')
  .meta({ id: 'Problem' });
export type ProblemDocument = z.output<typeof Problem>;
