/**
 * The encoding of records on disk: a key, and JSON behind a checksum. Field names and words are
 * those of version 1.0.0, which must be able to read the directory, too.
 */
import { crc32 } from 'node:zlib';
import { type Correlators, KINDS, type TokenRecord, tokenId } from '../../token.ts';
import type { Change, Replication, TokenEntry } from './records.ts';

const SEPARATOR = '\n';
const CHECKSUM_DIGITS = 8;
/** The field `replication` is `standing` on disk, with these words. */
const STANDINGS = { local: 'here', in_doubt: 'unsure', replicated: 'there' } as const;
const REPLICATIONS = new Map<unknown, Replication>([
  [STANDINGS.local, 'local'],
  [STANDINGS.in_doubt, 'in_doubt'],
  [STANDINGS.replicated, 'replicated'],
]);

export type Operation = { type: 'put'; key: string; value: string } | { type: 'del'; key: string };

/** Returns one operation for each changed record, with its last state. */
export function operationsOf(changes: Iterable<Change>): Operation[] {
  const byKey = new Map<string, Change>();
  for (const change of changes) byKey.set(change.of + SEPARATOR + change.merchant + SEPARATOR + change.id, change);
  const operations: Operation[] = [];
  for (const [key, change] of byKey) {
    if (change.entry === undefined) operations.push({ type: 'del', key });
    else operations.push({ type: 'put', key, value: withChecksum(key, JSON.stringify(storedOf(change))) });
  }
  return operations;
}

/** Decodes a record. Undefined when it is broken. */
export function readRecord(key: string, value: string, hasChecksum = true): Change | undefined {
  const [of, merchant, id] = key.split(SEPARATOR);
  const json = hasChecksum ? value.slice(CHECKSUM_DIGITS) : value;
  if (hasChecksum && value !== withChecksum(key, json)) return undefined;
  try {
    const { standing, ...entry } = JSON.parse(json);
    if (of !== 'claim') entry.replication = REPLICATIONS.get(standing);
    if (of === 'token') entry.token = nestedOf(entry.token);
    const record = { of, merchant, id, entry } as Change;
    return isWhole(record) ? record : undefined;
  } catch {
    return undefined;
  }
}

function storedOf({ of, entry }: Change): object | undefined {
  if (entry === undefined || of === 'claim') return entry;
  if (of === 'token') return storedToken(entry);
  const { replication, ...others } = entry;
  return { ...others, standing: STANDINGS[replication] };
}

/** Names each field: a spread of the whole entry is slower, and this runs for each post. */
function storedToken(entry: TokenEntry): object {
  const { state, replication, order, claim, deliveries, seen, ends } = entry;
  const { id, merchant, kind, value, correlators, pooled, receivedAt, expiresAt } = entry.token;
  const token = { id, merchant, kind, value, pooled, ...correlators, receivedAt, expiresAt };
  return { token, state, standing: STANDINGS[replication], order, claim, deliveries, seen, ends };
}

function nestedOf(token: Omit<TokenRecord, 'correlators'> & Correlators): TokenRecord {
  const { merchant_data, sid, merchant_usn, order_id, ...others } = token;
  return { ...others, correlators: { merchant_data, sid, merchant_usn, order_id } };
}

/** The checksum covers the key, too: a record under the wrong key is broken. */
function withChecksum(key: string, json: string): string {
  return (
    crc32(key + SEPARATOR + json)
      .toString(16)
      .padStart(CHECKSUM_DIGITS, '0') + json
  );
}

const STATES: readonly string[] = ['live', 'used', 'unexpected', 'deferred'] satisfies TokenEntry['state'][];
const areNumbers = (...values: unknown[]): boolean => values.every(Number.isFinite);

/**
 * Returns whether a record has every field that decisions need.
 *
 * @throws TypeError when it has another shape
 */
function isWhole({ of, merchant, id, entry }: Change): boolean {
  if (entry === undefined) return false;
  if (of === 'token') {
    const { token, state, replication, order, claim, deliveries } = entry;
    const isNamed = token.merchant === merchant && KINDS.includes(token.kind) && token.id === id && hasItsId(token);
    const isHeld = claim === undefined || (typeof claim.id === 'string' && areNumbers(claim.leaseExpiresAt));
    const isTimed = areNumbers(token.receivedAt, token.expiresAt, order, deliveries);
    return isNamed && isTimed && isHeld && STATES.includes(state) && replication !== undefined;
  }
  if (entry.id !== id || entry.merchant !== merchant) return false;
  if (of === 'claim') return typeof entry.token === 'string';
  const isTimed = areNumbers(entry.openedAt, entry.expiresAt) && entry.replication !== undefined;
  return of === 'expectation' && isTimed && typeof entry.topic === 'string' && KINDS.includes(entry.kind);
}

/** The id depends on the value. Only a sealed value has spaces, and opening it authenticates it. */
function hasItsId({ id, merchant, kind, value }: TokenRecord): boolean {
  return value.includes(' ') || tokenId(merchant, kind, value) === id;
}
