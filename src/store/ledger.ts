/**
 * Every decision of the embedded store, in memory: what arrived, who holds it, what is used. Pure but for the clock that
 * is passed in; whatever a transition changed is collected in `changes`, for the embedded store to put on disk.
 */
import TinyQueue from 'tinyqueue';
import { KINDS, type Kind } from '../post.ts';
import { ExpectationBook, type ExpectationEntry } from './expectation-book.ts';
import { MerchantBook } from './merchant-book.ts';
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

/** What is kept of a token. */
export interface TokenEntry {
  token: TokenRecord;
  state: 'live' | 'used' | 'unexpected';
  /** Position among the merchant's tokens: later ones have a higher one. */
  order: number;
  /** The last claim that took it, also after its lease; none once it was released. */
  claim?: Claim;
  deliveries: number;
  /** True once it was given to anyone. */
  seen: boolean;
}

/** What is kept of a claim id: the token it took last. */
export interface ClaimEntry {
  merchant: string;
  id: string;
  token: string;
  released: boolean;
}

export type Change =
  | { of: 'token'; merchant: string; id: string; entry?: TokenEntry }
  | { of: 'claim'; merchant: string; id: string; entry?: ClaimEntry }
  | { of: 'expectation'; merchant: string; id: string; entry?: ExpectationEntry };

