/**
 * Replicates expectations to the shared store, and keeps copies of those that it has. An
 * expectation is pending while the shared store lacks it, or lacks its cancellation.
 */
import type { Expectation } from '../contract.ts';
import type { DurableLedger } from '../embedded/durable-ledger.ts';
import type { Change, ExpectationEntry, Replication } from '../embedded/records.ts';
import type { MergedExpectations } from './shared-store.ts';

/** An expectation that is being sent. `sent`: its state at that time. */
export interface FencedExpectation {
  entry: ExpectationEntry;
  sent: ExpectationEntry;
  wasLocal: boolean;
}

export class ExpectationReplication {
  readonly #durable: DurableLedger;
  readonly #pending = new Set<ExpectationEntry>();

  constructor(durable: DurableLedger) {
    this.#durable = durable;
  }

  /** Adds the pending expectations among records from disk. */
  load(records: Iterable<Change>): void {
    for (const { of, merchant, id } of records) {
      const entry = of === 'expectation' ? this.#find(merchant, id) : undefined;
      if (entry !== undefined && entry.replication !== 'replicated') this.#pending.add(entry);
    }
  }

  isPending(merchant: string, id: string): boolean {
    const entry = this.#find(merchant, id);
    return entry !== undefined && this.#pending.has(entry);
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  pending(merchant: string): ExpectationEntry[] {
    return [...this.#pending].filter((entry) => entry.merchant === merchant);
  }

  /** All expectations of a merchant with the copies, oldest first. */
  all(merchant: string): ExpectationEntry[] {
    const all = [...this.#durable.ledger.expectations.entries()].filter((entry) => entry.merchant === merchant);
    return all.sort((a, b) => a.openedAt - b.openedAt);
  }

  /** Stores an expectation. Returns when it ends. */
  async keep(expectation: Expectation, announcedAt: number, replication: Replication): Promise<number> {
    const { ledger, disk } = this.#durable;
    const entry = ledger.expectations.open(expectation, announcedAt, replication);
    if (replication !== 'replicated') this.#pending.add(entry);
    await disk.commit();
    return entry.expiresAt;
  }

  /**
   * Marks an open expectation as pending before its local cancellation: the shared store does not
   * have it.
   */
  cancelling(merchant: string, id: string): void {
    const entry = this.#find(merchant, id);
    if (entry !== undefined && entry.expiresAt > this.#durable.now()) this.#pending.add(entry);
  }

  /** Stores a cancellation that the shared store confirmed. */
  async keepCancelled(cancelled: ExpectationEntry): Promise<void> {
    const { ledger, disk } = this.#durable;
    const { merchant, id, cancelledAt } = cancelled;
    const entry = this.#find(merchant, id);
    if (entry === undefined) ledger.expectations.add(cancelled);
    if (cancelledAt !== undefined) ledger.expectations.update(entry ?? cancelled, { cancelledAt });
    await disk.commit();
  }

  /** Records a cancellation in the shared store. */
  cancelled(merchant: string, id: string, cancelledAt: number): void {
    const { ledger, disk } = this.#durable;
    const entry = this.#find(merchant, id);
    if (entry === undefined || entry.cancelledAt !== undefined) return;
    ledger.expectations.update(entry, { cancelledAt });
    disk.commitLater();
  }

  /** Fences expectations: from now on, only the shared store can fill them. */
  async fence(entries: readonly ExpectationEntry[]): Promise<FencedExpectation[]> {
    const { ledger, disk } = this.#durable;
    const fenced = entries.map((entry) => ({ entry, sent: { ...entry }, wasLocal: entry.replication === 'local' }));
    const wereLocal = fenced.filter(({ wasLocal }) => wasLocal);
    for (const { entry } of wereLocal) ledger.expectations.update(entry, { replication: 'in_doubt' });
    if (wereLocal.length > 0) await disk.commit();
    return fenced;
  }

  /** Reverts a fence: the shared store certainly did not receive the expectations. */
  unfence(fenced: readonly FencedExpectation[]): void {
    const { ledger, disk } = this.#durable;
    for (const { entry, wasLocal } of fenced) {
      if (wasLocal) ledger.expectations.update(entry, { replication: 'local' });
    }
    disk.commitSoon();
  }

  /**
   * Records that the shared store has them. An expectation that changed after the send stays
   * pending.
   */
  merged(merchant: string, fenced: readonly FencedExpectation[], { cancelled }: MergedExpectations): void {
    const { ledger, disk } = this.#durable;
    for (const { entry, sent } of fenced) {
      if (entry.cancelledAt !== sent.cancelledAt || entry.token !== sent.token) continue;
      const wasPending = this.#pending.delete(entry);
      if (wasPending || entry.replication !== 'replicated')
        ledger.expectations.update(entry, { replication: 'replicated' });
    }
    for (const { id, cancelledAt } of cancelled) this.cancelled(merchant, id, cancelledAt);
    disk.commitSoon();
  }

  sweep(): void {
    for (const entry of this.#pending) if (!this.#find(entry.merchant, entry.id)) this.#pending.delete(entry);
  }

  #find(merchant: string, id: string): ExpectationEntry | undefined {
    return this.#durable.ledger.expectations.get(merchant, id);
  }
}
