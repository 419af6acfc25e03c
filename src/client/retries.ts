/** Retries of failed requests until a deadline. */
import { isWorkerError } from './errors.ts';

/** The longest wait of one request. Proxies often end one after 30 or 60 s. */
const LONGEST_SLICE_MS = 25_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
/** The longest `Retry-After` that is respected. */
const LONGEST_RETRY_AFTER_MS = 30_000;

/** A deadline, and the pauses before retries. Pauses grow, and are random, so that clients do not retry together. */
export class Retries {
  readonly #until: number;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;

  constructor(ms: number, signal: AbortSignal | undefined) {
    if (!(ms >= 0)) throw new TypeError('expected a timeout of 0 or more milliseconds');
    this.#until = performance.now() + ms;
    this.#signal = signal;
  }

  /** Milliseconds until the deadline. */
  get left(): number {
    return Math.max(this.#until - performance.now(), 0);
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Pauses before a retry. @throws the error if a retry cannot succeed or no time is left */
  async failed(error: unknown): Promise<void> {
    if (!isWorkerError(error) || !error.passing || this.left === 0) throw error;
    const grown = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    const asked = Math.min(error.retryAfter ?? 0, LONGEST_RETRY_AFTER_MS);
    this.#failures += 1;
    await pause(
      Math.min(Math.max(grown * (0.5 + Math.random() / 2), asked * (1 + Math.random() / 4)), this.left),
      this.#signal,
    );
  }
}

/** Repeats a request until it is answered, for `ms`. It must be idempotent, because an answer may have been lost. */
export async function repeat<T>(ms: number, signal: AbortSignal | undefined, ask: () => Promise<T>): Promise<T> {
  const retries = new Retries(ms, signal);
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      await retries.failed(error);
    }
  }
}

/** @throws the signal's reason when it aborts */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/** Returns the wait of one request. Random, so that clients that began together do not return together. */
export function sliceOf(left: number): number {
  return Math.min(left, LONGEST_SLICE_MS * (0.8 + Math.random() / 5));
}
