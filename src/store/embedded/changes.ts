/** What changed in memory and is not on disk yet, and how records stand there. */
import { crc32 } from 'node:zlib';
import { type Correlators, KINDS, type TokenRecord, tokenId } from '../../token.ts';
import type { Change, ClaimEntry, ExpectationEntry, Standing, TokenEntry } from './records.ts';

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

  /** Hands over what changed since the last call. */
  take(): Change[] {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }
}

const SEPARATOR = '\n';
const CHECKSUM_DIGITS = 8;

export type Operation = { type: 'put'; key: string; value: string } | { type: 'del'; key: string };

/** What is to be done on disk: one operation for each record that changed, as it is now. */
export function operationsOf(changes: Iterable<Change>): Operation[] {
  const byKey = new Map<string, Change['entry']>();
  for (const { of, merchant, id, entry } of changes) byKey.set(of + SEPARATOR + merchant + SEPARATOR + id, entry);
  const operations: Operation[] = [];
  for (const [key, entry] of byKey) {
    if (entry === undefined) operations.push({ type: 'del', key });
    else operations.push({ type: 'put', key, value: withChecksum(key, jsonOf(entry)) });
  }
  return operations;
}

/** The record under a key on disk, or undefined when it is broken. */
export function readRecord(key: string, value: string, hasChecksum = true): Change | undefined {
  const [of, merchant, id] = key.split(SEPARATOR);
  const json = hasChecksum ? value.slice(CHECKSUM_DIGITS) : value;
  if (hasChecksum && value !== withChecksum(key, json)) return undefined;
  try {
    const entry = JSON.parse(json);
    if (of === 'token') entry.token = nestedOf(entry.token);
    const record = { of, merchant, id, entry } as Change;
    return isWhole(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

/** On disk the correlators of a token stand among its other fields, as in version 1.0.0. */
function jsonOf(entry: NonNullable<Change['entry']>): string {
  if (typeof entry.token !== 'object') return JSON.stringify(entry);
  // Written out: the rest of an object is slow to copy, and this runs for each post.
  const { id, merchant, kind, value, correlators, pooled, receivedAt, expiresAt } = entry.token;
  const token = { id, merchant, kind, value, pooled, ...correlators, receivedAt, expiresAt };
  return JSON.stringify({ ...entry, token });
}

function nestedOf(token: Omit<TokenRecord, 'correlators'> & Correlators): TokenRecord {
  const { merchant_data, sid, merchant_usn, order_id, ...others } = token;
  return { ...others, correlators: { merchant_data, sid, merchant_usn, order_id } };
}

/** Covers the key, too: a record must not turn up under another's key. */
function withChecksum(key: string, json: string): string {
  return (
    crc32(key + SEPARATOR + json)
      .toString(16)
      .padStart(CHECKSUM_DIGITS, '0') + json
  );
}

const STATES: readonly string[] = ['live', 'used', 'unexpected', 'deferred'] satisfies TokenEntry['state'][];
const STANDINGS: readonly string[] = ['here', 'unsure', 'there'] satisfies Standing[];
const areNumbers = (...values: unknown[]): boolean => values.every(Number.isFinite);

/** Whether a record has all that is reckoned with. @throws TypeError when it is nothing of the kind */
function isWhole({ of, merchant, id, entry }: Change): boolean {
  if (entry === undefined) return false;
  if (of === 'token') {
    const { token, state, standing, order, claim, deliveries } = entry;
    const isNamed = token.merchant === merchant && KINDS.includes(token.kind) && token.id === id && hasItsId(token);
    const isHeld = claim === undefined || (typeof claim.id === 'string' && areNumbers(claim.leaseExpiresAt));
    const isTimed = areNumbers(token.receivedAt, token.expiresAt, order, deliveries);
    return isNamed && isTimed && isHeld && STATES.includes(state) && STANDINGS.includes(standing);
  }
  if (entry.id !== id || entry.merchant !== merchant) return false;
  if (of === 'claim') return typeof entry.token === 'string';
  const isTimed = areNumbers(entry.openedAt, entry.expiresAt) && STANDINGS.includes(entry.standing);
  return of === 'expectation' && isTimed && typeof entry.topic === 'string' && KINDS.includes(entry.kind);
}

/** The id depends on the value. Only a sealed value has spaces, and it is authenticated when it is opened. */
function hasItsId({ id, merchant, kind, value }: TokenRecord): boolean {
  return value.includes(' ') || tokenId(merchant, kind, value) === id;
}
