/**
 * The domain: what Carat posts (kinds, correlators, why a post is unusable), the token as the service keeps it, claims, and
 * the topics under which arrivals are announced and workers wait.
 */
import { hash } from 'node:crypto';

/** The kinds of token that Carat posts: SEID (schedule edit), NIT (recharge, cancellation), token (generic operation). */
export const KINDS = ['seid', 'nit', 'token'] as const;
export type Kind = (typeof KINDS)[number];

/** The fields by which a worker recognises its token. */
export const CORRELATORS = ['merchant_data', 'sid', 'merchant_usn', 'order_id'] as const;
export type Correlator = (typeof CORRELATORS)[number];
export type Correlators = { [name in Correlator]?: string | undefined };

/** Why a post is unusable. The answer is 200 in each case. */
export const UNUSABLE_REASONS = [
  'empty',
  'not_a_form',
  'no_token',
  'bad_value',
  'several_tokens',
  'status_notification',
  'too_large',
  'not_allowed',
  'not_post',
  'cut_off',
] as const;
export type UnusableReason = (typeof UNUSABLE_REASONS)[number];

/** A post that carries a token. */
export interface TokenPost {
  kind: Kind;
  /** 1 to 128 printable ASCII characters without spaces. */
  value: string;
  /** Each 1 to 64 characters without control characters. */
  correlators: Correlators;
  /** True without any correlator field, not even a malformed one. Only such a token belongs to the pool of its kind. */
  pooled: boolean;
  /** Correlators that were dropped: malformed, or repeated with different values. */
  dropped: Correlator[];
  /** True when the value has another length than the documented 64 or 66. */
  unusualLength: boolean;
}

/** A post without a readable token: the reason and the unreadable fields. Never contains a value. */
export interface UnusablePost {
  reason: UnusableReason;
  /** Fields that are malformed, or repeated with different values. */
  dropped?: readonly (Kind | Correlator)[] | undefined;
  /** The media type, if it is the reason. `malformed` if it cannot be parsed. */
  contentType?: string | undefined;
  /** The name of the compression, if it is the reason. */
  contentEncoding?: string | undefined;
}

/** Identifies a token of a merchant. The same post gives the same id on every instance. */
export function tokenId(merchant: string, kind: Kind, value: string): string {
  return hash('sha256', `${merchant}\n${kind}\n${value}`).slice(0, 32);
}

/** True if the text has the form of a token id. Other text must not reach a store: it may be a token's value. */
export function isTokenId(id: string): boolean {
  return /^[0-9a-f]{32}$/.test(id);
}

/** A token as intake gives it to a store. */
export interface NewToken {
  id: string;
  merchant: string;
  kind: Kind;
  value: string;
  correlators: Correlators;
  /** True when it came without any correlator field: it belongs to the pool of its kind. */
  pooled: boolean;
}

/** A token as a store keeps it. Times are milliseconds since 1970 by the store's clock. */
export interface TokenRecord extends NewToken {
  receivedAt: number;
  expiresAt: number;
}

export interface Claim {
  id: string;
  leaseExpiresAt: number;
  /** How many times the token was handed out by a claim; 1 the first time. */
  deliveries: number;
  /** How often its lease was renewed since it was handed out. */
  renewals: number;
  /** When it took the token, in microseconds by the shared store's clock. Absent in the embedded store. */
  taken?: number;
}

/** A worker's query: the tokens under one correlator, or the pool of a kind. */
export type TokenQuery =
  | { merchant: string; by: Correlator; is: string; kind?: Kind }
  | { merchant: string; by: 'pool'; kind: Kind };

/** Returns the query of a selector. With a kind alone, returns the query of its pool. */
export function queryOf(merchant: string, kind: Kind, correlators: Correlators): TokenQuery;
export function queryOf(merchant: string, kind: Kind | undefined, correlators: Correlators): TokenQuery | undefined;
export function queryOf(merchant: string, kind: Kind | undefined, correlators: Correlators): TokenQuery | undefined {
  for (const by of CORRELATORS) {
    const is = correlators[by];
    if (is !== undefined) return { merchant, by, is, ...(kind === undefined ? {} : { kind }) };
  }
  return kind === undefined ? undefined : { merchant, by: 'pool', kind };
}

/**
 * The text under which arrivals are announced and workers wait: one for each correlator of a token, or one for its
 * pool. It does not contain the query's kind: one announcement wakes the waiters with and without a kind.
 */
export function topicOf(query: TokenQuery): string {
  return query.by === 'pool' ? poolTopic(query.kind) : correlatorTopic(query.by, query.is);
}
export function topicsOf(token: NewToken): string[] {
  if (token.pooled) return [poolTopic(token.kind)];
  const topics: string[] = [];
  for (const by of CORRELATORS) {
    const is = token.correlators[by];
    if (is !== undefined) topics.push(correlatorTopic(by, is));
  }
  return topics;
}
const correlatorTopic = (by: Correlator, is: string): string => `${by}=${is}`;
const poolTopic = (kind: Kind): string => `pool=${kind}`;

/** Different tokens under one query are counted up to this number, so that planted tokens cannot slow reads. */
export const MOST_DISTINCT = 100;
