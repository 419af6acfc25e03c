import { expect, test } from 'vitest';
import { operationsOf, readRecord } from '../../../src/store/embedded/changes.ts';
import { recordOf, type TokenEntry } from '../../../src/store/embedded/records.ts';
import { CORRELATORS, tokenId } from '../../../src/token.ts';

test('writes correlators among the fields of the token, as version 1.0.0 does, and reads them back', () => {
  const [merchant, kind, value] = ['m', 'seid', 'v'] as const;
  const id = tokenId(merchant, kind, value);
  const correlators = Object.fromEntries(CORRELATORS.map((name) => [name, `of ${name}`]));
  const token = recordOf({ id, merchant, kind, value, correlators, pooled: false }, 1, 2);
  const entry: TokenEntry = { token, state: 'live', standing: 'here', order: 1, deliveries: 0, seen: false };
  const [operation] = operationsOf([{ of: 'token', merchant, id, entry }]);
  if (operation?.type !== 'put') throw new Error('expected a write');
  const written = JSON.parse(operation.value.slice(8));
  expect(written).toEqual({
    ...entry,
    token: { id, merchant, kind, value, pooled: false, ...correlators, receivedAt: 1, expiresAt: 2 },
  });
  expect(readRecord(operation.key, operation.value)).toEqual({ of: 'token', merchant, id, entry });
});
