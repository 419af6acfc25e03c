/** Keeps a claimed token held while the work with it runs, and tells when it is lost all the same. */
import { isWorkerError, WorkerError } from './errors.ts';
import { pause } from './patience.ts';
import type { ClaimedToken } from './wire.ts';
import type { ClaimRequest, WorkerClient } from './worker-client.ts';

/** It is renewed when this part of it is over: twice more can fail before it ends. */
const RENEW_AT = 1 / 3;

export class Lease {
  readonly token: ClaimedToken;
  readonly #client: WorkerClient;
  readonly #request: ClaimRequest & { claimId: string };
  readonly #ms: number;
  readonly #lost = new AbortController();
  readonly #ended = new AbortController();
  readonly #release: () => void;

  constructor(
    client: WorkerClient,
    token: ClaimedToken,
    request: ClaimRequest & { claimId: string },
    ms: number,
    signal: AbortSignal | undefined,
  ) {
    this.#client = client;
    this.token = token;
    this.#request = request;
    this.#ms = ms;
    const onAbort = () => this.#lost.abort(signal?.reason);
    signal?.addEventListener('abort', onAbort);
    this.#release = () => signal?.removeEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
    void this.#renew();
  }

  /** Aborts when the token is lost, or the caller aborts. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  end(): void {
    this.#ended.abort();
    this.#release();
  }

  async #renew(): Promise<void> {
    const { signal } = this.#ended;
    let heldUntil = performance.now() + this.#ms;
    while (!signal.aborted) {
      try {
        await pause(this.#ms * RENEW_AT, signal);
        const asked = performance.now();
        const again = await this.#client.claim(this.#request, { timeout: 0, signal });
        if (again?.id !== this.token.id) return await this.#lose(again);
        heldUntil = asked + this.#ms;
      } catch (error) {
        if (signal.aborted) return;
        const passing = isWorkerError(error) && error.passing;
        if (!passing || performance.now() >= heldUntil) return this.#abort(error);
      }
    }
  }

  /** The claim held nothing any more: the token is another's, and one that came in its place is not wanted. */
  async #lose(other: ClaimedToken | undefined): Promise<void> {
    this.#abort(undefined);
    if (other !== undefined) await this.#client.release(other).catch(() => {});
  }

  #abort(cause: unknown): void {
    this.#lost.abort(new WorkerError('lease_lost', 'the token is not held any more', { cause }));
  }
}
