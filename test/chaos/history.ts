/**
 * The history of a run, as its clients saw it. Times are milliseconds of `Date.now()`, all of one
 * machine.
 */

/** A posted token, with the answers to its posts. */
export interface Posted {
  value: string;
  kind: 'seid' | 'token';
  merchant: string;
  /** The correlator's value; undefined for the pool. */
  data?: string;
  /** The first instance that it was posted to. */
  first?: number;
  /**
   * The places that it was posted to. An instance without its volume is another place: it has no
   * earlier records.
   */
  at: Set<string>;
  /** The time of the first answer. Before that, nothing was promised. */
  ackedAt?: number;
}

/** A token that a worker received. */
export interface Handed {
  how: 'read' | 'claim';
  instance: number;
  value: string;
  begunAt: number;
  endedAt: number;
  /** The requested key. */
  merchant: string;
  kind?: string;
  data?: string;
  /** The received value. */
  token: { merchant: string; kind: string; data?: string };
  claim?: { id: string; takenAt: number; leaseEndsAt: number; renewal: boolean };
}

/** A use or a release that a worker sent. */
export interface Settled {
  how: 'use' | 'release';
  instance: number;
  value: string;
  claimId?: string;
  begunAt: number;
  endedAt: number;
  /** The status, or 0 when no answer came. */
  status: number;
  /** The end of the lease that the worker knew. */
  leaseEndsAt?: number;
}

export interface History {
  /** Posted without an open announcement. Must never be handed out. */
  planted: { merchant: string; data: string }[];
  posted: Map<string, Posted>;
  handed: Handed[];
  settled: Settled[];
  /** All operations, by kind and status; 0 when no answer came. */
  counts: Map<string, number>;
  /** Durations of the answers to Carat. */
  postMs: number[];
  /** Faults that were found during the run. */
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
