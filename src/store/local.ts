/**
 * The local half of the fallback store: the embedded store, which also knows where each token stands with regard to the
 * shared one. It keeps what the shared store did not take, and a copy of what it did.
 */
import { EmbeddedStore } from './embedded.ts';
import type { ExpectationEntry, TokenEntry } from './records.ts';
import type { MergedState, MergedToken } from './shared.ts';
import {
  type Claim,
  type Expectation,
  type NewToken,
  type PutAnswer,
  type StoreEvents,
  type TokenRecord,
  topicsOf,
} from './store.ts';

export interface Fenced {
  tokens: MergedToken[];
  wereHere: TokenEntry[];
}

export class LocalStore extends EmbeddedStore {
  /** What the shared store is yet to be told, by merchant, oldest first. */
  readonly #pending = new Map<string, Set<TokenEntry>>();
  readonly #pendingExpectations = new Set<ExpectationEntry>();

  override async open(events: StoreEvents): Promise<void> {
    await super.open(events);
    const tokens = [...this.ledger.tokens()].filter((entry) => entry.standing !== 'there');
    for (const entry of tokens.sort((a, b) => a.order - b.order)) this.#await(entry);
    for (const entry of this.ledger.expectations.entries()) {
      if (entry.standing !== 'there') this.#pendingExpectations.add(entry);
    }
  }

  /** Keeps a token that the shared store is not even asked to take. */
  async keep(token: NewToken): Promise<PutAnswer> {
    const answer = this.ledger.put(token, this.clock(), 'here');
    if (answer === 'known') return answer;
    return this.notTaken(token, 'here');
  }

  /** Puts a token on disk while the shared store is asked to take it. */
  async journal(token: NewToken): Promise<PutAnswer> {
    const answer = this.ledger.put(token, this.clock(), 'unsure');
    await this.disk.commit();
    return answer;
  }

  /** True when the shared store is yet to be told of this token. */
  isPending(merchant: string, id: string): boolean {
    const entry = this.ledger.get(merchant, id);
    return entry !== undefined && this.#pending.get(merchant)?.has(entry) === true;
  }

  isClaimPending(merchant: string, claimId: string): boolean {
    const claim = this.ledger.claims.find(merchant, claimId);
    return claim !== undefined && this.isPending(merchant, claim.token);
  }

  isExpectationPending(merchant: string, id: string): boolean {
    const entry = this.ledger.expectations.get(merchant, id);
    return entry !== undefined && this.#pendingExpectations.has(entry);
  }

  hasPending(merchant: string): boolean {
    return this.#pending.has(merchant);
  }

