/**
 * The lease of a claimed token while the work with it runs: renews it, and aborts a signal when the token can no longer be
 * relied on. The end is by the client's own clock, so that a service that does not answer cannot hide it.
 */
import { isWorkerError, WorkerError } from './errors.ts';
import { pause } from './patience.ts';
import type { ClaimedToken } from './wire.ts';
import type { WorkerClient } from './worker-client.ts';

/** A lease is renewed when this part of it is over, and after a failure again when this part of it has passed. */
const RENEW_AT = 1 / 3;
const RETRY_AFTER = 1 / 10;
/** The signal aborts this part of the lease before its end: what is stopped needs time to stop. */
const MARGIN = 1 / 10;
const MAX_MARGIN_MS = 5000;

export class Lease {
  readonly token: ClaimedToken;
  readonly #client: Pick<WorkerClient, 'renew'>;
  readonly #ms: number;
  /** When the token expires, by `performance.now()`: no lease outlives its token. */
  readonly #tokenEndsAt: number;
  readonly #lost = new AbortController();
  /** Aborts when nothing is to be renewed any more. */
  readonly #final = new AbortController();
  readonly #ignoreCaller: () => void;
  #endTimer: ReturnType<typeof setTimeout> | undefined;

  /** @param ms the lease that was asked for with the claim, which was answered just now */
  constructor(client: Pick<WorkerClient, 'renew'>, token: ClaimedToken, ms: number, signal: AbortSignal | undefined) {
    this.#client = client;
    this.token = token;
    this.#ms = ms;
    const endsAt = performance.now() + ms;
    // Both times are by the service's clock; only their difference means something here.
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

  /** Sends no further renewal, and ignores the answer to one that is in flight. The signal still aborts at the lease's end. */
  stopRenewing(): void {
    this.#final.abort();
  }

  /** From here on the signal does not abort. */
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
        // The token is held as long as its lease lasts, whatever else is wrong.
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
  return new WorkerError('lease_lost', 'the token is not held any more', { cause });
}
