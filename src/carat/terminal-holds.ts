/**
 * Exclusive use of terminals within this process: Carat forbids two requests at once with one `terminal_id` [doc].
 * First come, first served. Processes that share terminals must share them out themselves.
 */
export class TerminalHolds {
  /** Who waits for each terminal in use, in the order in which they came; an entry exists while the terminal is held. */
  readonly #waiting = new Map<string, (() => void)[]>();

  /** Runs `work` alone on its terminal. Rejects with the signal's reason when it fires while waiting. */
  async run<T>(terminal: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    await this.#acquire(terminal, signal);
    try {
      return await work();
    } finally {
      this.#pass(terminal);
    }
  }

  #acquire(terminal: string, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const queue = this.#waiting.get(terminal);
    if (queue === undefined) {
      this.#waiting.set(terminal, []);
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        queue.splice(queue.indexOf(go), 1);
        reject(signal?.reason);
      };
      queue.push(go);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  #pass(terminal: string): void {
    const next = this.#waiting.get(terminal)?.shift();
    if (next === undefined) this.#waiting.delete(terminal);
    else next();
  }
}
