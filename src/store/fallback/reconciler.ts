/**
 * Reconciles the local and the shared store of one failure domain, in this order:
 *
 * - Expectations: they decide which tokens are admitted.
 * - Certain records: tokens that only this instance has, and tokens that are used or held.
 * - When the other instances have sent theirs, the rest: tokens in doubt, and copies of tokens that
 *   the shared store may have lost.
 *
 * The reason for the order: docs/adr/0035.
 */
import { StoreAway } from '../contract.ts';
import type { ExpectationEntry } from '../embedded/records.ts';
import type { LocalStore } from './local-store.ts';
import type { Membership } from './membership.ts';
import type { SharedStore } from './shared-store.ts';

/** Records in a call. A call of this size occupies Redis for about a millisecond. */
const BATCH = 100;
const PROGRESS_EVERY_MS = 1000;
const RETRY_AFTER_MS = 500;

export interface ReconcilerOptions {
  merchants: readonly string[];
  members: ReadonlyMap<string, Membership>;
  shared: SharedStore;
  local: LocalStore;
  isAway(): boolean;
  /** Called with a failure of the shared store, or with a bug. */
  onFailure(error: unknown): void;
  /** Called when the uses and claims of all running instances are in the shared store. */
  onAsserted(): void;
  onProgress(what: 'merge' | 'restore', done: number, left: number): void;
  /** Called with the number of refused tokens that are live now: their expectation came later. */
  onAdmitted(count: number): void;
  onDone(): void;
}

/** Pending until this instance and the others have asserted their uses and claims. */
class Assertion {
  end: () => void = () => {};
  readonly done = new Promise<void>((resolve) => {
    this.end = resolve;
  });
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  #running: Promise<void> | undefined;
  #assertion: Assertion | undefined;
  #again = false;
  #isAnnouncing = false;
  #stopped = false;
  #reportedAt = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Starts a reconciliation. A running one starts again from the beginning. */
  restore(): void {
    this.#again = true;
    this.#isAnnouncing = true;
    this.#assertion ??= new Assertion();
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      this.#asserted();
    });
  }

  /** Resolves when all known uses and claims are in the shared store. Undefined when they are. */
  get assertion(): Promise<void> | undefined {
    return this.#assertion?.done;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** True while the shared store may lack expectations that this instance has. */
  get isAnnouncing(): boolean {
    return this.#isAnnouncing;
  }

  /** Resolves when no reconciliation is pending. */
  async idle(): Promise<void> {
    await this.#running;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    const { merchants, members, isAway, onFailure, onAsserted, onDone } = this.#options;
    while (this.#again && !isAway() && !this.#stopped) {
      this.#again = false;
      try {
        await this.#mergeExpectations(false);
        await Promise.all(merchants.map((merchant) => members.get(merchant)?.look()));
        for (const merchant of merchants) {
          await this.#settleDoubts(merchant);
          await this.#mergePending(merchant, 'certain');
          await this.#restoreCopies(merchant, 'certain');
        }
        await Promise.all(
          merchants.map((merchant) => members.get(merchant)?.asserted(this.#options.local.copies.hasAny(merchant))),
        );
        if (this.#again) continue;
        this.#asserted();
        onAsserted();
        // Only now does the shared store have all cancellations. A cancelled expectation admits no
        // token.
        if (this.#options.local.isStrict) await this.#mergeExpectations(true);
        if (!this.#again) this.#isAnnouncing = false;
        for (const merchant of merchants) {
          await this.#mergePending(merchant, 'all');
          await this.#restoreCopies(merchant, 'rest');
        }
        onDone();
      } catch (error) {
        if (this.#stopped) return;
        this.#again = true;
        onFailure(error);
        // The breaker calls `restore` when the store is back. After a bug it stays closed: retry
        // slowly.
        await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
      }
    }
  }

  async #mergeExpectations(reconsiders: boolean): Promise<void> {
    const { merchants, shared, local } = this.#options;
    for (const merchant of merchants) {
      let left = local.expectations.all(merchant);
      if (left.length === 0) continue;
      const ahead = await shared.clockAhead(merchant, () => local.now());
      // An expectation that is cancelled during the send stays pending.
      for (; left.length > 0; left = local.expectations.pending(merchant)) {
        for (let at = 0; at < left.length; at += BATCH) {
          await this.#mergeBatch(merchant, left.slice(at, at + BATCH), ahead, reconsiders);
        }
      }
    }
  }

  async #mergeBatch(
    merchant: string,
    batch: readonly ExpectationEntry[],
    ahead: number,
    reconsiders: boolean,
  ): Promise<void> {
    const { shared, local, onAdmitted } = this.#options;
    const fenced = await local.expectations.fence(batch);
    try {
      const sent = fenced.map((expectation) => expectation.sent);
      const merged = await shared.mergeExpectations(merchant, sent, ahead, reconsiders);
      local.expectations.merged(merchant, fenced, merged);
      if (merged.admitted > 0) onAdmitted(merged.admitted);
    } catch (error) {
      if (error instanceof StoreAway && error.unseen) local.expectations.unfence(fenced);
      throw error;
    }
  }

  #asserted(): void {
    this.#assertion?.end();
    this.#assertion = undefined;
  }

  async #mergePending(merchant: string, which: 'certain' | 'all'): Promise<void> {
    const { shared, local } = this.#options;
    let done = 0;
    for (;;) {
      const fenced = await local.tokens.fence(merchant, which, BATCH);
      if (fenced.tokens.length === 0) return;
      try {
        const guard = which === 'all' ? local.name : undefined;
        local.tokens.merged(fenced.tokens, await shared.merge(merchant, fenced.tokens, local.now(), guard));
      } catch (error) {
        if (error instanceof StoreAway && error.unseen) local.tokens.unfence(fenced);
        throw error;
      }
      done += fenced.tokens.length;
      this.#report('merge', done, local.pendingCount);
    }
  }

  /** Puts back the tokens that calls without an answer may have taken. */
  async #settleDoubts(merchant: string): Promise<void> {
    const { shared, local } = this.#options;
    for (const doubt of local.doubts.unansweredOf(merchant)) {
      await shared.revoke(merchant, [doubt]);
      for (const call of doubt.calls) local.doubts.ended(merchant, doubt.claimId, call, 'unseen');
    }
  }

  async #restoreCopies(merchant: string, which: 'certain' | 'rest'): Promise<void> {
    const { shared, local } = this.#options;
    const copies = local.copies.of(merchant, which);
    for (let at = 0; at < copies.length; at += BATCH) {
      const batch = copies.slice(at, at + BATCH);
      const guard = which === 'rest' ? local.name : undefined;
      local.tokens.merged(batch, await shared.merge(merchant, batch, local.now(), guard));
      this.#report('restore', at + batch.length, copies.length - at - batch.length);
    }
  }

  #report(what: 'merge' | 'restore', done: number, left: number): void {
    const now = performance.now();
    if (left > 0 && now - this.#reportedAt < PROGRESS_EVERY_MS) return;
    this.#reportedAt = now;
    this.#options.onProgress(what, done, left);
  }
}
