/** How many connections the file descriptors of this process allow. */
import { readFileSync } from 'node:fs';

/** The bound on connections where descriptors do not limit it. */
export const MOST_CONNECTIONS = 10_000;

/** How many files this process may open. Node raises the soft limit to the hard one when it starts. */
export function descriptorLimit(): number {
  try {
    const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
  } catch {
    // Not Linux: the limit is not known.
    return Number.POSITIVE_INFINITY;
  }
}

/** Half of the descriptors. The store, the log and the workers need the other half. */
export function connectionBound(limit: number): number {
  return Math.max(1, Math.min(MOST_CONNECTIONS, Math.floor(limit / 2)));
}
