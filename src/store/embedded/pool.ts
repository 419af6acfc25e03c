/**
 * The tokens of one merchant and kind that came without a correlator, shared out oldest first. Entries are taken out
 * lazily: whether one is still free, or its lease still the one that was given, is checked when its turn comes.
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

  /** Makes a token claimable: now, or when the lease of its claim ends. */
  offer(entry: TokenEntry): void {
    if (entry.claim === undefined) this.#free.push(entry);
    else this.#leased.push({ entry, claim: entry.claim });
  }

  /** The oldest token that is free now. */
  take(now: number): TokenEntry | undefined {
    this.#endLeases(now);
    for (let entry = this.#free.pop(); entry; entry = this.#free.pop()) {
      const claimable = entry.state === 'live' && entry.replication === 'local' && entry.token.expiresAt > now;
      if (claimable && holderOf(entry, now) === null) return entry;
    }
    return undefined;
  }

  /** When the first lease ends that still holds a token. */
  nextLeaseEnd(now: number): number | undefined {
    this.#endLeases(now);
    return this.#leased.peek()?.claim.leaseExpiresAt;
  }

  /** Drops what expired, so that a pool that nobody claims from does not grow for ever. */
  sweep(now: number): void {
    this.#endLeases(now);
    for (let entry = this.#free.peek(); entry && entry.token.expiresAt <= now; entry = this.#free.peek()) {
      this.#free.pop();
    }
  }

  /** Frees what has come back, and drops what was used, put back or leased anew since. */
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
