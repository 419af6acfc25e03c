/** The data of the operator page, for one merchant or for all. It contains no token's value. */
import type { DoorCount } from '../observability/doors.ts';
import type { RecentPost, TokenStatus } from '../observability/recent-posts.ts';
import type { StoreHealth } from '../store/contract.ts';
import type { Correlators, Kind } from '../token.ts';

/** A waiting worker. Times are in milliseconds since 1970, in the whole file. */
export interface WaiterView {
  merchant: string;
  topic: string;
  since: number;
}

export interface ExpectationView {
  merchant: string;
  kind: Kind;
  id: string;
  topic: string | undefined;
  at: number;
}

export interface OrphanView {
  merchant: string;
  kind: Kind;
  fingerprint: string | undefined;
  /** Of the token's post, if that is still kept. */
  correlators: Correlators;
  at: number;
}

/** One event in the life of a token. */
export interface LifeStep {
  at: number;
  instance: string;
  merchant: string;
  what: { post: string } | { became: TokenStatus };
  claimId: string | undefined;
}

/** The end of a recharge, or the guard's undo. */
export interface RechargeView {
  at: number;
  merchant: string;
  what: 'guard_undo' | 'confirmed' | 'undone' | 'not_effected';
  merchantUsn: string;
  by: string | undefined;
}

export interface InstanceView {
  name: string;
  version: string;
  startedAt: number;
  waiters: number;
  store: StoreHealth['state'];
  self: boolean;
}

/** Series of the plot: tokens by kind, then other posts by outcome. */
export const SERIES = ['seid', 'nit', 'token', 'replay', 'unusable', 'failed'] as const;
export type Series = (typeof SERIES)[number];

export interface Minute {
  /** Minutes since 1970. */
  minute: number;
  posts: Record<Series, number>;
  /** The maximum of waiters, and of pending tokens, in that minute. */
  waiters: number;
  pending: number;
  noShows: number;
  orphans: number;
}

/** Failures of the last minutes, complete: listed or not. */
export interface Recent {
  minutes: number;
  /** Posts answered before they were kept. */
  failed: number;
  noShows: number;
  orphans: number;
  unusable: number;
  /** Input at this instance's public listener outside the authenticity paths. */
  doors: number;
}

export interface View {
  now: number;
  /** The merchant that is shown, or all of them. */
  only: string | undefined;
  /** The filter of the posts. */
  filter: string;
  /** The life of the token whose fingerprint or id the filter is. */
  life: readonly LifeStep[];
  /** Recharges without a known end at Carat; undefined if the service does not ask Carat. */
  owed: number | undefined;
  recharges: readonly RechargeView[];
  merchants: readonly string[];
  health: StoreHealth;
  stopping: boolean;
  waiting: { count: number; max: number; first: readonly WaiterView[] };
  instances: readonly InstanceView[];
  posts: readonly RecentPost[];
  /** Other input at this instance's public listener since its start. */
  doors: readonly DoorCount[];
  expected: readonly ExpectationView[];
  noShows: readonly ExpectationView[];
  orphans: readonly OrphanView[];
  recent: Recent;
  /** Oldest first, without gaps. */
  minutes: readonly Minute[];
  /**
   * Number of handovers up to each bound of `HANDOVER_BOUNDS_MS`, each counted once; the last is
   * above all bounds.
   */
  handovers: readonly number[];
  /** Where Carat posts to, for the first steps; the path only if it is the default. */
  authenticityUrl: string;
  workerUrl: string;
  needsKey: boolean;
}

export const HANDOVER_BOUNDS_MS = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000] as const;
