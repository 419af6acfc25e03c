/**
 * Writes the log to standard output. Nothing waits for it: if lines cannot be written (full disk, pipe that nobody reads),
 * they are kept up to a limit and then dropped and counted.
 */
import { type DestinationStream, pino } from 'pino';

const BATCH_BYTES = 8 * 1024;
const FLUSH_EVERY_MS = 100;
/** How much is kept while it cannot be written. */
const MAX_BYTES = 1024 * 1024;
/** How long the end of the process waits for the last lines. */
const LAST_LINES_MS = 500;

export class LogOutput implements DestinationStream {
  /** Lines dropped since the start. */
  dropped = 0;
  readonly #destination: ReturnType<typeof pino.destination>;

  constructor(fd = 1) {
    const batches = { minLength: BATCH_BYTES, periodicFlush: FLUSH_EVERY_MS, maxLength: MAX_BYTES };
    this.#destination = pino.destination({ fd, sync: false, ...batches });
    // A failed write is repeated with the next flush.
    this.#destination.on('error', () => {});
    this.#destination.on('drop', () => {
      this.dropped += 1;
    });
    // pino calls it when the process exits, and it repeats a failing write forever.
    this.#destination.flushSync = () => {};
  }

  write(line: string): void {
    this.#destination.write(line);
  }

  /** Calls back when all lines are written, or cannot be. */
  flush(done: () => void): void {
    const timer = setTimeout(done, LAST_LINES_MS);
    this.#destination.flush(() => {
      clearTimeout(timer);
      done();
    });
  }
}
