/** The errors of the worker's client, distinguished by `code`. */

/** The codes of the service's own problem documents. */
export type ServiceCode =
  | 'invalid_request'
  | 'unauthorized'
  | 'forbidden'
  | 'foreign_origin'
  | 'not_found'
  | 'unknown_token'
  | 'unknown_claim'
  | 'unknown_expectation'
  | 'unknown_recharge'
  | 'decided'
  | 'conflict'
  | 'claimed'
  | 'lease_lost'
  | 'used'
  | 'cancelled'
  | 'payload_too_large'
  | 'unsupported_media_type'
  | 'internal_error'
  | 'not_configured'
  | 'carat_refused'
  | 'carat_unreachable'
  | 'no_post'
  | 'store_away'
  | 'draining'
  | 'too_many_waiters'
  | 'too_many_readers';

export type WorkerErrorCode =
  | ServiceCode
  /** The client's `url` is not a valid HTTP address. */
  | 'invalid_url'
  /** No answer: connection refused or reset, or no answer by the deadline. */
  | 'unreachable'
  /** The answer does not come from this service: another server listens there, or a proxy answered instead. */
  | 'unexpected_answer'
  /** `withToken`: the call to Carat succeeded, but no token came in time. */
  | 'no_token';

export interface WorkerErrorFacts {
  /** The HTTP status, if there was an answer. */
  status?: number | undefined;
  /** Milliseconds to wait before a retry, as the service requested. */
  retryAfter?: number | undefined;
  /** The claim that holds the token, with `claimed`. */
  claimId?: string | undefined;
  /** When its lease ends, with `claimed`. */
  leaseExpiresAt?: Date | undefined;
  /** The decision that was made, with `decided`. */
  decision?: 'confirm' | 'undo' | undefined;
  /** Carat's result code and its message without secrets, with `carat_refused`. */
  carat?: { code: string; message: string } | undefined;
  cause?: unknown;
}

/** An error of the worker's client. Never contains a token's value or the key. */
export class WorkerError extends Error {
  readonly code: WorkerErrorCode;
  readonly status: number | undefined;
  readonly retryAfter: number | undefined;
  readonly claimId: string | undefined;
  readonly leaseExpiresAt: Date | undefined;
  readonly decision: 'confirm' | 'undo' | undefined;
  readonly carat: { code: string; message: string } | undefined;

  constructor(code: WorkerErrorCode, message: string, facts: WorkerErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'WorkerError';
    this.code = code;
    this.status = facts.status;
    this.retryAfter = facts.retryAfter;
    this.claimId = facts.claimId;
    this.leaseExpiresAt = facts.leaseExpiresAt;
    this.decision = facts.decision;
    this.carat = facts.carat;
  }

  /** True if a retry may succeed: the service restarts, is stopping, or its store is unavailable. */
  get passing(): boolean {
    // The service's own 502 and 504 report a call to Carat, which must not be repeated.
    const byProxy = this.code === 'unexpected_answer' && (this.status === 502 || this.status === 504);
    return this.code === 'unreachable' || this.status === 503 || byProxy;
  }
}

/** True if an error is a `WorkerError`, and has the code if one is given. */
export function isWorkerError(error: unknown, code?: WorkerErrorCode): error is WorkerError {
  return error instanceof WorkerError && (code === undefined || error.code === code);
}
