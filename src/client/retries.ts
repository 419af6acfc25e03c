/** How long to go on asking, and how long to pause before asking again. */
import { isWorkerError } from './errors.ts';

/** Longest wait of one request; proxies often end one after 30 or 60 s. */
const LONGEST_SLICE_MS = 25_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
/** Longest `Retry-After` that is obeyed: the caller's own deadline is never far. */
const LONGEST_RETRY_AFTER_MS = 30_000;

/** The end of a time, and the pauses within it. Pauses grow, and differ between clients that failed together. */
export class Patience {
  readonly #until: number;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;

  constructor(ms: number, signal: AbortSignal | undefined) {
    if (!(ms >= 0)) throw new TypeError('expected a timeout of 0 or more milliseconds');
    this.#until = performance.now() + ms;
    this.#signal = signal;
  }

  /** Milliseconds. */
  get left(): number {
    return Math.max(this.#until - performance.now(), 0);
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Pauses after an error that may pass. @throws the error when it will not, or when no time is left */
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

/** Asks until there is an answer, for a time. What is asked must bear being asked twice: an answer may have been lost. */
export async function repeat<T>(ms: number, signal: AbortSignal | undefined, ask: () => Promise<T>): Promise<T> {
  const patience = new Patience(ms, signal);
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      await patience.failed(error);
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

/** How long one request waits. Not all the same, so that those who began together do not come back together. */
export function sliceOf(left: number): number {
  return Math.min(left, LONGEST_SLICE_MS * (0.8 + Math.random() / 5));
}
