import { describe, expect, test } from 'vitest';
import { operationsOf, readRecord } from '../../../src/store/embedded/encoding.ts';
import {
  type Change,
  type ExpectationEntry,
  type Replication,
  recordOf,
  type TokenEntry,
} from '../../../src/store/embedded/records.ts';
import { CORRELATORS, tokenId } from '../../../src/token.ts';

const [merchant, kind, value] = ['m', 'seid', 'v'] as const;
const id = tokenId(merchant, kind, value);

/** What is written for a record, and what is read from it. */
function roundTrip(record: Change): { written: unknown; read: Change | undefined } {
  const [operation] = operationsOf([record]);
  if (operation?.type !== 'put') throw new Error('expected a write');
  const written = JSON.parse(operation.value.slice(8));
  return { written, read: readRecord(operation.key, operation.value) };
}

describe.each<[Replication, string]>([
  ['local', 'here'],
  ['in_doubt', 'unsure'],
  ['replicated', 'there'],
])('a record that is %s', (replication, standing) => {
  test('of a token is written as by version 1.0.0, and read back', () => {
    const correlators = Object.fromEntries(CORRELATORS.map((name) => [name, `of ${name}`]));
    const token = recordOf({ id, merchant, kind, value, correlators, pooled: false }, 1, 2);
    const claim = { id: 'c', leaseExpiresAt: 3, deliveries: 1, renewals: 0 };
    const others = { state: 'live', order: 1, claim, deliveries: 1, seen: false, ends: 4 } as const;
    const entry: TokenEntry = { token, replication, ...others };
    const { written, read } = roundTrip({ of: 'token', merchant, id, entry });
    const fields = { id, merchant, kind, value, pooled: false, ...correlators, receivedAt: 1, expiresAt: 2 };
    expect(written).toEqual({ token: fields, standing, ...others });
    expect(read).toEqual({ of: 'token', merchant, id, entry });
  });

  test('of an expectation is written as by version 1.0.0, and read back', () => {
    const others = {
      id,
      merchant,
      kind,
      topic: 'sid=x',
      openedAt: 1,
      expiresAt: 2,
      cancelledAt: 3,
      token: 't',
    } as const;
    const entry: ExpectationEntry = { replication, ...others };
    const { written, read } = roundTrip({ of: 'expectation', merchant, id, entry });
    expect(written).toEqual({ standing, ...others });
    expect(read).toEqual({ of: 'expectation', merchant, id, entry });
  });
});

test('a claim is written with its own fields only, and read back', () => {
  const entry = { merchant, id: 'c', token: id, released: false, takenAt: 1 };
  const { written, read } = roundTrip({ of: 'claim', merchant, id: 'c', entry });
  expect(written).toEqual(entry);
  expect(read).toEqual({ of: 'claim', merchant, id: 'c', entry });
});

test('a record with an unknown standing is broken', () => {
  const entry = { id, merchant, kind, topic: 'sid=x', openedAt: 1, expiresAt: 2, standing: 'elsewhere' };
  const key = `expectation\n${merchant}\n${id}`;
  expect(readRecord(key, JSON.stringify(entry), false)).toBeUndefined();
  expect(readRecord(key, JSON.stringify({ ...entry, standing: 'here' }), false)).toBeDefined();
});
