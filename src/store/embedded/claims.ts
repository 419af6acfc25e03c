/** The ledger's claims: who holds which token, for how long, and what became of it. */
import { type Claim, type Kind, topicsOf } from '../../token.ts';
import type { ClaimAnswer, ClaimRequest, SettleAnswer } from '../contract.ts';
import type { ChangeSet } from './changes.ts';
import { type ClaimEntry, holderOf, type TokenEntry } from './records.ts';
import type { TokenIndex } from './token-index.ts';

type Held = ClaimAnswer & { state: 'held' };

export class Claims {
  readonly #bookOf: (merchant: string) => TokenIndex;
  readonly #changes: ChangeSet;

  constructor(bookOf: (merchant: string) => TokenIndex, changes: ChangeSet) {
    this.#bookOf = bookOf;
    this.#changes = changes;
  }

  find(merchant: string, claimId: string): ClaimEntry | undefined {
    return this.#bookOf(merchant).claims.get(claimId);
  }

  /** What a claim id holds already, its lease renewed. */
  renew({ merchant, claimId, leaseMs }: ClaimRequest, now: number): Held | undefined {
    const { entry } = this.#of(merchant, claimId, now);
    if (entry?.state !== 'live' || entry.replication !== 'local') return undefined;
    const holder = holderOf(entry, now);
    return holder?.id === claimId ? this.#lease(entry, claimId, leaseMs, holder.renewals + 1, now) : undefined;
  }

  /** True when a shared store knows what a claim id took last: the id must not take another token here. */
  isElsewhere({ merchant, claimId }: ClaimRequest, now: number): boolean {
    const { entry } = this.#of(merchant, claimId, now);
    return entry !== undefined && entry.replication !== 'local';
  }

  /** Remembers which token a claim id took. */
  note(claim: ClaimEntry): void {
    this.#bookOf(claim.merchant).addClaim(claim);
    this.#changes.claim(claim);
  }

  takeFromPool(kind: Kind, request: ClaimRequest, now: number): ClaimAnswer {
    const index = this.#bookOf(request.merchant);
    const pool = index.pool(kind);
    let unknownKey: string | undefined;
    for (let entry = pool.take(now); entry !== undefined; entry = pool.take(now)) {
      // One that cannot be opened leaves this pool, and stays live for those that have its key.
      const lacking = index.lackingKeyOf(entry);
      if (lacking === undefined) return { ...this.take(entry, request, now), unknownKey };
      unknownKey = lacking;
    }
    const end = pool.nextLeaseEnd(now);
    return end === undefined ? { state: 'none', unknownKey } : { state: 'none', retryInMs: end - now, unknownKey };
  }

  take(entry: TokenEntry, { merchant, claimId, leaseMs }: ClaimRequest, now: number): Held {
    entry.deliveries += 1;
    this.note({ merchant, id: claimId, token: entry.token.id, released: false, takenAt: now });
    return this.#lease(entry, claimId, leaseMs, 0, now);
  }

  settle(merchant: string, claimId: string, how: 'use' | 'release', now: number): SettleAnswer {
    const { claim, entry } = this.#of(merchant, claimId, now);
    if (claim === undefined || entry === undefined) return 'unknown';
    if (entry.replication !== 'local') return 'away';
    if (how === 'release') {
      if (claim.released) return 'done';
      if (entry.state === 'used') return 'used';
      if (entry.claim?.id !== claimId) return 'lease_lost';
      this.putBack(entry, claim);
      return 'done';
    }
    return claim.released || entry.claim?.id !== claimId ? 'lease_lost' : this.markUsed(entry);
  }

  /** Puts back what a claim just took, unless anything happened to it since; answers the topics under which it is free. */
  undo(merchant: string, { id, deliveries, renewals }: Claim, now: number): string[] {
    const { claim, entry } = this.#of(merchant, id, now);
    const last = entry?.claim;
    if (claim === undefined || entry?.state !== 'live' || last?.id !== id) return [];
    if (last.deliveries !== deliveries || last.renewals !== renewals) return [];
    entry.deliveries -= 1;
    this.putBack(entry, claim);
    return topicsOf(entry.token);
  }

  markUsed(entry: TokenEntry): SettleAnswer {
    if (entry.state === 'used') return 'done';
    entry.state = 'used';
    this.#bookOf(entry.token.merchant).update(entry);
    this.#changes.token(entry);
    return 'done';
  }

  #of(merchant: string, claimId: string, now: number): { claim?: ClaimEntry; entry?: TokenEntry } {
    const book = this.#bookOf(merchant);
    const claim = book.claims.get(claimId);
    const entry = claim && book.tokens.get(claim.token);
    return claim === undefined || entry === undefined || entry.token.expiresAt <= now ? {} : { claim, entry };
  }

  #lease(entry: TokenEntry, claimId: string, leaseMs: number, renewals: number, now: number): Held {
    const leaseExpiresAt = Math.min(now + leaseMs, entry.token.expiresAt);
    entry.claim = { id: claimId, leaseExpiresAt, deliveries: entry.deliveries, renewals };
    this.#bookOf(entry.token.merchant).offer(entry);
    this.#changes.token(entry);
    return { state: 'held', token: entry.token, distinct: 1, claim: entry.claim };
  }

  putBack(entry: TokenEntry, claim: ClaimEntry): void {
    claim.released = true;
    delete entry.claim;
    this.#bookOf(entry.token.merchant).offer(entry);
    this.#changes.claim(claim);
    this.#changes.token(entry);
  }
}
