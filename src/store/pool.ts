/**
 * The tokens of one merchant and kind that came without a correlator, shared out oldest first. Entries are taken out
 * lazily: whether one is still free, or still leased until then, is checked when its turn comes.
 */
import TinyQueue from 'tinyqueue';
import { holderOf, type TokenEntry } from './records.ts';

export class Pool {
  readonly #free = new TinyQueue<TokenEntry>([], (a, b) => a.order - b.order);
  readonly #leased = new TinyQueue<{ entry: TokenEntry; until: number }>([], (a, b) => a.until - b.until);

  /** Makes a token claimable: now, or when the lease of its claim ends. */
  offer(entry: TokenEntry): void {
    if (entry.claim === undefined) this.#free.push(entry);
    else this.#leased.push({ entry, until: entry.claim.leaseExpiresAt });
  }

  /** The oldest token that is free now. */
  take(now: number): TokenEntry | undefined {
    for (let next = this.#leased.peek(); next && next.until <= now; next = this.#leased.peek()) {
      this.#leased.pop();
      if (next.entry.claim?.leaseExpiresAt === next.until) this.#free.push(next.entry);
    }
    for (let entry = this.#free.pop(); entry; entry = this.#free.pop()) {
      const claimable = entry.state === 'live' && entry.standing === 'here' && entry.token.expiresAt > now;
      if (claimable && holderOf(entry, now) === null) return entry;
    }
    return undefined;
  }

  /** When the first lease ends that still holds a token. */
  get nextLeaseEnd(): number | undefined {
    for (let next = this.#leased.peek(); next; next = this.#leased.peek()) {
      if (next.entry.state === 'live' && next.entry.claim?.leaseExpiresAt === next.until) return next.until;
      this.#leased.pop();
    }
    return undefined;
  }
}
