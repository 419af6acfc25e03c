/**
 * Every decision of the embedded store, in memory: what arrived, who holds it, what is used. Pure but for the clock that
 * is passed in; whatever a transition changed is collected in `changes`, for the embedded store to put on disk.
 */
import TinyQueue from 'tinyqueue';
import { KINDS } from '../post.ts';
import { Claims } from './claims.ts';
import { ExpectationBook } from './expectation-book.ts';
import { MerchantBook } from './merchant-book.ts';
import {
  type Change,
  type ClaimEntry,
  type ExpectationEntry,
  holderOf,
  type Standing,
  type TokenEntry,
} from './records.ts';
import {
  type Claim,
  type ClaimAnswer,
  type ClaimRequest,
  type Expectation,
  type Expiry,
  type Hint,
  type Lead,
  type NewToken,
  type PutAnswer,
  type ReadAnswer,
  type SettleAnswer,
  type TokenRecord,
  topicOf,
  topicsOf,
} from './store.ts';

export interface LedgerOptions {
  ttlMs: number;
  /** `expected`: a token is live only if it fills an open expectation. */
  accept: 'any' | 'expected';
  /** What becomes of a token that fills none; `unexpected` when not given. `deferred`: the verdict is not ours alone. */
  unmatched?: 'unexpected' | 'deferred';
  /** How many unexpected tokens are remembered for each merchant; the oldest give way. */
  maxUnexpected: number;
}

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #merchants = new Map<string, MerchantBook>();
  readonly #expectations = new ExpectationBook();
  readonly #byExpiry = new TinyQueue<TokenEntry>([], (a, b) => a.token.expiresAt - b.token.expiresAt);
  readonly claims: Claims;
  #changes: Change[] = [];
  #untold: Expiry[] = [];

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.claims = new Claims(
      (merchant) => this.#book(merchant),
      (change) => this.#changes.push(change),
    );
  }

  get hasChanges(): boolean {
    return this.#changes.length > 0;
  }

  /** Hands over what changed since the last call, oldest first. */
  takeChanges(): Change[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }

  /** All that is remembered, as if it had just changed. */
  *everything(): Iterable<Change> {
    for (const [merchant, book] of this.#merchants) {
      for (const [id, entry] of book.tokens) yield { of: 'token', merchant, id, entry };
      for (const [id, entry] of book.claims) yield { of: 'claim', merchant, id, entry };
    }
    for (const entry of this.#expectations.entries()) {
      yield { of: 'expectation', merchant: entry.merchant, id: entry.id, entry };
    }
  }

  /** Puts back what was on disk. */
  restore(change: Change): void {
    if (change.entry === undefined) return;
    if (change.of === 'token') this.#add(change.entry);
    else if (change.of === 'claim') this.#book(change.merchant).addClaim(change.entry);
    else this.#expectations.add(change.entry);
  }

  /** @param standing `unsure` puts the verdict off when one is demanded */
  put(token: NewToken, now: number, standing: Standing = 'here'): PutAnswer {
    const book = this.#book(token.merchant);
    const before = book.tokens.get(token.id);
    if (before !== undefined && before.token.expiresAt > now) return 'known';
    if (before !== undefined) this.#expire(before);

    const filled = topicsOf(token)
      .map((topic) => this.#expectations.fill(token.merchant, topic, token.kind, token.id, now))
      .filter((entry) => entry !== undefined);
    for (const entry of filled) this.#expectationChanged(entry);
    const state =
      this.#options.accept === 'any' || filled.length > 0 ? 'live' : (this.#options.unmatched ?? 'unexpected');

    book.lastOrder = Math.max(book.lastOrder + 1, now * 1000);
    const entry: TokenEntry = {
      token: { ...token, receivedAt: now, expiresAt: now + this.#options.ttlMs },
      state,
      standing,
      order: book.lastOrder,
      deliveries: 0,
      seen: false,
    };
    this.#add(entry);
    this.#tokenChanged(entry);
    if (state === 'unexpected') this.#boundUnexpected(book);
    return state === 'live' ? 'kept' : state;
  }

  read(lead: Lead, now: number): ReadAnswer {
    const { live, used, distinct } = this.#book(lead.merchant).find(lead, now);
    if (live === undefined) return this.#absent(lead, used, now);
    if (!live.seen) {
      live.seen = true;
      this.#tokenChanged(live);
    }
    return { state: 'live', token: live.token, distinct, claim: holderOf(live, now) };
  }

  claim(request: ClaimRequest, now: number): ClaimAnswer {
    const held = this.claims.renew(request, now);
    if (held !== undefined) return held;
    const { lead } = request;
    if (this.claims.isElsewhere(request, now)) return { state: 'none' };
    if (lead === undefined) return { state: 'none' };
    if (lead.by === 'pool') return this.claims.takeFromPool(lead.kind, request, now);

    const { live, used, distinct } = this.#book(lead.merchant).find(lead, now);
    if (live === undefined) return this.#absent(lead, used, now);
    if (live.standing !== 'here') return { state: 'none' };
    if (distinct > 1 && request.refuseConflict) return { state: 'conflict', distinct };
    const holder = holderOf(live, now);
    if (holder !== null) return { state: 'claimed', claim: holder, retryInMs: holder.leaseExpiresAt - now };
    return { ...this.claims.take(live, request, now), distinct };
  }

  use(merchant: string, id: string, now: number): SettleAnswer {
    const entry = this.#book(merchant).tokens.get(id);
    if (entry === undefined || entry.token.expiresAt <= now || entry.state === 'unexpected') return 'unknown';
    return entry.standing === 'here' ? this.claims.markUsed(entry) : 'away';
  }

  expect(expectation: Expectation, now: number): number {
    const { ttlMs, ...what } = expectation;
    const entry: ExpectationEntry = { ...what, openedAt: now, expiresAt: now + ttlMs, standing: 'here' };
    this.#expectations.add(entry);
    this.#expectationChanged(entry);
    return entry.expiresAt;
  }

  /** The topic whose waiters should hear of it, if it changed anything. */
  cancel(merchant: string, id: string, now: number): { answer: 'done' | 'unknown'; topic?: string } {
    const entry = this.#expectations.get(merchant, id);
    if (entry === undefined || entry.expiresAt <= now) return { answer: 'unknown' };
    if (entry.cancelledAt !== undefined) return { answer: 'done' };
    this.#expectations.cancel(entry, now);
    this.#expectationChanged(entry);
    return { answer: 'done', topic: entry.topic };
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

  /** Forgets what is over. */
  sweep(now: number): Expiry[] {
    for (let entry = this.#byExpiry.peek(); entry && entry.token.expiresAt <= now; entry = this.#byExpiry.peek()) {
      this.#byExpiry.pop();
      const { merchant, id } = entry.token;
      if (this.#book(merchant).tokens.get(id) !== entry) continue;
      this.#expire(entry);
    }
    const expiries = this.#untold;
    this.#untold = [];
    for (const entry of this.#expectations.sweep(now)) {
      const { merchant, kind, id } = entry;
      const open = entry.cancelledAt === undefined && entry.token === undefined;
      if (open && entry.standing === 'here') expiries.push({ what: 'no_show', merchant, kind, expectation: id });
      this.#changes.push({ of: 'expectation', merchant, id });
    }
    return expiries;
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

  tokensOf(merchant: string, standing: Standing): TokenEntry[] {
    return [...this.#book(merchant).tokens.values()].filter((entry) => entry.standing === standing);
  }

  /** The claims that took a token, the last one among them. */
  claimsOf(entry: TokenEntry): ClaimEntry[] {
    return this.#book(entry.token.merchant).claimsOf(entry.token.id);
  }

  expectations(): Iterable<ExpectationEntry> {
    return this.#expectations.entries();
  }

  expectation(merchant: string, id: string): ExpectationEntry | undefined {
    return this.#expectations.get(merchant, id);
  }

  /** Notes what a shared store said of a token. */
  update(
    entry: TokenEntry,
    change: Partial<Pick<TokenEntry, 'standing' | 'state' | 'claim' | 'deliveries' | 'seen'>>,
  ): void {
    Object.assign(entry, change);
    if (entry.state === 'unexpected') {
      this.forget(entry);
    } else {
      this.#book(entry.token.merchant).offer(entry);
      this.#tokenChanged(entry);
    }
  }

  updateExpectation(entry: ExpectationEntry, standing: Standing): void {
    entry.standing = standing;
    this.#expectationChanged(entry);
  }

  /** Notes a token that a shared store has: the claim that it gave it to, or that it is used. */
  mirror(token: TokenRecord, claim?: Claim): void {
    const { merchant, id } = token;
    const book = this.#book(merchant);
    if (!book.tokens.has(id)) {
      const order = token.receivedAt * 1000;
      this.#add({ token, standing: 'there', state: 'live', deliveries: 0, seen: true, order });
    }
    const before = book.tokens.get(id) as TokenEntry;
    if (claim === undefined) {
      this.update(before, { state: 'used' });
      return;
    }
    const state = before.state === 'used' ? 'used' : 'live';
    this.update(before, { standing: 'there', state, claim, deliveries: claim.deliveries });
    const entry = { merchant, id: claim.id, token: id, released: false };
    book.addClaim(entry);
    this.#changes.push({ of: 'claim', merchant, id: claim.id, entry });
  }

  #absent(lead: Lead, used: boolean, now: number): { state: 'used' | 'cancelled' | 'none' } {
    const kinds = lead.kind === undefined ? KINDS : [lead.kind];
    if (this.#expectations.isCancelled(lead.merchant, topicOf(lead), kinds, now)) return { state: 'cancelled' };
    return { state: used ? 'used' : 'none' };
  }

  #add(entry: TokenEntry): void {
    this.#book(entry.token.merchant).add(entry);
    this.#byExpiry.push(entry);
  }

  #expire(entry: TokenEntry): void {
    const { merchant, kind, id } = entry.token;
    const orphan = entry.state === 'live' && !entry.seen && entry.deliveries === 0 && entry.standing !== 'there';
    if (orphan) this.#untold.push({ what: 'orphan', merchant, kind, id });
    this.forget(entry);
  }

  forget(entry: TokenEntry): void {
    const { merchant, id } = entry.token;
    const claims = this.#book(merchant).remove(entry);
    this.#changes.push({ of: 'token', merchant, id });
    for (const claim of claims) this.#changes.push({ of: 'claim', merchant, id: claim });
  }

  #boundUnexpected(book: MerchantBook): void {
    while (book.unexpected.size > this.#options.maxUnexpected) {
      const [oldest] = book.unexpected;
      if (oldest === undefined) return;
      this.forget(oldest);
    }
  }

  #tokenChanged(entry: TokenEntry): void {
    this.#changes.push({ of: 'token', merchant: entry.token.merchant, id: entry.token.id, entry });
  }

  #expectationChanged(entry: ExpectationEntry): void {
    this.#changes.push({ of: 'expectation', merchant: entry.merchant, id: entry.id, entry });
  }

  #book(merchant: string): MerchantBook {
    let book = this.#merchants.get(merchant);
    if (book === undefined) {
      book = new MerchantBook();
      this.#merchants.set(merchant, book);
    }
    return book;
  }
}
