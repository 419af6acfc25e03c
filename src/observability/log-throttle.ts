/**
 * Keeps what strangers can cause as often as they like from filling the log: of each sort so many lines go through in a
 * window of time, the rest is counted and told in one line when the window is over.
 */

export interface LogThrottleOptions {
  /** How many lines of a sort go through in a window. */
  mostLines?: number | undefined;
  windowMs?: number | undefined;
}

interface Window {
  left: number;
  more: number;
  report: (more: number) => void;
  timer: NodeJS.Timeout;
}

export class LogThrottle {
  readonly #mostLines: number;
  readonly #windowMs: number;
  /** One for each kind of line that came lately. Their number is bounded, because the kinds are. */
  readonly #windows = new Map<string, Window>();

  constructor({ mostLines = 20, windowMs = 10_000 }: LogThrottleOptions = {}) {
    this.#mostLines = mostLines;
    this.#windowMs = windowMs;
  }

  get windowMs(): number {
    return this.#windowMs;
  }

  /** True for a line that may be written. `report` gets the number of suppressed lines later, if any were. */
  allows(sort: string, report: (more: number) => void): boolean {
    let window = this.#windows.get(sort);
    if (window === undefined) {
      const timer = setTimeout(() => this.#end(sort), this.#windowMs);
      window = { left: this.#mostLines, more: 0, report, timer };
      this.#windows.set(sort, window);
    }
    if (window.left > 0) {
      window.left -= 1;
      return true;
    }
    window.more += 1;
    return false;
  }

  /** Reports what is not reported yet. */
  close(): void {
    for (const sort of [...this.#windows.keys()]) this.#end(sort);
  }

  #end(sort: string): void {
    const window = this.#windows.get(sort);
    if (window === undefined) return;
    clearTimeout(window.timer);
    this.#windows.delete(sort);
    if (window.more > 0) window.report(window.more);
  }
}
