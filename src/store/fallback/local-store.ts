/**
 * The local half of the fallback store: one ledger on the local disk. It has the tokens and
 * expectations that the shared store did not accept, and copies of those that it has. Each part
 * follows one of these. Decisions that need several parts are made here.
 */
import type { Claim, TokenQuery } from '../../token.ts';
import type { ClaimAnswer, ClaimRequest, ReadAnswer, SettleAnswer, StoreEvents, StoreHealth } from '../contract.ts';
import { DurableLedger, type DurableLedgerOptions } from '../embedded/durable-ledger.ts';
import { EmbeddedStore } from '../embedded/embedded-store.ts';
import { type Change, holderOf } from '../embedded/records.ts';
import { Copies } from './copies.ts';
import { Doubts } from './doubts.ts';
import { ExpectationReplication } from './expectation-replication.ts';
import { instanceName } from './instance-name.ts';
import type { TokenChange } from './shared-store.ts';
import { TokenReplication } from './token-replication.ts';

export type LocalOptions = Pick<DurableLedgerOptions, 'directory' | 'ttlMs' | 'accept' | 'maxUnexpected' | 'openable'>;

export class LocalStore {
  readonly tokens: TokenReplication;
  readonly copies: Copies;
  readonly expectations: ExpectationReplication;
  /** Claim ids whose tokens only the shared store knows. */
  readonly doubts: Doubts;
  /** True with `ACCEPT=expected`: then the shared store has the final verdict on a token. */
  readonly isStrict: boolean;
  readonly #durable: DurableLedger;
  /** Decides about the tokens that only this instance has. */
  readonly #embedded: EmbeddedStore;
  readonly #nameFile: string;
  #name: string | undefined;
  #onLoaded: () => void = () => {};

  constructor(options: LocalOptions) {
    const { accept, ttlMs, directory } = options;
    this.isStrict = accept === 'expected';
    this.#durable = new DurableLedger({
      ...options,
      unmatched: 'deferred',
      // An ended expectation may still admit a token whose verdict is deferred.
      expectationRetentionMs: this.isStrict ? ttlMs : 0,
      onRestored: (records) => {
        this.#load(records);
        this.#onLoaded();
      },
      onSwept: (now) => {
        this.tokens.sweep(now);
        this.expectations.sweep();
        this.doubts.sweep();
      },
    });
    this.#embedded = new EmbeddedStore(this.#durable);
    this.tokens = new TokenReplication(this.#durable, ttlMs);
    this.copies = new Copies(this.#durable);
    this.expectations = new ExpectationReplication(this.#durable);
    this.doubts = new Doubts(ttlMs);
    this.#nameFile = `${directory}.instance`;
  }

  /**
   * @param onLoaded called when the disk becomes readable after the start: more records may be
   *   pending then
   */
  async open(events: StoreEvents, onLoaded: () => void): Promise<void> {
    await this.#embedded.open(events);
    this.#load([...this.#durable.ledger.everything()]);
    this.#onLoaded = onLoaded;
  }

  #load(records: readonly Change[]): void {
    this.tokens.load(records);
    this.expectations.load(records);
  }

  /**
   * The name of this instance among those that share a store. It is on the disk, and survives a
   * restart.
   */
  get name(): string {
    this.#name ??= instanceName(this.#nameFile);
    return this.#name;
  }

  /** Whole milliseconds since 1970, by the clock of this store. */
  now(): number {
    return this.#durable.now();
  }

  /** Resolves when all changes so far are on disk. */
  written(): Promise<void> {
    return this.#durable.disk.commit();
  }

  read(query: TokenQuery): Promise<ReadAnswer> {
    return this.#embedded.read(query);
  }

  /** While the claim id is in doubt, it gets only a local token that it already holds. */
  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    if (!this.doubts.has(request.merchant, request.claimId)) return this.#embedded.claim(request);
    const answer = await this.#embedded.claim({ ...request, query: undefined });
    return answer.state === 'held' ? answer : { state: 'none', elsewhere: true };
  }

  settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    return this.#embedded.settle(merchant, claimId, how);
  }

  undo(merchant: string, claim: Claim): Promise<boolean> {
    return this.#embedded.undo(merchant, claim);
  }

  use(merchant: string, id: string): Promise<SettleAnswer> {
    return this.#embedded.use(merchant, id);
  }

  /** Cancels an expectation that the shared store does not know, or lost. */
  cancel(merchant: string, id: string): Promise<'done' | 'unknown'> {
    this.expectations.cancelling(merchant, id);
    return this.#embedded.cancel(merchant, id);
  }

  /**
   * Returns whether a settle can be decided here: only this instance has the token, and the claim
   * still holds it or released it. After its lease, the claim may have taken another token through
   * another instance.
   */
  decides(merchant: string, claimId: string, how: 'use' | 'release'): boolean {
    const taken = this.#durable.ledger.findClaim(merchant, claimId);
    if (taken?.entry.replication !== 'local' || this.doubts.has(merchant, claimId)) return false;
    const { entry, claim } = taken;
    return holderOf(entry, this.now())?.id === claimId || (claim.released && how === 'release');
  }

  /** Returns whether the shared store lacks the token that a claim took last. */
  isClaimPending(merchant: string, claimId: string): boolean {
    const taken = this.#durable.ledger.findClaim(merchant, claimId);
    return taken !== undefined && this.tokens.isPending(merchant, taken.claim.token);
  }

  /** Returns whether this instance has a record of the token that a claim took last. */
  knowsClaim(merchant: string, claimId: string): boolean {
    const taken = this.#durable.ledger.findClaim(merchant, claimId);
    return taken !== undefined && this.knowsToken(merchant, taken.claim.token);
  }

  knowsToken(merchant: string, id: string): boolean {
    const entry = this.#durable.ledger.get(merchant, id);
    return entry !== undefined && entry.state !== 'unexpected' && entry.token.expiresAt > this.now();
  }

  /** Follows a change in the shared store, through any instance. */
  changed(change: TokenChange): void {
    if (change.what === 'cancelled') this.expectations.cancelled(change.merchant, change.id, this.now());
    else this.copies.changed(change);
  }

  /** Number of tokens and expectations that the shared store lacks. */
  get pendingCount(): number {
    return this.tokens.pendingCount + this.expectations.pendingCount;
  }

  /** Number of tokens on the local disk. */
  get journaledCount(): number {
    return this.#durable.ledger.count;
  }

  health(): StoreHealth {
    return this.#embedded.health();
  }

  close(): Promise<void> {
    return this.#embedded.close();
  }
}
