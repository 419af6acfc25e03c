/**
 * Copies of the tokens that the shared store has. They follow its changes. If it loses its data,
 * the reconciler restores them. Reads and claims ignore copies.
 */
import type { Claim, TokenRecord } from '../../token.ts';
import type { DurableLedger } from '../embedded/durable-ledger.ts';
import { isUsedOrHeld, type TokenEntry } from '../embedded/records.ts';
import type { MergedToken, TokenChange } from './shared-store.ts';

export class Copies {
  readonly #durable: DurableLedger;

  constructor(durable: DurableLedger) {
    this.#durable = durable;
  }

  find(merchant: string, id: string): MergedToken | undefined {
    const { ledger, now } = this.#durable;
    const entry = ledger.get(merchant, id);
    const isCopy = entry?.replication === 'replicated' && entry.token.expiresAt > now();
    return isCopy ? { entry, ...ledger.claimsOf(entry) } : undefined;
  }

  /**
   * @param which `certain`: used or held tokens. `rest`: the others; another instance may know a
   *   use of them.
   */
  of(merchant: string, which: 'certain' | 'rest'): MergedToken[] {
    const { ledger, now } = this.#durable;
    return [...ledger.tokensOf(merchant)]
      .filter((entry) => entry.replication === 'replicated' && isUsedOrHeld(entry, now()) === (which === 'certain'))
      .map((entry) => ({ entry, ...ledger.claimsOf(entry) }));
  }

  /** True if the shared store has, or may have, a token of this instance. */
  hasAny(merchant: string): boolean {
    for (const { replication } of this.#durable.ledger.tokensOf(merchant)) if (replication !== 'local') return true;
    return false;
  }

  /**
   * Records that the shared store gave the token to a claim of this instance. The clocks of the two
   * may differ.
   */
  claimed(token: TokenRecord, claim: Claim, leaseMs: number): void {
    const { ledger, disk, now } = this.#durable;
    // The end of the token cuts such a lease short. The difference of the clocks cannot be computed
    // from it.
    const ahead = claim.leaseExpiresAt >= token.expiresAt ? 0 : claim.leaseExpiresAt - leaseMs - now();
    const times = { receivedAt: token.receivedAt - ahead, expiresAt: token.expiresAt - ahead };
    const entry = this.#copyOf({ ...token, ...times }, token.expiresAt);
    ledger.updateClaimed(entry, {
      replication: 'replicated',
      state: entry.state === 'used' ? 'used' : 'live',
      claim: { ...claim, leaseExpiresAt: claim.leaseExpiresAt - ahead },
      deliveries: claim.deliveries,
    });
    disk.commitSoon();
  }

  /** Records that the shared store put the token of this claim back. */
  released(merchant: string, claimId: string): void {
    const { ledger, disk } = this.#durable;
    const taken = ledger.findClaim(merchant, claimId);
    if (taken?.entry.claim?.id !== claimId || taken.entry.replication !== 'replicated') return;
    ledger.putBack(taken);
    disk.commitSoon();
  }

  /** Records a use in the shared store. If that store loses it, the copy restores the use. */
  used(token: TokenRecord): void {
    const { ledger, disk } = this.#durable;
    ledger.update(this.#copyOf(token, token.expiresAt), { replication: 'replicated', state: 'used' });
    disk.commitSoon();
  }

  /** Follows a change through any instance. Ignores tokens without a record here. */
  changed(change: Exclude<TokenChange, { what: 'cancelled' }>): void {
    const { ledger, disk } = this.#durable;
    const { merchant, id, what } = change;
    const entry = ledger.get(merchant, id);
    if (entry === undefined || entry.replication === 'local' || entry.state === 'used') return;
    if (what === 'used') ledger.update(entry, { state: 'used' });
    else if (what === 'released') this.released(merchant, change.claimId);
    else this.#claimedElsewhere(entry, change);
    disk.commitLater();
  }

  #claimedElsewhere(entry: TokenEntry, change: TokenChange & { what: 'claimed' }): void {
    const { ledger, now } = this.#durable;
    const { merchant, claimId, leaseMs, deliveries, renewals, taken } = change;
    const last = entry.claim?.taken ?? 0;
    // The answer to a claim of this instance may arrive before an older change.
    if (last > taken || (last === taken && (entry.claim?.renewals ?? -1) >= renewals)) return;
    const claim = { id: claimId, leaseExpiresAt: now() + leaseMs, deliveries, renewals, taken };
    const isLastOfClaim = (ledger.findClaim(merchant, claimId)?.claim.taken ?? 0) <= taken;
    if (isLastOfClaim) ledger.updateClaimed(entry, { claim, deliveries });
    else ledger.update(entry, { claim, deliveries });
  }

  /** @param ends when the token expires, by the clock of the shared store */
  #copyOf(token: TokenRecord, ends: number): TokenEntry {
    const { ledger } = this.#durable;
    const before = ledger.get(token.merchant, token.id);
    if (before !== undefined) return Object.assign(before, { ends });
    const order = token.receivedAt * 1000;
    const entry: TokenEntry = {
      token,
      state: 'live',
      replication: 'replicated',
      order,
      deliveries: 0,
      seen: true,
      ends,
    };
    ledger.add(entry);
    return entry;
  }
}
