/**
 * The local half of the fallback store: the embedded store, which also knows where each token stands with regard to the
 * shared one. It keeps what the shared store did not take, and a copy of what it did.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { type Claim, type NewToken, type TokenRecord, topicsOf } from '../../token.ts';
import type { ClaimAnswer, ClaimRequest, Expectation, PutAnswer, StoreEvents } from '../contract.ts';
import { type EmbeddedOptions, EmbeddedStore } from '../embedded/embedded-store.ts';
import {
  type Change,
  type ExpectationEntry,
  holderOf,
  type Replication,
  type TokenEntry,
} from '../embedded/records.ts';
import { Doubts } from './doubts.ts';
import { Pending } from './pending.ts';
import type { MergedExpectations, MergedToken, MergeResult, TokenChange } from './shared-store.ts';

export interface Fenced {
  tokens: MergedToken[];
  wereLocal: TokenEntry[];
}

/** An expectation as it was when it was sent to the shared store. */
export interface SentExpectation {
  entry: ExpectationEntry;
  sent: ExpectationEntry;
  /** True when no shared store could fill it before. */
  wasLocal: boolean;
}

export class LocalStore extends EmbeddedStore {
  /** What the shared store is yet to be told. */
  #pending = new Pending();
  readonly #pendingExpectations = new Set<ExpectationEntry>();
  /** Claim ids of which only the shared store can say what they hold. */
  readonly doubts: Doubts;
  /** True when a token must be expected: then the shared store has the last word. */
  readonly isStrict: boolean;
  readonly #ttlMs: number;
  readonly #nameFile: string;
  #name: string | undefined;
  #onRestored: () => void = () => {};

  constructor(options: EmbeddedOptions) {
    const isStrict = options.accept === 'expected';
    // An expectation that is over may still decide on a token that waits for its verdict.
    super({ ...options, expectationRetentionMs: isStrict ? options.ttlMs : 0 });
    this.isStrict = isStrict;
    this.doubts = new Doubts(options.ttlMs);
    this.#ttlMs = options.ttlMs;
    this.#nameFile = `${options.directory}.instance`;
  }

  /** @param onRestored called when a disk that was away at the start is there, and more is pending than before */
  override async open(events: StoreEvents, onRestored: () => void = () => {}): Promise<void> {
    await super.open(events);
    this.#addPending([...this.ledger.everything()]);
    this.#onRestored = onRestored;
  }

  protected override restored(records: readonly Change[]): void {
    this.#addPending(records);
    super.restored(records);
    this.#onRestored();
  }

  /** Oldest first, beside what is pending already. */
  #addPending(records: readonly Change[]): void {
    const entries = new Set(this.#pending.all());
    for (const { of, merchant, id } of records) {
      const token = of === 'token' ? this.ledger.get(merchant, id) : undefined;
      if (token !== undefined && token.replication !== 'replicated') entries.add(token);
      const expectation = of === 'expectation' ? this.ledger.expectations.get(merchant, id) : undefined;
      if (expectation !== undefined && expectation.replication !== 'replicated')
        this.#pendingExpectations.add(expectation);
    }
    this.#pending = new Pending();
    for (const entry of [...entries].sort((a, b) => a.order - b.order)) this.#pending.add(entry);
  }

  /** The name of this instance among those that share a store: the same after a restart, as long as the disk is there. */
  get name(): string {
    this.#name ??= nameIn(this.#nameFile);
    return this.#name;
  }

