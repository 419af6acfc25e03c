/**
 * Brings the local and the shared store together, for what fails together: first the expectations, by which tokens are
 * judged; then the tokens that the shared store never took, in the order in which they came; then the copies of those
 * that it did take and may have lost.
 */
import { StoreAway } from '../contract.ts';
import type { ExpectationEntry } from '../embedded/records.ts';
import type { LocalStore } from './local-store.ts';
import type { MergedToken, SharedStore } from './shared-store.ts';

/** One call's worth: it keeps the shared store from others for about a millisecond. */
const BATCH = 100;
const PROGRESS_EVERY_MS = 1000;
const RETRY_AFTER_MS = 500;

export interface ReconcilerOptions {
  merchants: readonly string[];
  shared: SharedStore;
  local: LocalStore;
  isAway(): boolean;
  /** Called when the shared store failed, or with a bug. */
  onFailure(error: unknown): void;
  onProgress(what: 'merge' | 'restore', done: number, left: number): void;
  /** So many tokens that were refused are live now, because their expectation came later. */
  onAdmitted(count: number): void;
  onDone(): void;
}

export class Reconciler {
  readonly #options: ReconcilerOptions;
  #running: Promise<void> | undefined;
  #again = false;
  #isAnnouncing = false;
  #stopped = false;
  #toldAt = 0;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** Begins, or begins again when it is under way. */
  restore(): void {
    this.#again = true;
    this.#isAnnouncing = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** True while the shared store may lack expectations that are known here. */
  get isAnnouncing(): boolean {
    return this.#isAnnouncing;
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    const { isAway, onFailure, onDone } = this.#options;
    while (this.#again && !isAway() && !this.#stopped) {
      this.#again = false;
      try {
        await this.#mergeExpectations();
        if (!this.#again) this.#isAnnouncing = false;
        await this.#mergePending();
        await this.#restoreCopies();
        onDone();
      } catch (error) {
        if (this.#stopped) return;
        this.#again = true;
        onFailure(error);
        // The breaker calls again when the store is back. Should it never have opened, nothing is retried in a hurry.
        await new Promise((resolve) => setTimeout(resolve, RETRY_AFTER_MS));
      }
    }
  }

  async #mergeExpectations(): Promise<void> {
    const { merchants, shared, local } = this.#options;
    for (const merchant of merchants) {
      let left = local.expectations(merchant);
      if (left.length === 0) continue;
      const ahead = await shared.clockAhead(merchant, () => local.now());
      // Some may be cancelled while they are sent.
      for (; left.length > 0; left = local.pendingExpectations(merchant)) {
        for (let at = 0; at < left.length; at += BATCH) {
          await this.#mergeBatch(merchant, left.slice(at, at + BATCH), ahead);
        }
      }
    }
  }

  async #mergeBatch(merchant: string, batch: readonly ExpectationEntry[], ahead: number): Promise<void> {
    const { shared, local, onAdmitted } = this.#options;
    const fenced = await local.fenceExpectations(batch);
    try {
      const admitted = await shared.mergeExpectations(
        merchant,
        fenced.map(({ sent }) => sent),
        ahead,
      );
      local.expectationsMerged(fenced);
      if (admitted > 0) onAdmitted(admitted);
    } catch (error) {
      if (error instanceof StoreAway && error.unseen) local.unfenceExpectations(fenced);
      throw error;
    }
  }

  async #mergePending(): Promise<number> {
    const { merchants, shared, local } = this.#options;
    let done = 0;
    for (const merchant of merchants) {
      while (local.hasPending(merchant)) {
        const fenced = await local.fence(merchant, BATCH);
        if (fenced.tokens.length === 0) continue;
        try {
          local.merged(fenced.tokens, await shared.merge(merchant, fenced.tokens, Date.now()));
        } catch (error) {
          if (error instanceof StoreAway && error.unseen) local.unfence(fenced);
          throw error;
        }
        done += fenced.tokens.length;
        this.#tell('merge', done, local.pendingCount);
      }
    }
    return done;
  }

  async #restoreCopies(): Promise<number> {
    const { merchants, shared, local } = this.#options;
    let done = 0;
    for (const merchant of merchants) {
      const copies = local.copies(merchant);
      for (let at = 0; at < copies.length; at += BATCH) {
        const batch: MergedToken[] = copies
          .slice(at, at + BATCH)
          .filter(({ entry }) => entry.token.expiresAt > Date.now());
        local.merged(batch, await shared.merge(merchant, batch, Date.now()));
        done += batch.length;
        this.#tell('restore', done, copies.length - at - batch.length);
      }
    }
    return done;
  }

  #tell(what: 'merge' | 'restore', done: number, left: number): void {
    const now = performance.now();
    if (left > 0 && now - this.#toldAt < PROGRESS_EVERY_MS) return;
    this.#toldAt = now;
    this.#options.onProgress(what, done, left);
  }
}
