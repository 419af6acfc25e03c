/**
 * Gathers lines of the log and hands them on together: when there are many, after a moment, or when the process ends.
 * pino's own buffer joins each line to those before it, which costs more than to make the line.
 */
import type { DestinationStream } from 'pino';

const MOST_CHARS = 64 * 1024;
const AT_LATEST_MS = 100;

interface Destination {
  write(text: string): unknown;
  flush(done: (error?: Error) => void): void;
  flushSync(): void;
}

export class LogLines implements DestinationStream {
  readonly #destination: Destination;
  #lines: string[] = [];
  #chars = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(destination: Destination) {
    this.#destination = destination;
  }

  write(line: string): void {
    this.#lines.push(line);
    this.#chars += line.length;
    if (this.#chars >= MOST_CHARS) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), AT_LATEST_MS).unref();
  }

  /** Calls back when all of it is written. */
  flush(done: (error?: Error) => void): void {
    this.#send();
    this.#destination.flush(done);
  }

  flushSync(): void {
    this.#send();
    this.#destination.flushSync();
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#lines.length === 0) return;
    const text = this.#lines.join('');
    this.#lines = [];
    this.#chars = 0;
    this.#destination.write(text);
  }
}
