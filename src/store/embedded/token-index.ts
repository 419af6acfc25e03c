/**
 * The ledger's indexes of one merchant's tokens: by id, by topic, by claim, and the pools. It
 * decides nothing.
 */
import { KINDS, type Kind, MOST_DISTINCT, type TokenQuery, topicOf, topicsOf } from '../../token.ts';
import { sealKeyOf } from '../contract.ts';
import { Pool } from './pool.ts';
import type { ClaimEntry, TokenEntry } from './records.ts';
import { TopicTokens } from './topic-tokens.ts';

export interface Found {
  live: TokenEntry | undefined;
  used: boolean;
  distinct: number;
  unknownKey: string | undefined;
}

export class TokenIndex {
  readonly #openable: ReadonlySet<string> | undefined;
  readonly tokens = new Map<string, TokenEntry>();
  readonly claims = new Map<string, ClaimEntry>();
  /** Oldest first. */
  readonly unexpected = new Set<TokenEntry>();
  lastOrder = 0;
  sequence = 0;
  readonly pools = new Map<Kind, Pool>();
  /** By kind and topic. */
  readonly #byTopic = new Map<string, TopicTokens>();
  readonly #claimsOf = new Map<string, Set<string>>();

  /**
   * @param openable fingerprints of the keys that the store's caller has; undefined: it can open
   *   every value
   */
  constructor(openable?: ReadonlySet<string>) {
    this.#openable = openable;
  }

  add(entry: TokenEntry): void {
    this.tokens.set(entry.token.id, entry);
    this.lastOrder = Math.max(this.lastOrder, entry.order);
    if (entry.state === 'unexpected') this.unexpected.add(entry);
    else this.update(entry);
  }

  /** Lists a token by its state: in its pool, or under its topics. */
  update(entry: TokenEntry): void {
    if (entry.token.pooled) {
      this.offer(entry);
      return;
    }
    for (const topic of topicsOf(entry.token)) {
      const place = placeOf(entry.token.kind, topic);
      let tokens = this.#byTopic.get(place);
      if (tokens === undefined) {
        tokens = new TopicTokens();
        this.#byTopic.set(place, tokens);
      }
      tokens.update(entry);
      if (tokens.isEmpty) this.#byTopic.delete(place);
    }
  }

  /** Lists a token again after its state changed from or to `unexpected`. */
  move(entry: TokenEntry): void {
    this.remove(entry);
    this.add(entry);
  }

  /**
   * Makes a pooled token claimable, now or after its lease. Only `local` tokens may be claimed
   * here.
   */
  offer(entry: TokenEntry): void {
    if (entry.token.pooled && entry.state === 'live' && entry.replication === 'local')
      this.pool(entry.token.kind).offer(entry);
  }

  /**
   * Returns the newest live token under a query that can be opened, the number of live ones,
   * whether one is used, and the key of one that cannot be opened.
   */
  find(query: TokenQuery, now: number): Found {
    let live: TokenEntry | undefined;
    let unknownKey: string | undefined;
    let used = false;
    let distinct = 0;
    const topic = topicOf(query);
    for (const kind of query.kind === undefined ? KINDS : [query.kind]) {
      const tokens = this.#byTopic.get(placeOf(kind, topic));
      if (tokens === undefined) continue;
      used ||= tokens.hasUsed(now);
      for (const entry of tokens.newest(now, MOST_DISTINCT)) {
        distinct += 1;
        const lacking = this.lackingKeyOf(entry);
        if (lacking !== undefined) unknownKey = lacking;
        else if (live === undefined || entry.order > live.order) live = entry;
      }
    }
    return { live, used, distinct: Math.min(distinct, MOST_DISTINCT), unknownKey };
  }

  /**
   * Returns the fingerprint of the key of an entry that cannot be opened. Undefined if it can be.
   */
  lackingKeyOf({ token }: TokenEntry): string | undefined {
    const key = sealKeyOf(token.value);
    return key === undefined || this.#openable === undefined || this.#openable.has(key) ? undefined : key;
  }

  /** Returns the claims whose last token is this one. */
  claimsOf(token: string): ClaimEntry[] {
    const claims = [...(this.#claimsOf.get(token) ?? [])].map((id) => this.claims.get(id));
    return claims.filter((claim) => claim?.token === token) as ClaimEntry[];
  }

  addClaim(claim: ClaimEntry): void {
    this.claims.set(claim.id, claim);
    const ids = this.#claimsOf.get(claim.token);
    if (ids === undefined) this.#claimsOf.set(claim.token, new Set([claim.id]));
    else ids.add(claim.id);
  }

  /** Removes a token and the claims whose last token it is. Returns their ids. */
  remove(entry: TokenEntry): string[] {
    const { id } = entry.token;
    this.tokens.delete(id);
    this.unexpected.delete(entry);
    for (const topic of topicsOf(entry.token)) {
      const place = placeOf(entry.token.kind, topic);
      const tokens = this.#byTopic.get(place);
      tokens?.delete(entry);
      if (tokens?.isEmpty) this.#byTopic.delete(place);
    }
    const claims = this.claimsOf(id).map((claim) => claim.id);
    this.#claimsOf.delete(id);
    for (const claim of claims) this.claims.delete(claim);
    return claims;
  }

  /** Fills the pools again after the times of tokens and leases moved. */
  resetPools(): void {
    this.pools.clear();
    for (const entry of this.tokens.values()) this.offer(entry);
  }

  pool(kind: Kind): Pool {
    let pool = this.pools.get(kind);
    if (pool === undefined) {
      pool = new Pool();
      this.pools.set(kind, pool);
    }
    return pool;
  }
}

const placeOf = (kind: Kind, topic: string): string => `${kind} ${topic}`;
