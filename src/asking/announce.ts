/** Opens expectations: for a worker, or for the service when it asks Carat itself. */
import { randomInt, randomUUID } from 'node:crypto';
import type { Recorder } from '../observability/recorder.ts';
import type { TokenStore } from '../store/contract.ts';
import { type Correlators, type Kind, queryOf, type TokenQuery, topicOf } from '../token.ts';

export interface Announcement {
  id: string;
  kind: Kind;
  /** The correlators that the post will have. Empty for a token of the pool. */
  correlators: Correlators;
  /** The query that will find the token. */
  query: TokenQuery;
  /** Milliseconds since 1970, by the store's clock. */
  expiresAt: number;
}

/** Opens an expectation. A `seid` without a correlator gets a fresh `merchant_data`, a `token` a place in the pool. */
export async function announce(
  { store, recorder }: { store: TokenStore; recorder: Recorder },
  {
    merchant,
    kind,
    correlators: given,
    ttlMs,
  }: { merchant: string; kind: Kind; correlators: Correlators; ttlMs: number },
): Promise<Announcement> {
  const isBare = Object.values(given).every((value) => value === undefined);
  const correlators = isBare && kind === 'seid' ? { merchant_data: newMerchantData() } : given;
  const query = queryOf(merchant, kind, correlators);
  const topic = topicOf(query);
  const id = randomUUID();
  const expiresAt = await store.expect({ id, merchant, kind, topic, ttlMs });
  recorder.expectation(merchant, { what: 'opened', id, kind, topic, expiresAt });
  return { id, kind, correlators, query, expiresAt };
}

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';
const RANDOM_CHARS = 19;

/** Returns a new `merchant_data`: 20 characters of `[0-9a-z]`, Carat's maximum, with a check character at the end. */
export function newMerchantData(): string {
  const random = Array.from({ length: RANDOM_CHARS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return random + checkCharacter(random);
}

/** Returns the check character of ISO 7064, MOD 37,36. */
export function checkCharacter(text: string): string {
  let product = 36;
  for (const character of text) {
    const sum = (product + ALPHABET.indexOf(character)) % 36;
    product = ((sum === 0 ? 36 : sum) * 2) % 37;
  }
  return ALPHABET.charAt((37 - product) % 36);
}