export interface LedgerOptions {
  ttlMs: number;
  /** `expected`: a token is live only if it fills an open expectation. */
  accept: 'any' | 'expected';
  /** How many unexpected tokens are remembered for each merchant; the oldest give way. */
  maxUnexpected: number;
}

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #merchants = new Map<string, MerchantBook>();
  readonly #expectations = new ExpectationBook();
  readonly #byExpiry = new TinyQueue<TokenEntry>([], (a, b) => a.token.expiresAt - b.token.expiresAt);
  #changes: Change[] = [];

  constructor(options: LedgerOptions) {
    this.#options = options;
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

  put(token: NewToken, now: number): PutAnswer {
    const book = this.#book(token.merchant);
    const before = book.tokens.get(token.id);
    if (before !== undefined && before.token.expiresAt > now) return 'known';
    if (before !== undefined) this.#forget(before);

    const filled = topicsOf(token)
      .map((topic) => this.#expectations.fill(token.merchant, topic, token.kind, token.id, now))
      .filter((entry) => entry !== undefined);
    for (const entry of filled) this.#expectationChanged(entry);
    const state = this.#options.accept === 'any' || filled.length > 0 ? 'live' : 'unexpected';

    book.lastOrder = Math.max(book.lastOrder + 1, now * 1000);
    const entry: TokenEntry = {
      token: { ...token, receivedAt: now, expiresAt: now + this.#options.ttlMs },
      state,
      order: book.lastOrder,
      deliveries: 0,
      seen: false,
    };
    this.#add(entry);
    this.#tokenChanged(entry);
    if (state === 'live') return 'kept';
    this.#boundUnexpected(book);
    return 'unexpected';
  }

  read(lead: Lead, now: number): ReadAnswer {
    const { live, used, distinct } = this.#find(lead, now);
    if (live === undefined) return this.#absent(lead, used, now);
    if (!live.seen) {
      live.seen = true;
      this.#tokenChanged(live);
    }
    return { state: 'live', token: live.token, distinct, claim: holderOf(live, now) };
  }

  claim({ merchant, claimId, leaseMs, lead, refuseConflict }: ClaimRequest, now: number): ClaimAnswer {
    const mine = this.#held(merchant, claimId, now);
    if (mine !== undefined) return this.#lease(mine, claimId, leaseMs, (mine.claim?.renewals ?? 0) + 1, now);
    if (lead === undefined) return { state: 'none' };
    if (lead.by === 'pool') return this.#claimFromPool(lead.kind, { merchant, claimId, leaseMs }, now);

    const { live, used, distinct } = this.#find(lead, now);
    if (live === undefined) return this.#absent(lead, used, now);
    if (distinct > 1 && refuseConflict) return { state: 'conflict', distinct };
    const holder = holderOf(live, now);
    if (holder !== null) return { state: 'claimed', claim: holder, retryInMs: holder.leaseExpiresAt - now };
    return { ...this.#take(live, claimId, leaseMs, now), distinct };
  }

  settle(merchant: string, claimId: string, how: 'use' | 'release', now: number): SettleAnswer {
    const claim = this.#book(merchant).claims.get(claimId);
    const entry = claim && this.#token(merchant, claim.token, now);
    if (claim === undefined || entry === undefined) return 'unknown';
    if (how === 'release') {
      if (claim.released) return 'done';
      if (entry.state === 'used') return 'used';
      if (entry.claim?.id !== claimId) return 'lease_lost';
      this.#putBack(entry, claim);
      return 'done';
    }
    if (claim.released || entry.claim?.id !== claimId) return 'lease_lost';
    return this.#markUsed(entry);
  }

  /** The topics under which the token is free again, if it is. */
  undo(merchant: string, claim: Claim): string[] {
    const taken = this.#book(merchant).claims.get(claim.id);
    const entry = taken && this.#book(merchant).tokens.get(taken.token);
    const last = entry?.claim;
    if (entry?.state !== 'live' || last?.id !== claim.id || last.deliveries !== claim.deliveries || last.renewals > 0) {
      return [];
    }
    entry.deliveries -= 1;
    this.#putBack(entry, taken as ClaimEntry);
    return topicsOf(entry.token);
  }

  use(merchant: string, id: string, now: number): SettleAnswer {
    const entry = this.#token(merchant, id, now);
    return entry === undefined || entry.state === 'unexpected' ? 'unknown' : this.#markUsed(entry);
  }

  expect(expectation: Expectation, now: number): number {
    const { ttlMs, ...what } = expectation;
    const entry: ExpectationEntry = { ...what, openedAt: now, expiresAt: now + ttlMs, cancelled: false };
    this.#expectations.add(entry);
    this.#expectationChanged(entry);
    return entry.expiresAt;
  }

  /** The topic whose waiters should hear of it, if it changed anything. */
  cancel(merchant: string, id: string, now: number): { answer: 'done' | 'unknown'; topic?: string } {
    const entry = this.#expectations.get(merchant, id);
    if (entry === undefined || entry.expiresAt <= now) return { answer: 'unknown' };
    if (entry.cancelled) return { answer: 'done' };
    this.#expectations.cancel(entry);
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
    const expiries: Expiry[] = [];
    for (let entry = this.#byExpiry.peek(); entry && entry.token.expiresAt <= now; entry = this.#byExpiry.peek()) {
      this.#byExpiry.pop();
      const { merchant, kind, id } = entry.token;
      if (this.#book(merchant).tokens.get(id) !== entry) continue;
      if (entry.state === 'live' && !entry.seen) expiries.push({ what: 'orphan', merchant, kind, id });
      this.#forget(entry);
    }
    for (const entry of this.#expectations.sweep(now)) {
      const { merchant, kind, id } = entry;
      if (!entry.cancelled && entry.token === undefined)
        expiries.push({ what: 'no_show', merchant, kind, expectation: id });
      this.#changes.push({ of: 'expectation', merchant, id });
    }
    return expiries;
  }

  #claimFromPool(
    kind: Kind,
    request: { merchant: string; claimId: string; leaseMs: number },
    now: number,
  ): ClaimAnswer {
    const pool = this.#book(request.merchant).pool(kind);
    for (let next = pool.leased.peek(); next && next.until <= now; next = pool.leased.peek()) {
      pool.leased.pop();
      if (next.entry.claim?.leaseExpiresAt === next.until) pool.free.push(next.entry);
    }
    for (let entry = pool.free.pop(); entry; entry = pool.free.pop()) {
      const free = entry.state === 'live' && entry.token.expiresAt > now && holderOf(entry, now) === null;
      if (free) return this.#take(entry, request.claimId, request.leaseMs, now);
    }
    const next = pool.leased.peek();
    return next === undefined ? { state: 'none' } : { state: 'none', retryInMs: next.until - now };
  }

  #take(entry: TokenEntry, claimId: string, leaseMs: number, now: number): ClaimAnswer & { state: 'held' } {
    const { merchant, id } = entry.token;
    entry.deliveries += 1;
    entry.seen = true;
    const claim: ClaimEntry = { merchant, id: claimId, token: id, released: false };
    this.#book(merchant).addClaim(claim);
    this.#claimChanged(claim);
    return this.#lease(entry, claimId, leaseMs, 0, now);
  }

  #lease(
    entry: TokenEntry,
    claimId: string,
    leaseMs: number,
    renewals: number,
    now: number,
  ): ClaimAnswer & { state: 'held' } {
    const leaseExpiresAt = Math.min(now + leaseMs, entry.token.expiresAt);
    entry.claim = { id: claimId, leaseExpiresAt, deliveries: entry.deliveries, renewals };
    if (entry.token.pooled) {
      this.#book(entry.token.merchant).pool(entry.token.kind).leased.push({ entry, until: leaseExpiresAt });
    }
    this.#tokenChanged(entry);
    return { state: 'held', token: entry.token, distinct: 1, claim: entry.claim };
  }

  #putBack(entry: TokenEntry, claim: ClaimEntry): void {
    claim.released = true;
    delete entry.claim;
    this.#offer(entry);
    this.#claimChanged(claim);
    this.#tokenChanged(entry);
  }

  #markUsed(entry: TokenEntry): SettleAnswer {
    if (entry.state === 'used') return 'done';
    entry.state = 'used';
    this.#tokenChanged(entry);
    return 'done';
  }

  /** The live token that a claim id holds now. */
  #held(merchant: string, claimId: string, now: number): TokenEntry | undefined {
    const claim = this.#book(merchant).claims.get(claimId);
    const entry = claim && this.#token(merchant, claim.token, now);
    return entry?.state === 'live' && holderOf(entry, now)?.id === claimId ? entry : undefined;
  }

  #find(lead: Lead, now: number): { live: TokenEntry | undefined; used: boolean; distinct: number } {
    let live: TokenEntry | undefined;
    let used = false;
    let distinct = 0;
    for (const entry of this.#book(lead.merchant).byTopic.get(topicOf(lead)) ?? []) {
      if (entry.token.expiresAt <= now || (lead.kind !== undefined && entry.token.kind !== lead.kind)) continue;
      if (entry.state === 'used') used = true;
      else {
        distinct += 1;
        if (live === undefined || entry.order > live.order) live = entry;
      }
    }
    return { live, used, distinct };
  }

  #absent(lead: Lead, used: boolean, now: number): { state: 'used' | 'cancelled' | 'none' } {
    const kinds = lead.kind === undefined ? KINDS : [lead.kind];
    if (this.#expectations.isCancelled(lead.merchant, topicOf(lead), kinds, now)) return { state: 'cancelled' };
    return { state: used ? 'used' : 'none' };
  }

  #token(merchant: string, id: string, now: number): TokenEntry | undefined {
    const entry = this.#book(merchant).tokens.get(id);
    return entry !== undefined && entry.token.expiresAt > now ? entry : undefined;
  }

  #add(entry: TokenEntry): void {
    const book = this.#book(entry.token.merchant);
    book.add(entry);
    this.#byExpiry.push(entry);
    this.#offer(entry);
  }

  /** Makes a pooled token claimable, now or when its lease ends. */
  #offer(entry: TokenEntry): void {
    if (!entry.token.pooled || entry.state !== 'live') return;
    const pool = this.#book(entry.token.merchant).pool(entry.token.kind);
    if (entry.claim === undefined) pool.free.push(entry);
    else pool.leased.push({ entry, until: entry.claim.leaseExpiresAt });
  }

  #forget(entry: TokenEntry): void {
    const { merchant, id } = entry.token;
    const claims = this.#book(merchant).remove(entry);
    this.#changes.push({ of: 'token', merchant, id });
    for (const claim of claims) this.#changes.push({ of: 'claim', merchant, id: claim });
  }

  #boundUnexpected(book: MerchantBook): void {
    while (book.unexpected.size > this.#options.maxUnexpected) {
      const [oldest] = book.unexpected;
      if (oldest === undefined) return;
      this.#forget(oldest);
    }
  }

  #tokenChanged(entry: TokenEntry): void {
    this.#changes.push({ of: 'token', merchant: entry.token.merchant, id: entry.token.id, entry });
  }

  #claimChanged(entry: ClaimEntry): void {
    this.#changes.push({ of: 'claim', merchant: entry.merchant, id: entry.id, entry });
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

/** The claim that holds a token now. */
function holderOf(entry: TokenEntry, now: number): Claim | null {
  return entry.claim !== undefined && entry.claim.leaseExpiresAt > now ? entry.claim : null;
}
