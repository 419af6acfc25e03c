/** How what the ledger remembers is written on disk: one record of JSON for each token, claim and expectation. */
import type { Change } from './records.ts';

const SEPARATOR = '\n';

export type Operation = { type: 'put'; key: string; value: string } | { type: 'del'; key: string };

/** One operation for each record that changed, as it is now. */
export function operations(changes: Iterable<Change>): Operation[] {
  const byKey = new Map<string, Operation>();
  for (const { of, merchant, id, entry } of changes) {
    const key = [of, merchant, id].join(SEPARATOR);
    byKey.set(key, entry === undefined ? { type: 'del', key } : { type: 'put', key, value: JSON.stringify(entry) });
  }
  return [...byKey.values()];
}

export function parse(key: string, value: string): Change | undefined {
  const [of, merchant, id] = key.split(SEPARATOR);
  try {
    return { of, merchant, id, entry: JSON.parse(value) } as Change;
  } catch {
    return undefined;
  }
}

export function isUsed(change: Change): boolean {
  return change.of === 'token' && change.entry?.state === 'used';
}