  override async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    if (!this.doubts.has(request.merchant, request.claimId)) return super.claim(request);
    const answer = await super.claim({ ...request, query: undefined });
    return answer.state === 'held' ? answer : { state: 'none', elsewhere: true };
  }

  /**
   * Whether a settle can be decided here: only this instance has the token, and the claim still holds it or put it back. A
   * claim that is over may have taken another token since, through another instance.
   */
  decides(merchant: string, claimId: string, how: 'use' | 'release'): boolean {
    const claim = this.ledger.claims.find(merchant, claimId);
    const entry = claim && this.ledger.get(merchant, claim.token);
    if (entry?.replication !== 'local' || this.doubts.has(merchant, claimId)) return false;
    return holderOf(entry, this.clock())?.id === claimId || (claim?.released === true && how === 'release');
  }

  /** Keeps a token that the shared store is not even asked to take. */
  async keep(token: NewToken): Promise<PutAnswer> {
    const answer = this.ledger.put(token, this.clock(), 'local');
    if (answer !== 'known') return this.notTaken(token, 'local');
    await this.disk.commit();
    return answer;
  }

  /** Resolves when everything so far is on disk. */
  written(): Promise<void> {
    return this.disk.commit();
  }

  /** Notes a token that the shared store is asked to take. It goes to disk once, when it is known what came of that. */
  note(token: NewToken): PutAnswer {
    return this.ledger.put(token, this.clock(), 'in_doubt');
  }

  /** True when this token is not in the shared store yet. */
  isPending(merchant: string, id: string): boolean {
    const entry = this.ledger.get(merchant, id);
    if (entry === undefined || entry.token.expiresAt <= this.clock()) return false;
    return this.#pending.has(entry);
  }

  /** Whether the token that a claim took last is remembered here. */
  knowsClaim(merchant: string, claimId: string): boolean {
    const claim = this.ledger.claims.find(merchant, claimId);
    return claim !== undefined && this.knowsToken(merchant, claim.token);
  }

  knowsToken(merchant: string, id: string): boolean {
    const entry = this.ledger.get(merchant, id);
    return entry !== undefined && entry.state !== 'unexpected' && entry.token.expiresAt > this.clock();
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
    return this.#pending.hasAny(merchant);
  }

  get pendingCount(): number {
    return this.#pending.count + this.#pendingExpectations.size;
  }

  /** For how long the oldest pending token has been waiting. */
  get pendingForMs(): number {
    const now = this.clock();
    return now - Math.min(now, this.#pending.since ?? now);
  }

  get journaledCount(): number {
    return this.ledger.count;
  }

  /** The shared store did not take the token, surely (`local`) or perhaps (`in_doubt`). */
  async notTaken(token: NewToken, replication: 'local' | 'in_doubt'): Promise<PutAnswer> {
    const entry = this.ledger.get(token.merchant, token.id);
    if (entry === undefined || entry.replication === 'replicated') return 'known';
    // Once there is doubt, it stays until the shared store has spoken.
    const doubtful = entry.replication === 'in_doubt' && this.isPending(token.merchant, token.id);
    const isExpected = entry.state === 'deferred' && this.ledger.isExpected(token, entry.token.receivedAt);
    this.ledger.update(entry, {
      replication: doubtful ? 'in_doubt' : replication,
      ...(isExpected ? { state: 'live' } : {}),
    });
    this.#pending.add(entry);
    const committed = this.disk.commit();
    if (entry.state !== 'deferred') this.announce(token.merchant, topicsOf(token));
    await committed;
    return entry.state === 'deferred' ? 'deferred' : 'kept';
  }

  /** The shared store has taken the token. `known` to it before, somebody else keeps the copy. */
  async taken(
    token: NewToken,
    { answer, arrivedAt }: { answer: PutAnswer; arrivedAt: number },
    before: PutAnswer,
  ): Promise<void> {
    const entry = this.ledger.get(token.merchant, token.id);
    if (entry !== undefined && answer === 'kept') {
      const state = entry.state === 'used' ? 'used' : 'live';
      this.ledger.update(entry, { replication: 'replicated', state, ends: arrivedAt + this.#ttlMs });
    } else if (entry?.replication === 'in_doubt' && before !== 'known' && !this.#pending.has(entry)) {
      // An announcement that comes later may admit what was refused, also after the shared store lost it.
      const ends = arrivedAt + this.#ttlMs;
      if (answer === 'unexpected') this.ledger.update(entry, { replication: 'replicated', state: 'unexpected', ends });
      else this.ledger.forget(entry);
    }
    await this.disk.commit();
  }

  /**
   * Up to `most` of a merchant's pending tokens, fenced: from now on only the shared store gives them to claims.
   * `certain`: only those of which this instance knows more than any other can.
   */
  async fence(merchant: string, which: 'certain' | 'all', most: number): Promise<Fenced> {
    const batch: TokenEntry[] = [];
    for (const entry of this.#pending.of(merchant)) {
      if (entry.token.expiresAt <= this.clock()) this.#pending.delete(entry);
      else if (which === 'certain' && entry.replication !== 'local' && !this.#isSettledOrHeld(entry)) continue;
      else if (batch.push(entry) === most) break;
    }
    const wereLocal = batch.filter((entry) => entry.replication === 'local');
    for (const entry of wereLocal) this.ledger.update(entry, { replication: 'in_doubt' });
    if (wereLocal.length > 0) await this.disk.commit();
    return { tokens: batch.map((entry) => this.#toMerge(entry)), wereLocal };
  }

  /** The shared store surely never saw the fenced tokens: those that were ours alone are so again. */
  unfence({ wereLocal }: Fenced): void {
    for (const entry of wereLocal) this.ledger.update(entry, { replication: 'local' });
    this.disk.commitSoon();
  }

  /** The shared store has them now, in these states. */
  merged(tokens: MergedToken[], results: MergeResult[]): void {
    for (const [i, { entry }] of tokens.entries()) {
      this.#pending.delete(entry);
      const { state, ends } = results[i] as MergeResult;
      if (state === 'over') this.ledger.forget(entry);
      else
        this.ledger.update(entry, { replication: 'replicated', state: entry.state === 'used' ? 'used' : state, ends });
    }
    this.disk.commitSoon();
  }

  /**
   * The copies of what the shared store has, to be put back should it have lost them. `certain`: those that were used or
   * are held; `rest`: the others, which another instance may know to be used.
   */
  copies(merchant: string, which: 'certain' | 'rest'): MergedToken[] {
    return [...this.ledger.tokensOf(merchant)]
      .filter((entry) => entry.replication === 'replicated' && this.#isSettledOrHeld(entry) === (which === 'certain'))
      .map((entry) => this.#toMerge(entry));
  }

  hasCopies(merchant: string): boolean {
    for (const { replication } of this.ledger.tokensOf(merchant)) if (replication !== 'local') return true;
    return false;
  }

  #isSettledOrHeld(entry: TokenEntry): boolean {
    return entry.state === 'used' || holderOf(entry, this.clock()) !== null;
  }

  /** The copy of one token. */
  copy(merchant: string, id: string): MergedToken | undefined {
    const entry = this.ledger.get(merchant, id);
    const isCopy = entry?.replication === 'replicated' && entry.token.expiresAt > this.clock();
    return isCopy ? this.#toMerge(entry) : undefined;
  }

  /** Takes over what became of a token through any instance, if its copy is kept here. */
  changed(change: TokenChange): void {
    const { merchant, id, what } = change;
    if (what === 'cancelled') {
      this.#mirrorCancelled(merchant, id, this.clock());
      return;
    }
    const entry = this.ledger.get(merchant, id);
    if (entry === undefined || entry.replication === 'local' || entry.state === 'used') return;
    if (what === 'used') this.ledger.update(entry, { state: 'used' });
    else if (what === 'released') this.mirrorReleased(merchant, change.claimId);
    else this.#mirrorChange(entry, change);
    this.disk.commitLater();
  }

  /** The shared store knows that an expectation was cancelled. */
  #mirrorCancelled(merchant: string, id: string, cancelledAt: number): void {
    const entry = this.ledger.expectations.get(merchant, id);
    if (entry === undefined || entry.cancelledAt !== undefined) return;
    this.ledger.expectations.update(entry, { cancelledAt });
    this.disk.commitLater();
  }

  #mirrorChange(entry: TokenEntry, change: TokenChange & { what: 'claimed' }): void {
    const { merchant, id, claimId, leaseMs, deliveries, renewals, taken } = change;
    const last = entry.claim?.taken ?? 0;
    // This instance may have heard of a later one already, by its own answer.
    if (last > taken || (last === taken && (entry.claim?.renewals ?? -1) >= renewals)) return;
    const claim = { id: claimId, leaseExpiresAt: this.clock() + leaseMs, deliveries, renewals, taken };
    this.ledger.update(entry, { claim, deliveries });
    const before = this.ledger.claims.find(merchant, claimId);
    if ((before?.taken ?? 0) <= taken) {
      this.ledger.claims.note({ merchant, id: claimId, token: id, released: false, taken });
    }
  }

  /** The shared store gave this token to a claim. Its clock may differ from ours, by which copies are kept. */
  mirrorClaim(token: TokenRecord, claim: Claim, leaseMs: number): void {
    const { merchant, id } = token;
    // A lease that ends with its token tells nothing of the clock.
    const ahead = claim.leaseExpiresAt >= token.expiresAt ? 0 : claim.leaseExpiresAt - leaseMs - this.clock();
    const times = { receivedAt: token.receivedAt - ahead, expiresAt: token.expiresAt - ahead };
    const entry = this.#copyOf({ ...token, ...times }, token.expiresAt);
    const ours = { ...claim, leaseExpiresAt: claim.leaseExpiresAt - ahead };
    const state = entry.state === 'used' ? 'used' : 'live';
    this.ledger.update(entry, { replication: 'replicated', state, claim: ours, deliveries: claim.deliveries });
    const taken = claim.taken === undefined ? {} : { taken: claim.taken };
    this.ledger.claims.note({ merchant, id: claim.id, token: id, released: false, ...taken });
    this.disk.commitSoon();
  }

  /** The shared store put this claim's token back. */
  mirrorReleased(merchant: string, claimId: string): void {
    const claim = this.ledger.claims.find(merchant, claimId);
    const entry = claim && this.ledger.get(merchant, claim.token);
    if (claim === undefined || entry?.claim?.id !== claimId || entry.replication !== 'replicated') return;
    this.ledger.claims.putBack(entry, claim);
    this.disk.commitSoon();
  }

  /** The token is used in the shared store. If that is lost, this record remains. */
  mirrorUsed(token: TokenRecord): void {
    this.ledger.update(this.#copyOf(token, token.expiresAt), { replication: 'replicated', state: 'used' });
    this.disk.commitSoon();
  }

  /** This store's clock, in milliseconds since 1970. */
  now(): number {
    return this.clock();
  }

  /** Keeps an expectation that was announced at a time: a copy (`replicated`), or one that the shared store does not have yet. */
  async keepExpectation(expectation: Expectation, announcedAt: number, replication: Replication): Promise<number> {
    const entry = this.ledger.expectations.open(expectation, announcedAt, replication);
    if (replication !== 'replicated') this.#pendingExpectations.add(entry);
    await this.disk.commit();
    return entry.expiresAt;
  }

  /** Cancels an expectation of which the shared store does not know, or does not know any more. */
  override async cancel(merchant: string, id: string): Promise<'done' | 'unknown'> {
    const entry = this.ledger.expectations.get(merchant, id);
    if (entry !== undefined && entry.expiresAt > this.clock()) this.#pendingExpectations.add(entry);
    return super.cancel(merchant, id);
  }

  /** Keeps a cancellation that the shared store took. */
  async keepCancelled(cancelled: ExpectationEntry): Promise<void> {
    const { merchant, id, cancelledAt } = cancelled;
    const entry = this.ledger.expectations.get(merchant, id);
    if (entry === undefined) this.ledger.expectations.add(cancelled);
    if (cancelledAt !== undefined) this.ledger.expectations.update(entry ?? cancelled, { cancelledAt });
    await this.disk.commit();
  }

  /** All expectations of a merchant, oldest first, copies among them. */
  expectations(merchant: string): ExpectationEntry[] {
    const mine = [...this.ledger.expectations.entries()].filter((entry) => entry.merchant === merchant);
    return mine.sort((a, b) => a.openedAt - b.openedAt);
  }

  /** Those that the shared store does not have yet. */
  pendingExpectations(merchant: string): ExpectationEntry[] {
    return [...this.#pendingExpectations].filter((entry) => entry.merchant === merchant);
  }

  /** Fences expectations: from now on only the shared store fills them. */
  async fenceExpectations(entries: readonly ExpectationEntry[]): Promise<SentExpectation[]> {
    const sent = entries.map((entry) => ({ entry, sent: { ...entry }, wasLocal: entry.replication === 'local' }));
    const wereLocal = sent.filter(({ wasLocal }) => wasLocal);
    for (const { entry } of wereLocal) this.ledger.expectations.update(entry, { replication: 'in_doubt' });
    if (wereLocal.length > 0) await this.disk.commit();
    return sent;
  }

  /** The shared store surely never saw them. */
  unfenceExpectations(expectations: readonly SentExpectation[]): void {
    for (const { entry, wasLocal } of expectations) {
      if (wasLocal) this.ledger.expectations.update(entry, { replication: 'local' });
    }
    this.disk.commitSoon();
  }

  /** The shared store has them now. What changed since it was sent stays pending. */
  expectationsMerged(expectations: readonly SentExpectation[], { cancelled }: MergedExpectations): void {
    for (const { entry, sent } of expectations) {
      if (entry.cancelledAt !== sent.cancelledAt || entry.token !== sent.token) continue;
      const wasPending = this.#pendingExpectations.delete(entry);
      if (wasPending || entry.replication !== 'replicated')
        this.ledger.expectations.update(entry, { replication: 'replicated' });
    }
    const [first] = expectations;
    for (const { id, cancelledAt } of cancelled) this.#mirrorCancelled(first?.entry.merchant ?? '', id, cancelledAt);
    this.disk.commitSoon();
  }

  /** What expires while the shared store is away is reported here only: an absence may be long, and strangers busy. */
  protected override sweep(): void {
    super.sweep();
    const now = this.clock();
    this.#pending.sweep(now);
    this.doubts.sweep();
    for (const entry of this.#pendingExpectations) {
      if (this.ledger.expectations.get(entry.merchant, entry.id) === undefined) this.#pendingExpectations.delete(entry);
    }
  }

  /** What is kept of a token that the shared store has until it `ends` there, begun if it is new here. */
  #copyOf(token: TokenRecord, ends: number): TokenEntry {
    const before = this.ledger.get(token.merchant, token.id);
    if (before !== undefined) return Object.assign(before, { ends });
    const order = token.receivedAt * 1000;
    const entry: TokenEntry = {
      token,
      replication: 'replicated',
      state: 'live',
      deliveries: 0,
      seen: true,
      order,
      ends,
    };
    this.ledger.add(entry);
    return entry;
  }

  #toMerge(entry: TokenEntry): MergedToken {
    const claims = this.ledger.claimsOf(entry);
    return {
      entry,
      claimEntry: claims.find(({ id }) => id === entry.claim?.id),
      formerClaims: claims.filter(({ id }) => id !== entry.claim?.id),
    };
  }
}

/** The name in a file, written there when it is new. Without a disk it lasts as long as the process. */
function nameIn(file: string): string {
  const name = randomBytes(8).toString('hex');
  try {
    writeFileSync(file, name, { flag: 'wx' });
    return name;
  } catch {
    // It is there already, or cannot be written.
  }
  try {
    const before = readFileSync(file, 'utf8');
    return /^[0-9a-f]{16}$/.test(before) ? before : name;
  } catch {
    return name;
  }
}
