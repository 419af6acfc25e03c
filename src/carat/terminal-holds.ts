/**
 * Exclusive use of terminals within this process: Carat forbids two requests at once with one `terminal_id` [doc].
 * Waiters are served in order of arrival. Several processes must not use the same terminals.
 */
export class TerminalHolds {
  /** The waiters of each terminal, in order of arrival. A terminal has an entry while it is held. */
  readonly #waiting = new Map<string, (() => void)[]>();

  /** Runs `work` alone on its terminal. Rejects with the signal's reason if the signal aborts the wait. */
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
