/**
 * Detects whether a shared store is unavailable. The first failure opens the breaker. Until a probe
 * succeeds, no operation waits for another deadline.
 */

const PROBE_EVERY_MS = 150;

export interface CircuitBreakerOptions {
  /** Resolves when the store accepts writes. Rejects otherwise. */
  probe(): Promise<void>;
  onOpen(reason: string): void;
  onClose(): void;
}

export class CircuitBreaker {
  readonly #options: CircuitBreakerOptions;
  #open = false;
  #reason = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(options: CircuitBreakerOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** The last failure, while the breaker is open. */
  get reason(): string {
    return this.#reason;
  }

  trip(reason: string): void {
    if (this.#open) return;
    this.#open = true;
    this.#reason = reason;
    this.#options.onOpen(reason);
    this.#later();
  }

  stop(): void {
    this.#open = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #later(): void {
    this.#timer = setTimeout(() => void this.#probe(), PROBE_EVERY_MS);
  }

  async #probe(): Promise<void> {
    const timer = this.#timer;
    const through = await this.#options.probe().then(
      () => true,
      (error: Error) => {
        this.#reason = error.message;
        return false;
      },
    );
    if (this.#timer !== timer) return;
    if (!through) return this.#later();
    this.#open = false;
    this.#options.onClose();
  }
}
