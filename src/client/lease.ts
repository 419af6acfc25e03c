/**
 * The lease of a claimed token while its work runs. Renews the lease, and aborts a signal when the token may be lost. The
 * client's own clock decides the end, so that it is detected even if the service does not answer.
 */
import { isWorkerError, WorkerError } from './errors.ts';
import { pause } from './retries.ts';
import type { ClaimedToken } from './wire.ts';
import type { WorkerClient } from './worker-client.ts';

/** A lease is renewed after the first part of its duration. A failed renewal is retried after the second part. */
const RENEW_AT = 1 / 3;
const RETRY_AFTER = 1 / 10;
/** The signal aborts this part of the lease before its end, so that the work has time to stop. */
const MARGIN = 1 / 10;
const MAX_MARGIN_MS = 5000;

export class Lease {
  readonly token: ClaimedToken;
  readonly #client: Pick<WorkerClient, 'renew'>;
  readonly #ms: number;
  /** When the token expires, by `performance.now()`. No lease outlives its token. */
  readonly #tokenEndsAt: number;
  readonly #lost = new AbortController();
  /** Aborts when no more renewals are needed. */
  readonly #final = new AbortController();
  readonly #ignoreCaller: () => void;
  #endTimer: ReturnType<typeof setTimeout> | undefined;

  /** @param ms the requested lease of the claim, which was answered just now */
  constructor(client: Pick<WorkerClient, 'renew'>, token: ClaimedToken, ms: number, signal: AbortSignal | undefined) {
    this.#client = client;
    this.token = token;
    this.#ms = ms;
    const endsAt = performance.now() + ms;
    // Both times are by the service's clock, so only their difference is meaningful here.
    this.#tokenEndsAt = endsAt + (token.expiresAt.getTime() - token.claim.leaseExpiresAt.getTime());
    this.#holdUntil(endsAt);
    const onAbort = () => this.#lose(signal?.reason);
    signal?.addEventListener('abort', onAbort);
    this.#ignoreCaller = () => signal?.removeEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
    void this.#renew();
  }

  /** Aborts when the token is lost or its lease is about to end, or when the caller aborts. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Stops the renewals and ignores the answer to one in flight. The signal still aborts at the lease's end. */
  stopRenewing(): void {
    this.#final.abort();
  }

  /** Ends the lease: the signal no longer aborts. */
  end(): void {
    this.stopRenewing();
    clearTimeout(this.#endTimer);
    this.#ignoreCaller();
  }

  async #renew(): Promise<void> {
    const { signal } = this.#final;
    let pauseMs = this.#ms * RENEW_AT;
    while (!signal.aborted) {
      try {
        await pause(pauseMs, signal);
        const askedAt = performance.now();
        const { id } = await this.#client.renew(this.token, { lease: this.#ms, timeout: 0, signal });
        if (signal.aborted) return;
        if (id !== this.token.id) return this.#lose(leaseLost());
        this.#holdUntil(askedAt + this.#ms);
        pauseMs = this.#ms * RENEW_AT;
      } catch (error) {
        if (signal.aborted) return;
        if (isWorkerError(error, 'lease_lost')) return this.#lose(leaseLost(error));
        // Every other error leaves the token held until its lease ends.
        pauseMs = this.#ms * RETRY_AFTER;
      }
    }
  }

  #holdUntil(endsAt: number): void {
    const marginMs = Math.min(this.#ms * MARGIN, MAX_MARGIN_MS);
    const leftMs = Math.min(endsAt, this.#tokenEndsAt) - marginMs - performance.now();
    clearTimeout(this.#endTimer);
    this.#endTimer = setTimeout(() => this.#lose(leaseLost()), leftMs);
  }

  #lose(reason: unknown): void {
    this.end();
    this.#lost.abort(reason);
  }
}

function leaseLost(cause?: unknown): WorkerError {
  return new WorkerError('lease_lost', 'the token is no longer held', { cause });
}
