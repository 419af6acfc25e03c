/** The ledger's claims: which claim holds which token, until when, and how the claim ended. */
import { type Claim, type Kind, topicsOf } from '../../token.ts';
import type { ClaimAnswer, ClaimRequest, SettleAnswer } from '../contract.ts';
import type { ChangeSet } from './changes.ts';
import { type ClaimEntry, holderOf, type TokenEntry } from './records.ts';
import type { TokenIndex } from './token-index.ts';

type Held = ClaimAnswer & { state: 'held' };

/** A claim and the last token that it took. */
export interface TakenToken {
  claim: ClaimEntry;
  entry: TokenEntry;
}

export class Claims {
  readonly #indexOf: (merchant: string) => TokenIndex;
  readonly #changes: ChangeSet;

  constructor(indexOf: (merchant: string) => TokenIndex, changes: ChangeSet) {
    this.#indexOf = indexOf;
    this.#changes = changes;
  }

  find(merchant: string, claimId: string): TakenToken | undefined {
    const index = this.#indexOf(merchant);
    const claim = index.claims.get(claimId);
    const entry = claim && index.tokens.get(claim.token);
    return claim === undefined || entry === undefined ? undefined : { claim, entry };
  }

  /** Renews the lease of the token that a claim id holds. Undefined when it holds none here. */
  renew({ merchant, claimId, leaseMs }: ClaimRequest, now: number): Held | undefined {
    const entry = this.#findUnexpired(merchant, claimId, now)?.entry;
    if (entry?.state !== 'live' || entry.replication !== 'local') return undefined;
    const holder = holderOf(entry, now);
    return holder?.id === claimId ? this.#lease(entry, claimId, leaseMs, holder.renewals + 1, now) : undefined;
  }

  /**
   * True if the last token of a claim id is not local. Then the id must not take another one here.
   */
  isElsewhere({ merchant, claimId }: ClaimRequest, now: number): boolean {
    const entry = this.#findUnexpired(merchant, claimId, now)?.entry;
    return entry !== undefined && entry.replication !== 'local';
  }

  /** Records the last token of a claim id. */
  record(claim: ClaimEntry): void {
    this.#indexOf(claim.merchant).addClaim(claim);
    this.#changes.claim(claim);
  }

  takeFromPool(kind: Kind, request: ClaimRequest, now: number): ClaimAnswer {
    const index = this.#indexOf(request.merchant);
    const pool = index.pool(kind);
    let unknownKey: string | undefined;
    for (let entry = pool.take(now); entry !== undefined; entry = pool.take(now)) {
      // A token that cannot be opened leaves this pool. It stays live for the instances that have
      // its key.
      const lacking = index.lackingKeyOf(entry);
      if (lacking === undefined) return { ...this.take(entry, request, now), unknownKey };
      unknownKey = lacking;
    }
    const end = pool.nextLeaseEnd(now);
    return end === undefined ? { state: 'none', unknownKey } : { state: 'none', retryInMs: end - now, unknownKey };
  }

  take(entry: TokenEntry, { merchant, claimId, leaseMs }: ClaimRequest, now: number): Held {
    entry.deliveries += 1;
    this.record({ merchant, id: claimId, token: entry.token.id, released: false, takenAt: now });
    return this.#lease(entry, claimId, leaseMs, 0, now);
  }

  settle(merchant: string, claimId: string, how: 'use' | 'release', now: number): SettleAnswer {
    const taken = this.#findUnexpired(merchant, claimId, now);
    if (taken === undefined) return 'unknown';
    const { claim, entry } = taken;
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

  undo(merchant: string, { id, deliveries, renewals }: Claim, now: number): string[] {
    const taken = this.#findUnexpired(merchant, id, now);
    const last = taken?.entry.claim;
    if (taken?.entry.state !== 'live' || last?.id !== id) return [];
    if (last.deliveries !== deliveries || last.renewals !== renewals) return [];
    taken.entry.deliveries -= 1;
    this.putBack(taken.entry, taken.claim);
    return topicsOf(taken.entry.token);
  }

  markUsed(entry: TokenEntry): SettleAnswer {
    if (entry.state === 'used') return 'done';
    entry.state = 'used';
    this.#indexOf(entry.token.merchant).update(entry);
    this.#changes.token(entry);
    return 'done';
  }

  putBack(entry: TokenEntry, claim: ClaimEntry): void {
    claim.released = true;
    delete entry.claim;
    this.#indexOf(entry.token.merchant).offer(entry);
    this.#changes.claim(claim);
    this.#changes.token(entry);
  }

  #findUnexpired(merchant: string, claimId: string, now: number): TakenToken | undefined {
    const taken = this.find(merchant, claimId);
    return taken !== undefined && taken.entry.token.expiresAt > now ? taken : undefined;
  }

  #lease(entry: TokenEntry, claimId: string, leaseMs: number, renewals: number, now: number): Held {
    const leaseExpiresAt = Math.min(now + leaseMs, entry.token.expiresAt);
    entry.claim = { id: claimId, leaseExpiresAt, deliveries: entry.deliveries, renewals };
    this.#indexOf(entry.token.merchant).offer(entry);
    this.#changes.token(entry);
    return { state: 'held', token: entry.token, distinct: 1, claim: entry.claim };
  }
}
