/**
 * Every decision of the embedded store, in memory: what arrived, who holds it, what is used. Pure but for the clock that
 * is passed in; whatever a transition changed is collected in `changes`, for the embedded store to put on disk.
 */
import { type NewToken, type TokenQuery, topicsOf } from '../../token.ts';
import type {
  ClaimAnswer,
  ClaimRequest,
  Expiry,
  Hint,
  KeyOptions,
  PutAnswer,
  ReadAnswer,
  SettleAnswer,
} from '../contract.ts';
import { ChangeSet } from './changes.ts';
import { Claims } from './claims.ts';
import { Expectations } from './expectations.ts';
import { ExpiryQueue } from './expiry-queue.ts';
import {
  type Change,
  type ClaimEntry,
  holderOf,
  type Replication,
  recordOf,
  shiftExpectation,
  shiftToken,
  type TokenEntry,
} from './records.ts';
import { TokenIndex } from './token-index.ts';

export interface LedgerOptions extends KeyOptions {
  ttlMs: number;
  /** `expected`: a token is live only if it fills an open expectation. */
  accept: 'any' | 'expected';
  /** What becomes of a token that fills none; `unexpected` when not given. `deferred`: the verdict is not ours alone. */
  unmatched?: 'unexpected' | 'deferred';
  /** How many unexpected tokens are remembered for each merchant; the oldest give way. */
  maxUnexpected: number;
  /** How long an expectation is remembered after its end, in ms; 0 when not given. */
  expectationRetentionMs?: number;
}

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #merchants = new Map<string, TokenIndex>();
  readonly #byExpiry = new ExpiryQueue();
  readonly claims: Claims;
  readonly expectations: Expectations;
  readonly changes = new ChangeSet();
  /** Orphans that were noticed between two sweeps. */
  #untold: Expiry[] = [];

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.claims = new Claims((merchant) => this.#book(merchant), this.changes);
    this.expectations = new Expectations(this.changes, options.expectationRetentionMs ?? 0);
  }

  /** All that is remembered, as if it had just changed. */
  *everything(): Iterable<Change> {
    for (const [merchant, book] of this.#merchants) {
      for (const [id, entry] of book.tokens) yield { of: 'token', merchant, id, entry };
      for (const [id, entry] of book.claims) yield { of: 'claim', merchant, id, entry };
    }
    for (const entry of this.expectations.entries()) {
      yield { of: 'expectation', merchant: entry.merchant, id: entry.id, entry };
    }
  }

  /** Puts back what was on disk. What came in the meantime stays; but what was used then is used. */
  restore(records: readonly Change[], now: number): void {
    for (const { of, entry } of records.toSorted(oldestFirst)) {
      if (entry === undefined) continue;
      // The clock was set back while no process ran. Nothing lasts longer than if it had come now.
      if (of === 'token') shiftToken(entry, Math.min(0, now - entry.token.receivedAt));
      if (of === 'expectation') shiftExpectation(entry, Math.min(0, now - entry.openedAt));
      if (of === 'token') {
        const since = this.get(entry.token.merchant, entry.token.id);
        if (since === undefined) this.add(entry);
        else this.#combine(since, entry);
      } else if (of === 'claim') {
        const book = this.#book(entry.merchant);
        if (!book.claims.has(entry.id)) book.addClaim(entry);
      } else this.expectations.add(entry);
    }
  }

  /** Of what came since and what was on disk, the further one wins. If only one of them knew of a shared store, it must decide. */
  #combine(since: TokenEntry, before: TokenEntry): void {
    if (before.deliveries > since.deliveries && before.claim !== undefined) {
      this.update(since, { claim: before.claim, deliveries: before.deliveries });
    }
    if (before.replication !== since.replication) this.update(since, { replication: 'in_doubt' });
    if (before.state === 'used') this.claims.markUsed(since);
  }

  /** Moves all times, as the clock was moved. */
  shift(byMs: number): void {
    for (const { of, entry } of this.everything()) {
      if (of === 'token' && entry !== undefined) {
        shiftToken(entry, byMs);
        this.changes.token(entry);
      } else if (of === 'expectation' && entry !== undefined) {
        shiftExpectation(entry, byMs);
        this.changes.expectation(entry);
      }
    }
    // Queues also hold entries that are over, whose times stay. In another order they would hold up the others.
    this.#byExpiry.reset([...this.tokens()]);
    for (const book of this.#merchants.values()) book.resetPools();
  }

  /** @param replication `in_doubt` puts the verdict off when one is demanded */
  put(token: NewToken, now: number, replication: Replication = 'local'): PutAnswer {
    const book = this.#book(token.merchant);
    const before = book.tokens.get(token.id);
    if (before !== undefined && before.token.expiresAt > now) return 'known';
    if (before !== undefined) this.#expire(before);

    const { accept, unmatched = 'unexpected', ttlMs } = this.#options;
    // What goes to a shared store is judged there.
    const isExpected = (accept === 'any' || replication === 'local') && this.isExpected(token, now);
    const state = accept === 'any' || isExpected ? 'live' : unmatched;

    book.lastOrder = Math.max(book.lastOrder + 1, now * 1000);
    const entry: TokenEntry = {
      token: recordOf(token, now, now + ttlMs),
      state,
      replication,
      order: book.lastOrder,
      deliveries: 0,
      seen: false,
    };
    this.add(entry);
    this.changes.token(entry);
    if (state === 'unexpected') this.#boundUnexpected(book);
    return state === 'live' ? 'kept' : state;
  }

  /** Fills the expectations that a token meets which arrived at a time; true when there was one. */
  isExpected(token: NewToken, at: number): boolean {
    const { merchant, kind, id } = token;
    const filled = topicsOf(token).map((topic) => this.expectations.fill(merchant, topic, kind, id, at));
    return filled.some((expectation) => expectation !== undefined);
  }

  read(query: TokenQuery, now: number): ReadAnswer {
    const { live, used, distinct, unknownKey } = this.#book(query.merchant).find(query, now);
    if (live === undefined) return this.#absent(query, used, unknownKey, now);
    if (!live.seen) {
      live.seen = true;
      this.changes.token(live);
    }
    return { state: 'live', token: live.token, distinct, claim: holderOf(live, now), unknownKey };
  }

  claim(request: ClaimRequest, now: number): ClaimAnswer {
    const held = this.claims.renew(request, now);
    if (held !== undefined) return held;
    const { query } = request;
    if (this.claims.isElsewhere(request, now)) return { state: 'none', elsewhere: true };
    if (query === undefined) return { state: 'none' };
    if (query.by === 'pool') return this.claims.takeFromPool(query.kind, request, now);

    const { live, used, distinct, unknownKey } = this.#book(query.merchant).find(query, now);
    if (live === undefined) return this.#absent(query, used, unknownKey, now);
    if (live.replication !== 'local') return { state: 'none' };
    if (distinct > 1 && request.refuseConflict) return { state: 'conflict', distinct };
    const holder = holderOf(live, now);
    if (holder !== null) return { state: 'claimed', claim: holder, retryInMs: holder.leaseExpiresAt - now };
    return { ...this.claims.take(live, request, now), distinct, unknownKey };
  }

  /** A live token that cannot be opened here is there for others: the query is neither used up nor cancelled. */
  #absent(query: TokenQuery, used: boolean, unknownKey: string | undefined, now: number): ReadAnswer & ClaimAnswer {
    return unknownKey === undefined ? this.expectations.absent(query, used, now) : { state: 'none', unknownKey };
  }

  use(merchant: string, id: string, now: number): SettleAnswer {
    const entry = this.#book(merchant).tokens.get(id);
    if (entry === undefined || entry.token.expiresAt <= now || entry.state === 'unexpected') return 'unknown';
    return entry.replication === 'local' ? this.claims.markUsed(entry) : 'away';
  }

  sequence(merchant: string): number {
    return this.#merchants.get(merchant)?.sequence ?? 0;
  }

  /** Counts a change under some topics, for the hint that tells of it. */
  announce(merchant: string, topics: string[]): Hint {
    const book = this.#book(merchant);
    book.sequence += 1;
    return { merchant, topics, sequence: book.sequence };
  }

  /** The topics under which a claim's token is waited for. */
  topicsOfClaim(merchant: string, claimId: string): string[] {
    const book = this.#book(merchant);
    const entry = book.tokens.get(book.claims.get(claimId)?.token ?? '');
    return entry === undefined ? [] : topicsOf(entry.token);
  }

  /** Forgets what is over, and tells what became of it. */
  sweep(now: number): Expiry[] {
    for (let entry = this.#byExpiry.popOver(now); entry; entry = this.#byExpiry.popOver(now)) {
      if (this.get(entry.token.merchant, entry.token.id) === entry) this.#expire(entry);
    }
    for (const book of this.#merchants.values()) for (const pool of book.pools.values()) pool.sweep(now);
    const orphans = this.#untold;
    this.#untold = [];
    return [...orphans, ...this.expectations.sweep(now)];
  }

  get isEmpty(): boolean {
    return this.everything()[Symbol.iterator]().next().done === true;
  }

  /** How many tokens are remembered. */
  get count(): number {
    let count = 0;
    for (const book of this.#merchants.values()) count += book.tokens.size;
    return count;
  }

  get(merchant: string, id: string): TokenEntry | undefined {
    return this.#book(merchant).tokens.get(id);
  }

  *tokens(): Iterable<TokenEntry> {
    for (const book of this.#merchants.values()) yield* book.tokens.values();
  }

  tokensOf(merchant: string): Iterable<TokenEntry> {
    return this.#book(merchant).tokens.values();
  }

  /** The claims that took a token, the last one among them. */
  claimsOf(entry: TokenEntry): ClaimEntry[] {
    return this.#book(entry.token.merchant).claimsOf(entry.token.id);
  }

  /** Notes what a shared store said of a token; nothing if it was forgotten since. */
  update(
    entry: TokenEntry,
    change: Partial<Pick<TokenEntry, 'replication' | 'state' | 'claim' | 'deliveries' | 'seen' | 'ends'>>,
  ): void {
    const book = this.#book(entry.token.merchant);
    if (book.tokens.get(entry.token.id) !== entry) return;
    Object.assign(entry, change);
    const isRefused = entry.state === 'unexpected';
    if (book.unexpected.has(entry) !== isRefused) book.move(entry);
    else if (!isRefused) book.update(entry);
    this.changes.token(entry);
    this.#boundUnexpected(book);
  }

  add(entry: TokenEntry): void {
    this.#book(entry.token.merchant).add(entry);
    this.#byExpiry.push(entry);
  }

  #expire(entry: TokenEntry): void {
    const { merchant, kind, id } = entry.token;
    const orphan =
      entry.state === 'live' && !entry.seen && entry.deliveries === 0 && entry.replication !== 'replicated';
    if (orphan) this.#untold.push({ what: 'orphan', merchant, kind, id });
    this.forget(entry);
  }

  forget(entry: TokenEntry): void {
    const { merchant, id } = entry.token;
    const claims = this.#book(merchant).remove(entry);
    this.changes.gone('token', merchant, id);
    for (const claim of claims) this.changes.gone('claim', merchant, claim);
    this.#byExpiry.compact(this.count, () => [...this.tokens()]);
  }

  #boundUnexpected(book: TokenIndex): void {
    while (book.unexpected.size > this.#options.maxUnexpected) {
      const [oldest] = book.unexpected;
      if (oldest !== undefined) this.forget(oldest);
    }
  }

  #book(merchant: string): TokenIndex {
    let book = this.#merchants.get(merchant);
    if (book === undefined) {
      book = new TokenIndex(this.#options.openable);
      this.#merchants.set(merchant, book);
    }
    return book;
  }
}

function oldestFirst(a: Change, b: Change): number {
  return ageOf(a) - ageOf(b);
}

/** Where a record stands among those of its sort; claims stand nowhere. */
function ageOf({ of, entry }: Change): number {
  return entry === undefined || of === 'claim' ? 0 : of === 'token' ? entry.order : entry.openedAt;
}
