/** What happened in a run, as its clients saw it. Times are milliseconds of `Date.now()`: all clocks are one machine's. */

/** A token as it was posted, and what its posts were answered. */
export interface Posted {
  value: string;
  kind: 'seid' | 'token';
  merchant: string;
  /** The correlator's value; none for the pool. */
  data?: string;
  /** The instance that it was first posted to. */
  first?: number;
  /** Where it was posted. An instance without its volume is another place: it knows nothing of what came before. */
  at: Set<string>;
  /** When the first answer came; until then nobody promised to keep it. */
  ackedAt?: number;
}

/** A token in a worker's hands. */
export interface Handed {
  how: 'read' | 'claim';
  instance: number;
  value: string;
  begunAt: number;
  endedAt: number;
  /** What was asked for. */
  merchant: string;
  kind?: string;
  data?: string;
  /** What came. */
  token: { merchant: string; kind: string; data?: string };
  claim?: { id: string; takenAt: number; leaseEndsAt: number; renewal: boolean };
}

/** Somebody said that a token was used or is to be put back. */
export interface Settled {
  how: 'use' | 'release';
  instance: number;
  value: string;
  claimId?: string;
  begunAt: number;
  endedAt: number;
  /** The status, or 0 when no answer came. */
  status: number;
  /** When the lease ended that the worker relied on. */
  leaseEndsAt?: number;
}

export interface History {
  /** What was posted without an announcement that was open, and must never be handed out. */
  planted: { merchant: string; data: string }[];
  posted: Map<string, Posted>;
  handed: Handed[];
  settled: Settled[];
  /** All operations, by kind and status; 0 when no answer came. */
  counts: Map<string, number>;
  /** How long answers to Carat took. */
  postMs: number[];
  /** What is wrong in itself, found while it ran. */
  wrong: string[];
  /** When an instance was killed. */
  kills: { instance: number; at: number }[];
}

export function newHistory(): History {
  return {
    planted: [],
    posted: new Map(),
    handed: [],
    settled: [],
    counts: new Map(),
    postMs: [],
    wrong: [],
    kills: [],
  };
}

export function count(history: History, what: string, status: number): void {
  const key = `${what} ${status}`;
  history.counts.set(key, (history.counts.get(key) ?? 0) + 1);
}
