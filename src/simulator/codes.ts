/** Result codes and messages of the simulator. Carat publishes few of them: 9xx are the simulator's own. */
import type { Answer, Call, Fields } from './call.ts';

export const OK_MESSAGE = 'OK. Transaction successful.';
export const NULL_NIT = ['1', 'NIT is null'] as const;
export const BAD_AUTHORIZER = ['5', 'Invalid authorizer'] as const;
export const AUTHENTICITY = ['115', 'Error sending the authenticity POST'] as const;
export const BAD_FIELD = '900';
export const UNKNOWN = ['901', 'Unknown transaction'] as const;
const WRONG_STATUS = '902';
export const TERMINAL_BUSY = ['903', 'Terminal in use by another request'] as const;
const DENIED = '999';

/** Returns a success, with `code` at the top. */
export function success(body: Record<string, unknown> = {}, status = 200): Answer {
  return { status, body: { code: '0', message: OK_MESSAGE, ...body } };
}

/** Returns a failure, with `code` at the top. */
export function failure([code, message]: readonly [string, string], status = 400): Answer {
  return { status, body: { code, message } };
}

/** Returns the denial that a fault requests, if any. */
export function deniedBy(call: Call): readonly [string, string] | undefined {
  return call.faults.has('denied') ? [call.faults.get('denied') || DENIED, 'Denied on demand'] : undefined;
}

export function badField(name: string): readonly [string, string] {
  return [BAD_FIELD, `Invalid field: ${name}`];
}

export function wrongStatus(status: string): readonly [string, string] {
  return [WRONG_STATUS, `Not possible in status ${status}`];
}

/** Returns the name of the first malformed field; a field in `optional` may be missing. */
export function firstBad(
  fields: Fields,
  formats: Record<string, RegExp>,
  optional: readonly string[] = [],
): string | undefined {
  return Object.keys(formats).find((name) => {
    const value = fields[name];
    if (value === undefined || value === '') return !optional.includes(name);
    return typeof value !== 'string' || !formats[name]?.test(value);
  });
}

export const FORMAT = {
  id: /^[0-9A-Za-z]{64}$/,
  cents: /^[0-9]{1,12}$/,
  usn: /^[0-9]{1,12}$/,
  order: /^[\x21-\x7e]{1,20}$/,
  authorizer: /^[0-9]{1,3}$/,
  date: /^[0-3][0-9]\/[01][0-9]\/[0-9]{4}$/,
  number: /^[0-9]{1,2}$/,
  flag: /^(true|false)$/,
  card: /^[0-9]{12,19}$/,
  expiry: /^[0-9]{4}$/,
  code: /^[0-9]{3,4}$/,
} as const;