  get pendingCount(): number {
    let count = this.#pendingExpectations.size;
    for (const entries of this.#pending.values()) count += entries.size;
    return count;
  }

  get journaledCount(): number {
    return this.ledger.count;
  }

  /** The shared store did not take the token, surely (`here`) or perhaps (`unsure`). */
  async notTaken(token: NewToken, standing: 'here' | 'unsure'): Promise<PutAnswer> {
    const entry = this.ledger.get(token.merchant, token.id);
    if (entry === undefined || entry.standing === 'there') return 'known';
    // Once there is doubt, it stays until the shared store has spoken.
    const doubtful = entry.standing === 'unsure' && this.isPending(token.merchant, token.id);
    this.ledger.update(entry, { standing: doubtful ? 'unsure' : standing });
    this.#await(entry);
    await this.disk.commit();
    if (entry.state === 'deferred') return 'deferred';
    this.announce(token.merchant, topicsOf(token));
    return 'kept';
  }

  /** The shared store has taken the token. `known` to it before, somebody else keeps the copy. */
  taken(token: NewToken, answer: PutAnswer, journaled: PutAnswer): void {
    const entry = this.ledger.get(token.merchant, token.id);
    if (entry === undefined) return;
    if (answer === 'kept')
      this.ledger.update(entry, { standing: 'there', state: entry.state === 'used' ? 'used' : 'live' });
    else if (journaled !== 'known') this.ledger.forget(entry);
    this.disk.commitLater();
  }

  /** Up to `most` of a merchant's pending tokens, fenced: from now on only the shared store gives them to claims. */
  async fence(merchant: string, most: number): Promise<Fenced> {
    const batch: TokenEntry[] = [];
    for (const entry of this.#pending.get(merchant) ?? []) {
      if (entry.token.expiresAt <= this.clock()) this.#settled(entry);
      else if (batch.push(entry) === most) break;
    }
    const wereHere = batch.filter((entry) => entry.standing === 'here');
    for (const entry of wereHere) this.ledger.update(entry, { standing: 'unsure' });
    await this.disk.commit();
    return { tokens: batch.map((entry) => this.#toMerge(entry)), wereHere };
  }

  /** The shared store surely never saw the fenced tokens: those that were ours alone are so again. */
  unfence({ wereHere }: Fenced): void {
    for (const entry of wereHere) this.ledger.update(entry, { standing: 'here' });
    this.disk.commitLater();
  }

  /** The shared store has them now, in these states. */
  merged(tokens: MergedToken[], states: MergedState[]): void {
    for (const [i, { entry }] of tokens.entries()) {
      this.#settled(entry);
      const state = states[i];
      if (state === undefined) continue;
      this.ledger.update(entry, { standing: 'there', state: entry.state === 'used' ? 'used' : state });
    }
    this.disk.commitLater();
  }

  /** The copies of what the shared store has, to be put back should it have lost them. */
  copies(merchant: string): MergedToken[] {
    const copies = [...this.ledger.tokensOf(merchant)].filter(({ standing }) => standing === 'there');
    return copies.map((entry) => this.#toMerge(entry));
  }

  /** The shared store gave this token to a claim. */
  mirrorClaim(token: TokenRecord, claim: Claim): void {
    const held = { standing: 'there', state: 'live', claim, deliveries: claim.deliveries, seen: false } as const;
    const { merchant, id } = token;
    if (this.ledger.get(merchant, id) === undefined) {
      this.ledger.add({ token, ...held, order: token.receivedAt * 1000 });
    }
    this.ledger.update(this.ledger.get(merchant, id) as TokenEntry, held);
    this.ledger.claims.note({ merchant, id: claim.id, token: id, released: false });
    this.disk.commitLater();
  }

  /** The shared store settled this claim. */
  mirrorSettled(merchant: string, claimId: string, how: 'use' | 'release'): void {
    const claim = this.ledger.claims.find(merchant, claimId);
    const entry = claim && this.ledger.get(merchant, claim.token);
    if (claim === undefined || entry?.claim?.id !== claimId || entry.standing !== 'there') return;
    if (how === 'use') this.ledger.update(entry, { state: 'used' });
    else this.ledger.claims.putBack(entry, claim);
    this.disk.commitLater();
  }

  mirrorUsed(merchant: string, id: string): void {
    const entry = this.ledger.get(merchant, id);
    if (entry?.standing === 'there') this.ledger.update(entry, { state: 'used' });
    this.disk.commitLater();
  }

  override async expect(expectation: Expectation): Promise<number> {
    const ends = await super.expect(expectation);
    const entry = this.ledger.expectations.get(expectation.merchant, expectation.id);
    if (entry !== undefined) this.#pendingExpectations.add(entry);
    return ends;
  }

  pendingExpectations(merchant: string): ExpectationEntry[] {
    return [...this.#pendingExpectations].filter((entry) => entry.merchant === merchant);
  }

  expectationMerged(entry: ExpectationEntry): void {
    this.#pendingExpectations.delete(entry);
    this.ledger.expectations.update(entry, 'there');
    this.disk.commitLater();
  }

  #await(entry: TokenEntry): void {
    const { merchant } = entry.token;
    const entries = this.#pending.get(merchant) ?? new Set();
    this.#pending.set(merchant, entries.add(entry));
  }

  #settled(entry: TokenEntry): void {
    const entries = this.#pending.get(entry.token.merchant);
    entries?.delete(entry);
    if (entries?.size === 0) this.#pending.delete(entry.token.merchant);
  }

  #toMerge(entry: TokenEntry): MergedToken {
    const claims = this.ledger.claimsOf(entry).map(({ id }) => id);
    return { entry, formerClaims: claims.filter((id) => id !== entry.claim?.id) };
  }
}
