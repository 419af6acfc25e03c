/** Tokens by expiry. Removed tokens may stay in the queue: `compact` bounds their number. */
import TinyQueue from 'tinyqueue';
import type { TokenEntry } from './records.ts';

/** Limit of removed tokens in the queue, in addition to the number of kept tokens. */
const MAX_FORGOTTEN = 1000;

export class ExpiryQueue {
  #queue = queueOf([]);

  push(entry: TokenEntry): void {
    this.#queue.push(entry);
  }

  /** Removes and returns the next expired token. */
  popOver(now: number): TokenEntry | undefined {
    const next = this.#queue.peek();
    return next !== undefined && next.token.expiresAt <= now ? this.#queue.pop() : undefined;
  }

  reset(entries: TokenEntry[]): void {
    this.#queue = queueOf(entries);
  }

  /** Drops removed tokens above the limit: a flood of refused posts must not fill the memory. */
  compact(kept: number, entries: () => TokenEntry[]): void {
    if (this.#queue.length > 2 * kept + MAX_FORGOTTEN) this.reset(entries());
  }
}

/** Earliest expiry first. */
function queueOf(entries: TokenEntry[]): TinyQueue<TokenEntry> {
  return new TinyQueue<TokenEntry>(entries, (a, b) => a.token.expiresAt - b.token.expiresAt);
}
