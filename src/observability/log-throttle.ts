/**
 * Throttles log lines that unauthenticated clients can trigger. The first N per kind and window are
 * written. The rest are counted and summarised in one line when the window ends.
 */

export interface LogThrottleOptions {
  /** Limit of lines of a kind per window. */
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
  /** One window for each kind of line. The number of kinds is bounded. */
  readonly #windows = new Map<string, Window>();

  constructor({ mostLines = 20, windowMs = 10_000 }: LogThrottleOptions = {}) {
    this.#mostLines = mostLines;
    this.#windowMs = windowMs;
  }

  get windowMs(): number {
    return this.#windowMs;
  }

  /**
   * Returns true for a line that may be written. `report` gets the number of suppressed lines
   * later, if any.
   */
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

  /** Reports suppressed lines of open windows. */
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
