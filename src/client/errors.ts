/** What can go wrong between a worker and the service, told apart by `code`. */

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
  /** The address given to the client is none of an HTTP service. */
  | 'invalid_url'
  /** No answer: refused, reset, or silent until the deadline. */
  | 'unreachable'
  /** An answer that is not of this service: something else listens there, or a proxy answered in its place. */
  | 'unexpected_answer'
  /** `withToken`: the call to Carat went well, but no token came in time. */
  | 'no_token';

export interface WorkerErrorFacts {
  /** The HTTP status, if there was an answer. */
  status?: number | undefined;
  /** Milliseconds that the service asked to wait before trying again. */
  retryAfter?: number | undefined;
  /** The holder, with `claimed`. */
  claimId?: string | undefined;
  /** When its lease ends, with `claimed`. */
  leaseExpiresAt?: Date | undefined;
  /** The decision that stands, with `decided`. */
  decision?: 'confirm' | 'undo' | undefined;
  /** What Carat said, with `carat_refused`: its result code, and its message without secrets. */
  carat?: { code: string; message: string } | undefined;
  cause?: unknown;
}

/** Never holds a token's value or the key. */
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

  /** Whether the same request may do better a little later: the service restarts, drains or has lost its store. */
  get passing(): boolean {
    // The service's own 502 and 504 say what came of a call to Carat, which is not to be made twice.
    const byProxy = this.code === 'unexpected_answer' && (this.status === 502 || this.status === 504);
    return this.code === 'unreachable' || this.status === 503 || byProxy;
  }
}

/** Whether an error is a `WorkerError`, and if a code is named, of that code. */
export function isWorkerError(error: unknown, code?: WorkerErrorCode): error is WorkerError {
  return error instanceof WorkerError && (code === undefined || error.code === code);
}
