/**
 * The one error of the Carat client. It says what failed, in which call, what Carat answered, and whether the call may have
 * had an effect. It never contains a key, card data, a token or an address with a query.
 */

/**
 * - `bad_argument`: an argument does not have the documented format; no call was made.
 * - `denied`: Carat answered without success. `unauthorized` (401, 403) and `not_found` (404) are special cases.
 * - `unavailable`: Carat answered 5xx. `bad_answer`: the answer cannot be parsed, or has another 2xx than documented.
 *   `timeout`: no answer within the deadline. `connection`: no connection, or it was lost.
 * - `aborted`: the caller's signal ended it.
 * - `no_post`: Carat answered success, but no authenticity post came.
 * - `token_source`: the receiver failed to hand out a token; `cause` is its error.
 * - `notes`: the folder of recharge notes could not be used.
 */
export type CaratErrorCode =
  | 'bad_argument'
  | 'denied'
  | 'unauthorized'
  | 'not_found'
  | 'unavailable'
  | 'bad_answer'
  | 'timeout'
  | 'connection'
  | 'aborted'
  | 'no_post'
  | 'token_source'
  | 'notes';

export interface CaratErrorFacts {
  /** The call or flow that failed, by its method's name: `schedules.beginEdit`. */
  call: string;
  /** `none`: certainly nothing changed at Carat. `unknown`: the call may have been carried out. */
  effect: 'none' | 'unknown';
  httpStatus?: number | undefined;
  /** Carat's result code, as text; 115 is "authenticity error". */
  caratCode?: string | undefined;
  /** Carat's message, at most 500 characters, with the request's secrets masked. */
  caratMessage?: string | undefined;
  /** For `bad_argument`: the argument, and the format that Carat documents for it. */
  field?: string | undefined;
  format?: string | undefined;
  cause?: unknown;
}

export class CaratError extends Error {
  readonly code: CaratErrorCode;
  readonly call: string;
  readonly effect: 'none' | 'unknown';
  readonly httpStatus: number | undefined;
  readonly caratCode: string | undefined;
  readonly caratMessage: string | undefined;
  readonly field: string | undefined;
  readonly format: string | undefined;

  constructor(code: CaratErrorCode, message: string, facts: CaratErrorFacts) {
    super(`${facts.call}: ${message}`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'CaratError';
    this.code = code;
    this.call = facts.call;
    this.effect = facts.effect;
    this.httpStatus = facts.httpStatus;
    this.caratCode = facts.caratCode;
    this.caratMessage = facts.caratMessage;
    this.field = facts.field;
    this.format = facts.format;
  }
}

/** True if the call may have been carried out although it failed: its answer was lost, not its request. */
export function answerLost(error: unknown): error is CaratError {
  return error instanceof CaratError && error.effect === 'unknown';
}
