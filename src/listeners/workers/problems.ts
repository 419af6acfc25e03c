/** The one place that turns errors into answers of the worker API: `application/problem+json`, RFC 9457. */
import type { FastifyReply } from 'fastify';
import * as z from 'zod';
import { AskError } from '../../asking/asker.ts';
import { FORMAT } from '../../carat/arguments.ts';
import { maskRuns } from '../../observability/redaction.ts';
import { PROBLEMS, Problem, type ProblemCode, type ProblemDocument } from './schemas/problems.ts';

type Extra = Partial<Pick<ProblemDocument, 'errors' | 'claim_id' | 'lease_expires_at' | 'carat' | 'decision'>>;

/** What every route under `/v1` may answer. */
const ANY_ROUTE: readonly ProblemCode[] = ['invalid_request', 'unauthorized', 'forbidden'];

/**
 * Returns the schemas of a route's answers, for the OpenAPI document: 204, and one problem for each code's status. Those
 * that every route may answer are included.
 */
export function answers(...which: (204 | ProblemCode)[]): Record<number, z.ZodType> {
  return Object.fromEntries(
    [...which, ...ANY_ROUTE].map((code) => (code === 204 ? [204, z.null()] : [PROBLEMS[code].status, Problem])),
  );
}

/** An error that a handler throws and `sendProblem` answers. */
export class ProblemError extends Error {
  readonly code: ProblemCode;
  readonly extra: Extra;
  constructor(code: ProblemCode, detail: string = PROBLEMS[code].title, extra: Extra = {}) {
    super(detail);
    this.name = 'ProblemError';
    this.code = code;
    this.extra = extra;
  }
}

/** Returns the problem of one wrong parameter: what was expected, and what was received. */
export function wrongParameter(parameter: string, expected: string, received: unknown): ProblemError {
  return wrongParameters([{ parameter, expected, ...(received === undefined ? {} : { received: show(received) }) }]);
}

function wrongParameters(errors: NonNullable<ProblemDocument['errors']>): ProblemError {
  const detail = errors
    .map(
      ({ parameter, expected, received }) =>
        `${parameter}: expected ${expected}${received === undefined ? '' : `, got ${received}`}`,
    )
    .join('; ');
  return new ProblemError('invalid_request', detail, { errors });
}

export function sendProblem(reply: FastifyReply, { code, message, extra }: ProblemError): FastifyReply {
  const { status, title } = PROBLEMS[code];
  if (status === 503) reply.header('retry-after', '1');
  // Two headers: Chromium shows no password dialog when one header has Basic after Bearer.
  if (status === 401) reply.header('www-authenticate', ['Basic realm="worker API", charset="UTF-8"', 'Bearer']);
  const problem: ProblemDocument = { type: 'about:blank', title, status, detail: message, code, ...extra };
  return reply.code(status).type('application/problem+json').send(JSON.stringify(problem));
}

/** Returns the problem for an error of a handler or of Fastify. Undefined if the error is a bug. */
export function problemOf(error: unknown): ProblemError | undefined {
  if (error instanceof ProblemError) return error;
  if (error instanceof AskError) {
    return new ProblemError(error.code, error.message || undefined, error.carat && { carat: error.carat });
  }
  const { code, statusCode, message } = error as { code?: string; statusCode?: number; message: string };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new ProblemError('payload_too_large', 'expected a body of at most 16 KiB');
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new ProblemError('unsupported_media_type', 'expected a body with Content-Type: application/json');
  }
  return statusCode !== undefined && statusCode < 500
    ? new ProblemError('invalid_request', maskRuns(message))
    : undefined;
}

/** Creates Fastify's validator. It returns the parsed value, or an error that names every wrong field. */
export function validatorCompiler({ schema }: { schema: z.ZodType }) {
  return (data: unknown): { value: unknown } | { error: ProblemError } => {
    const parsed = schema.safeParse(data, { reportInput: true });
    if (parsed.success) return { value: parsed.data };
    const wrong = parsed.error.issues.flatMap(wrongFields);
    // zod reports a list in place of a text twice: by its type and by its length.
    return { error: wrongParameters([...new Map(wrong.map((one) => [one.parameter, one])).values()]) };
  };
}

function wrongFields(issue: z.core.$ZodIssue): NonNullable<ProblemDocument['errors']> {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ parameter: show(key, ''), expected: 'no such parameter' }));
  }
  const parameter = issue.path.join('.') || 'body';
  // A field of Carat's: the received value is not repeated, because it may be a misplaced card number.
  if (issue.message.startsWith(FORMAT)) return [{ parameter, expected: issue.message.slice(FORMAT.length) }];
  return [
    { parameter, expected: issue.message, ...(issue.input === undefined ? {} : { received: show(issue.input) }) },
  ];
}

/** Names of card data, in lower case without `_` and `-`. */
const CARD_FIELD = /^(card.*|number|pan|securitycode|cvv2?|cvc2?|expiry(date)?|expiration(date)?|holder|track[12]?)$/;

/** @throws ProblemError `invalid_request` for a body with a field named like card data; no value is repeated */
export function refuseCardData(body: unknown): void {
  if (typeof body !== 'object' || body === null) return;
  const found = Object.keys(body).filter((name) => CARD_FIELD.test(name.toLowerCase().replace(/[_-]/g, '')));
  if (found.length === 0) return;
  const expected = 'no card data here: send it to Carat directly';
  throw wrongParameters(found.map((name) => ({ parameter: show(name, ''), expected })));
}

const SHOWN_CHARS = 80;

function show(value: unknown, quote = '"'): string {
  const text = maskRuns(shownAs(value, quote));
  return text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text;
}

function shownAs(value: unknown, quote: string): string {
  return typeof value === 'string' ? `${quote}${value}${quote}` : (JSON.stringify(value) ?? String(value));
}
