/** Changes in memory that are not on disk yet. */
import type { Change, ClaimEntry, ExpectationEntry, TokenEntry } from './records.ts';

export class ChangeSet {
  /** Oldest first. */
  #changes: Change[] = [];

  get any(): boolean {
    return this.#changes.length > 0;
  }

  token(entry: TokenEntry): void {
    this.#changes.push({ of: 'token', merchant: entry.token.merchant, id: entry.token.id, entry });
  }

  claim(entry: ClaimEntry): void {
    this.#changes.push({ of: 'claim', merchant: entry.merchant, id: entry.id, entry });
  }

  expectation(entry: ExpectationEntry): void {
    this.#changes.push({ of: 'expectation', merchant: entry.merchant, id: entry.id, entry });
  }

  gone(of: Change['of'], merchant: string, id: string): void {
    this.#changes.push({ of, merchant, id });
  }

  /** Returns the changes since the last call. */
  take(): Change[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }
}
