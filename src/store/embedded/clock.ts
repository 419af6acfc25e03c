/** Milliseconds. Less is rounding, or the slewing of a time daemon. */
const MIN_STEP_MS = 1000;

/**
 * A clock for lifetimes and leases. Takes the time from the wall clock once, then goes by monotonic time: a wall clock that
 * is set neither ends nor prolongs anything.
 */
export class ProcessClock {
  #startedAt = Date.now() - performance.now();

  /** Whole milliseconds since 1970. */
  readonly now = (): number => Math.floor(performance.now() + this.#startedAt);

  /** Takes the time from the wall clock again if that was set. Returns by how many milliseconds; 0 if it was not. */
  adjust(): number {
    const stepMs = Date.now() - this.now();
    if (Math.abs(stepMs) < MIN_STEP_MS) return 0;
    this.#startedAt += stepMs;
    return stepMs;
  }
}
