/**
 * Milliseconds. Smaller differences come from rounding, or from a time daemon that slews the clock.
 */
const MIN_STEP_MS = 1000;

/**
 * A clock for lifetimes and leases. Reads the wall clock once, then follows monotonic time. A later
 * change of the wall clock ends and prolongs nothing.
 */
export class ProcessClock {
  #startedAt = Date.now() - performance.now();

  /** Whole milliseconds since 1970. */
  readonly now = (): number => Math.floor(performance.now() + this.#startedAt);

  /**
   * Reads the wall clock again if it was set. Returns the step in milliseconds; 0 if it was not
   * set.
   */
  adjust(): number {
    const stepMs = Date.now() - this.now();
    if (Math.abs(stepMs) < MIN_STEP_MS) return 0;
    this.#startedAt += stepMs;
    return stepMs;
  }
}
