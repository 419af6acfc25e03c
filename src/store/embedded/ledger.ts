/**
 * Makes every decision of the embedded store, in memory: who gets a token, who holds it, what is
 * used. Callers pass the time, and write `changes` to disk. Only the ledger accesses claims and
 * indexes: a token, its claim and its place in the indexes change together. Expectations have their
 * own records, so callers may use them directly.
 */
import { type Claim, type NewToken, type TokenQuery, topicsOf } from '../../token.ts';
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
import { Claims, type TakenToken } from './claims.ts';
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
  /** Lifetime of a token, in ms. */
  ttlMs: number;
  /** `expected`: a token is live only if it fills an open expectation. */
  accept: 'any' | 'expected';
  /**
   * State of a token that fills none. `deferred`: a shared store decides later. Default
   * `unexpected`.
   */
  unmatched?: 'unexpected' | 'deferred';
  /** Limit of unexpected tokens for each merchant; the oldest are evicted. */
  maxUnexpected: number;
  /** How long an expectation is kept after its end, in ms. Default 0. */
  expectationRetentionMs?: number;
}

/** What a shared store may report about a token. */
export type TokenUpdate = Partial<Pick<TokenEntry, 'replication' | 'state' | 'claim' | 'deliveries' | 'seen' | 'ends'>>;

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #merchants = new Map<string, TokenIndex>();
  readonly #byExpiry = new ExpiryQueue();
  readonly #claims: Claims;
  readonly expectations: Expectations;
  readonly changes = new ChangeSet();
  /** Orphans since the last sweep. The next one reports them. */
  #orphans: Expiry[] = [];

  constructor(options: LedgerOptions) {
    this.#options = options;
    this.#claims = new Claims((merchant) => this.#indexOf(merchant), this.changes);
    this.expectations = new Expectations(this.changes, options.expectationRetentionMs ?? 0);
  }

  /** @param replication `in_doubt` postpones the verdict under `accept: 'expected'` */
  put(token: NewToken, now: number, replication: Replication = 'local'): PutAnswer {
    const index = this.#indexOf(token.merchant);
    const before = index.tokens.get(token.id);
    if (before !== undefined && before.token.expiresAt > now) return 'known';
    if (before !== undefined) this.#expire(before);

    const { accept, unmatched = 'unexpected', ttlMs } = this.#options;
    // A shared store judges the tokens that it receives.
    const isExpected = (accept === 'any' || replication === 'local') && this.isExpected(token, now);
    const state = accept === 'any' || isExpected ? 'live' : unmatched;

    index.lastOrder = Math.max(index.lastOrder + 1, now * 1000);
    const entry: TokenEntry = {
      token: recordOf(token, now, now + ttlMs),
      state,
      replication,
      order: index.lastOrder,
      deliveries: 0,
      seen: false,
    };
    this.add(entry);
    // A token in doubt is written with its outcome, once.
    if (replication === 'local') this.changes.token(entry);
    if (state === 'unexpected') this.#boundUnexpected(index);
    return state === 'live' ? 'kept' : state;
  }

  /** Fills the expectations that a token matched at its arrival. Returns whether there was one. */
  isExpected(token: NewToken, arrivedAt: number): boolean {
    const { merchant, kind, id } = token;
    const filled = topicsOf(token).map((topic) => this.expectations.fill(merchant, topic, kind, id, arrivedAt));
    return filled.some((expectation) => expectation !== undefined);
  }

  read(query: TokenQuery, now: number): ReadAnswer {
    const { live, used, distinct, unknownKey } = this.#indexOf(query.merchant).find(query, now);
    if (live === undefined) return this.#absent(query, used, unknownKey, now);
    if (!live.seen) {
      live.seen = true;
      this.changes.token(live);
    }
    return { state: 'live', token: live.token, distinct, claim: holderOf(live, now), unknownKey };
  }

  claim(request: ClaimRequest, now: number): ClaimAnswer {
    const held = this.#claims.renew(request, now);
    if (held !== undefined) return held;
    const { query } = request;
    if (this.#claims.isElsewhere(request, now)) return { state: 'none', elsewhere: true };
    if (query === undefined) return { state: 'none' };
    if (query.by === 'pool') return this.#claims.takeFromPool(query.kind, request, now);

    const { live, used, distinct, unknownKey } = this.#indexOf(query.merchant).find(query, now);
    if (live === undefined) return this.#absent(query, used, unknownKey, now);
    if (live.replication !== 'local') return { state: 'none' };
    if (distinct > 1 && request.refuseConflict) return { state: 'conflict', distinct };
    const holder = holderOf(live, now);
    if (holder !== null) return { state: 'claimed', claim: holder, retryInMs: holder.leaseExpiresAt - now };
    return { ...this.#claims.take(live, request, now), distinct, unknownKey };
  }

  /**
   * A live token with an unknown key is for other instances: then the answer is not `used` or
   * `cancelled`.
   */
  #absent(query: TokenQuery, used: boolean, unknownKey: string | undefined, now: number): ReadAnswer & ClaimAnswer {
    return unknownKey === undefined ? this.expectations.absent(query, used, now) : { state: 'none', unknownKey };
  }

  /** @returns `topics`: the token is free again under them */
  settle(
    merchant: string,
    claimId: string,
    how: 'use' | 'release',
    now: number,
  ): { answer: SettleAnswer; topics: string[] } {
    const answer = this.#claims.settle(merchant, claimId, how, now);
    const freed = answer === 'done' && how === 'release' ? this.findClaim(merchant, claimId) : undefined;
    return { answer, topics: freed === undefined ? [] : topicsOf(freed.entry.token) };
  }

  /** @returns the topics under which the token is free again; none when nothing was undone */
  undo(merchant: string, claim: Claim, now: number): string[] {
    return this.#claims.undo(merchant, claim, now);
  }

  use(merchant: string, id: string, now: number): SettleAnswer {
    const entry = this.get(merchant, id);
    if (entry === undefined || entry.token.expiresAt <= now || entry.state === 'unexpected') return 'unknown';
    return entry.replication === 'local' ? this.#claims.markUsed(entry) : 'away';
  }

  /** Applies a report of a shared store. Does nothing if the token was removed since. */
  update(entry: TokenEntry, update: TokenUpdate): void {
    const index = this.#indexOf(entry.token.merchant);
    if (index.tokens.get(entry.token.id) !== entry) return;
    Object.assign(entry, update);
    const isRefused = entry.state === 'unexpected';
    if (index.unexpected.has(entry) !== isRefused) index.move(entry);
    else if (!isRefused) index.update(entry);
    this.changes.token(entry);
    this.#boundUnexpected(index);
  }

  /**
   * Records that a shared store gave the token to the claim in `update`. It is now the last token
   * of that claim.
   */
  updateClaimed(entry: TokenEntry, update: TokenUpdate & { claim: Claim }): void {
    this.update(entry, update);
    const { id, taken } = update.claim;
    const { merchant, id: token } = entry.token;
    this.#claims.record({ merchant, id, token, released: false, ...(taken === undefined ? {} : { taken }) });
  }

  /** Records that a shared store put the token back. */
  putBack({ claim, entry }: TakenToken): void {
    this.#claims.putBack(entry, claim);
  }

  /** Adds a token that needs no write. */
  add(entry: TokenEntry): void {
    this.#indexOf(entry.token.merchant).add(entry);
    this.#byExpiry.push(entry);
  }

  forget(entry: TokenEntry): void {
    const { merchant, id } = entry.token;
    const claims = this.#indexOf(merchant).remove(entry);
    this.changes.gone('token', merchant, id);
    for (const claim of claims) this.changes.gone('claim', merchant, claim);
    this.#byExpiry.compact(this.count, () => [...this.tokens()]);
  }

  get(merchant: string, id: string): TokenEntry | undefined {
    return this.#indexOf(merchant).tokens.get(id);
  }

  /** Returns a claim and the last token that it took. */
  findClaim(merchant: string, claimId: string): TakenToken | undefined {
    return this.#claims.find(merchant, claimId);
  }

  /**
   * Returns the last claim of a token, and its earlier claims. Leaves out claims that took another
   * token since.
   */
  claimsOf(entry: TokenEntry): { claimEntry: ClaimEntry | undefined; formerClaims: ClaimEntry[] } {
    const claims = this.#indexOf(entry.token.merchant).claimsOf(entry.token.id);
    return {
      claimEntry: claims.find(({ id }) => id === entry.claim?.id),
      formerClaims: claims.filter(({ id }) => id !== entry.claim?.id),
    };
  }

  *tokens(): Iterable<TokenEntry> {
    for (const index of this.#merchants.values()) yield* index.tokens.values();
  }

  tokensOf(merchant: string): Iterable<TokenEntry> {
    return this.#indexOf(merchant).tokens.values();
  }

  /** Number of tokens. */
  get count(): number {
    let count = 0;
    for (const index of this.#merchants.values()) count += index.tokens.size;
    return count;
  }

  get isEmpty(): boolean {
    return this.everything()[Symbol.iterator]().next().done === true;
  }

  /** Yields all records, each as a change. */
  *everything(): Iterable<Change> {
    for (const [merchant, index] of this.#merchants) {
      for (const [id, entry] of index.tokens) yield { of: 'token', merchant, id, entry };
      for (const [id, entry] of index.claims) yield { of: 'claim', merchant, id, entry };
    }
    for (const entry of this.expectations.entries()) {
      yield { of: 'expectation', merchant: entry.merchant, id: entry.id, entry };
    }
  }

  sequence(merchant: string): number {
    return this.#merchants.get(merchant)?.sequence ?? 0;
  }

  /**
   * Returns a hint for a change under these topics, with the next number of the merchant's
   * sequence.
   */
  hint(merchant: string, topics: string[]): Hint {
    const index = this.#indexOf(merchant);
    index.sequence += 1;
    return { merchant, topics, sequence: index.sequence };
  }

  /**
   * Adds the records from disk. The ledger may already have newer ones, from before the disk was
   * readable.
   */
  restore(records: readonly Change[], now: number): void {
    for (const { of, entry } of records.toSorted(oldestFirst)) {
      if (entry === undefined) continue;
      // If the clock was set back while no process ran, no record may last longer than a new one.
      if (of === 'token') shiftToken(entry, Math.min(0, now - entry.token.receivedAt));
      if (of === 'expectation') shiftExpectation(entry, Math.min(0, now - entry.openedAt));
      if (of === 'token') {
        const since = this.get(entry.token.merchant, entry.token.id);
        if (since === undefined) this.add(entry);
        else this.#combine(since, entry);
      } else if (of === 'claim') {
        const index = this.#indexOf(entry.merchant);
        if (!index.claims.has(entry.id)) index.addClaim(entry);
      } else this.expectations.add(entry);
    }
  }

  /**
   * The more advanced state wins. If the two disagree about the shared store, the token is in
   * doubt.
   */
  #combine(since: TokenEntry, before: TokenEntry): void {
    if (before.deliveries > since.deliveries && before.claim !== undefined) {
      this.update(since, { claim: before.claim, deliveries: before.deliveries });
    }
    if (before.replication !== since.replication) this.update(since, { replication: 'in_doubt' });
    if (before.state === 'used') this.#claims.markUsed(since);
  }

  /** Moves all times by the step of the clock. */
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
    // Queues also hold removed entries, whose times did not move. Out of order, those would block
    // others.
    this.#byExpiry.reset([...this.tokens()]);
    for (const index of this.#merchants.values()) index.resetPools();
  }

  /** Removes expired records. Returns the orphans and no-shows. */
  sweep(now: number): Expiry[] {
    for (let entry = this.#byExpiry.popOver(now); entry; entry = this.#byExpiry.popOver(now)) {
      if (this.get(entry.token.merchant, entry.token.id) === entry) this.#expire(entry);
    }
    for (const index of this.#merchants.values()) for (const pool of index.pools.values()) pool.sweep(now);
    const orphans = this.#orphans;
    this.#orphans = [];
    return [...orphans, ...this.expectations.sweep(now)];
  }

  #expire(entry: TokenEntry): void {
    const { merchant, kind, id } = entry.token;
    const isUntouched = entry.state === 'live' && !entry.seen && entry.deliveries === 0;
    // The shared store reports its own orphans.
    if (isUntouched && entry.replication !== 'replicated') this.#orphans.push({ what: 'orphan', merchant, kind, id });
    this.forget(entry);
  }

  #boundUnexpected(index: TokenIndex): void {
    while (index.unexpected.size > this.#options.maxUnexpected) {
      const [oldest] = index.unexpected;
      if (oldest !== undefined) this.forget(oldest);
    }
  }

  #indexOf(merchant: string): TokenIndex {
    let index = this.#merchants.get(merchant);
    if (index === undefined) {
      index = new TokenIndex(this.#options.openable);
      this.#merchants.set(merchant, index);
    }
    return index;
  }
}

function oldestFirst(a: Change, b: Change): number {
  return ageOf(a) - ageOf(b);
}

/** Sorts records of the same type by age. The order of claims does not matter. */
function ageOf({ of, entry }: Change): number {
  return entry === undefined || of === 'claim' ? 0 : of === 'token' ? entry.order : entry.openedAt;
}
