/** Tokens by the time at which they expire. Those that were forgotten before are left out lazily, within a bound. */
import TinyQueue from 'tinyqueue';
import type { TokenEntry } from './records.ts';

/** How many forgotten tokens may stand in the queue, beyond as many as are kept. */
const MAX_FORGOTTEN = 1000;

export class ExpiryQueue {
  #queue = queueOf([]);

  push(entry: TokenEntry): void {
    this.#queue.push(entry);
  }

  /** Takes out the next token whose time is over. */
  popOver(now: number): TokenEntry | undefined {
    const next = this.#queue.peek();
    return next !== undefined && next.token.expiresAt <= now ? this.#queue.pop() : undefined;
  }

  reset(entries: TokenEntry[]): void {
    this.#queue = queueOf(entries);
  }

  /** Drops the forgotten ones once they are many: strangers must not fill the memory with what gave way. */
  compact(kept: number, entries: () => TokenEntry[]): void {
    if (this.#queue.length > 2 * kept + MAX_FORGOTTEN) this.reset(entries());
  }
}

/** First to expire first. */
function queueOf(entries: TokenEntry[]): TinyQueue<TokenEntry> {
  return new TinyQueue<TokenEntry>(entries, (a, b) => a.token.expiresAt - b.token.expiresAt);
}
