/** Tokens that the shared store does not have yet, by merchant, in order of arrival. */
import type { TokenEntry } from '../embedded/records.ts';

export class PendingTokens {
  readonly #entries = new Map<string, Set<TokenEntry>>();

  add(entry: TokenEntry): void {
    const { merchant } = entry.token;
    const entries = this.#entries.get(merchant) ?? new Set();
    this.#entries.set(merchant, entries.add(entry));
  }

  delete(entry: TokenEntry): void {
    const entries = this.#entries.get(entry.token.merchant);
    entries?.delete(entry);
    if (entries?.size === 0) this.#entries.delete(entry.token.merchant);
  }

  has(entry: TokenEntry): boolean {
    return this.#entries.get(entry.token.merchant)?.has(entry) === true;
  }

  hasAny(merchant: string): boolean {
    return this.#entries.has(merchant);
  }

  of(merchant: string): Iterable<TokenEntry> {
    return this.#entries.get(merchant) ?? [];
  }

  *all(): Iterable<TokenEntry> {
    for (const entries of this.#entries.values()) yield* entries;
  }

  get count(): number {
    let count = 0;
    for (const entries of this.#entries.values()) count += entries.size;
    return count;
  }

  /** Arrival of the oldest token, in ms since 1970; undefined without one. */
  get since(): number | undefined {
    let since: number | undefined;
    for (const [first] of this.#entries.values()) {
      const at = first?.token.receivedAt;
      if (at !== undefined && (since === undefined || at < since)) since = at;
    }
    return since;
  }

  /** Drops expired tokens. */
  sweep(now: number): void {
    for (const entries of this.#entries.values()) {
      // All tokens have the same lifetime: the tokens behind a live one are live, too.
      for (const entry of entries) {
        if (entry.token.expiresAt > now) break;
        this.delete(entry);
      }
    }
  }
}
