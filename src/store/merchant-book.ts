/** The indexes of one merchant's tokens, for the ledger: by id, by topic, by claim, and the pools. It decides nothing. */
import TinyQueue from 'tinyqueue';
import type { Kind } from '../post.ts';
import type { ClaimEntry, TokenEntry } from './ledger.ts';
import { topicsOf } from './store.ts';

/**
 * The tokens of a kind that came without a correlator. Entries are taken out lazily: whoever pops one checks that it is
 * still free, or still leased until then.
 */
export interface Pool {
  /** Oldest first. */
  free: TinyQueue<TokenEntry>;
  /** First to end first. */
  leased: TinyQueue<{ entry: TokenEntry; until: number }>;
}

export class MerchantBook {
  readonly tokens = new Map<string, TokenEntry>();
  readonly byTopic = new Map<string, Set<TokenEntry>>();
  readonly claims = new Map<string, ClaimEntry>();
  /** Oldest first. */
  readonly unexpected = new Set<TokenEntry>();
  lastOrder = 0;
  sequence = 0;
  readonly #pools = new Map<Kind, Pool>();
  readonly #claimsOf = new Map<string, Set<string>>();

  add(entry: TokenEntry): void {
    this.tokens.set(entry.token.id, entry);
    this.lastOrder = Math.max(this.lastOrder, entry.order);
    if (entry.state === 'unexpected') {
      this.unexpected.add(entry);
      return;
    }
    if (entry.token.pooled) return;
    for (const topic of topicsOf(entry.token)) {
      const entries = this.byTopic.get(topic);
      if (entries === undefined) this.byTopic.set(topic, new Set([entry]));
      else entries.add(entry);
    }
  }

  addClaim(claim: ClaimEntry): void {
    this.claims.set(claim.id, claim);
    const ids = this.#claimsOf.get(claim.token);
    if (ids === undefined) this.#claimsOf.set(claim.token, new Set([claim.id]));
    else ids.add(claim.id);
  }

  /** Forgets a token and the claims that took it last; answers their ids. */
  remove(entry: TokenEntry): string[] {
    const { id } = entry.token;
    this.tokens.delete(id);
    this.unexpected.delete(entry);
    for (const topic of topicsOf(entry.token)) {
      const entries = this.byTopic.get(topic);
      entries?.delete(entry);
      if (entries?.size === 0) this.byTopic.delete(topic);
    }
    const claims = [...(this.#claimsOf.get(id) ?? [])].filter((claim) => this.claims.get(claim)?.token === id);
    this.#claimsOf.delete(id);
    for (const claim of claims) this.claims.delete(claim);
    return claims;
  }

  pool(kind: Kind): Pool {
    let pool = this.#pools.get(kind);
    if (pool === undefined) {
      pool = {
        free: new TinyQueue<TokenEntry>([], (a, b) => a.order - b.order),
        leased: new TinyQueue<{ entry: TokenEntry; until: number }>([], (a, b) => a.until - b.until),
      };
      this.#pools.set(kind, pool);
    }
    return pool;
  }
}
