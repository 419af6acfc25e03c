/**
 * The tokens of one merchant and kind that came without a correlator, oldest first. Queues may
 * contain outdated entries: each is checked when it reaches the head.
 */
import TinyQueue from 'tinyqueue';
import type { Claim } from '../../token.ts';
import { holderOf, type TokenEntry } from './records.ts';

export class Pool {
  readonly #free = new TinyQueue<TokenEntry>([], (a, b) => a.order - b.order);
  readonly #leased = new TinyQueue<{ entry: TokenEntry; claim: Claim }>(
    [],
    (a, b) => a.claim.leaseExpiresAt - b.claim.leaseExpiresAt,
  );

  /** Makes a token claimable: now, or after the lease of its claim. */
  offer(entry: TokenEntry): void {
    if (entry.claim === undefined) this.#free.push(entry);
    else this.#leased.push({ entry, claim: entry.claim });
  }

  /** Removes and returns the oldest free token. */
  take(now: number): TokenEntry | undefined {
    this.#endLeases(now);
    for (let entry = this.#free.pop(); entry; entry = this.#free.pop()) {
      const claimable = entry.state === 'live' && entry.replication === 'local' && entry.token.expiresAt > now;
      if (claimable && holderOf(entry, now) === null) return entry;
    }
    return undefined;
  }

  /** Returns the end of the first lease; undefined without one. */
  nextLeaseEnd(now: number): number | undefined {
    this.#endLeases(now);
    return this.#leased.peek()?.claim.leaseExpiresAt;
  }

  /** Drops expired tokens. Without it, a pool that nobody claims from would grow forever. */
  sweep(now: number): void {
    this.#endLeases(now);
    for (let entry = this.#free.peek(); entry && entry.token.expiresAt <= now; entry = this.#free.peek()) {
      this.#free.pop();
    }
  }

  /**
   * Frees tokens whose lease ended. Drops entries of tokens that were used, put back or leased
   * again.
   */
  #endLeases(now: number): void {
    for (let next = this.#leased.peek(); next; next = this.#leased.peek()) {
      const { entry, claim } = next;
      const isCurrent = entry.state === 'live' && entry.claim === claim;
      if (isCurrent && claim.leaseExpiresAt > now) return;
      this.#leased.pop();
      if (isCurrent) this.#free.push(entry);
    }
  }
}
