/** What the operator page shows: plain data, gathered for one merchant or for all of them. Holds no token's value. */
import type { DoorCount } from '../observability/doors.ts';
import type { RecentPost, TokenStatus } from '../observability/recent-posts.ts';
import type { StoreHealth } from '../store/contract.ts';
import type { Correlators, Kind } from '../token.ts';

/** A waiting worker. Times are in milliseconds since 1970, as everywhere here. */
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
  /** Of its post, if that is still kept. */
  correlators: Correlators;
  at: number;
}

/** One thing that happened to a token. */
export interface LifeStep {
  at: number;
  instance: string;
  merchant: string;
  what: { post: string } | { became: TokenStatus };
  claimId: string | undefined;
}

/** How a recharge ended, or that the guard undoes it. */
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

/** The colours of the plot: tokens by kind, and then what became of the other posts. */
export const SERIES = ['seid', 'nit', 'token', 'replay', 'unusable', 'failed'] as const;
export type Series = (typeof SERIES)[number];

export interface Minute {
  /** Minutes since 1970. */
  minute: number;
  posts: Record<Series, number>;
  /** The most that waited at once, and the most that were pending, in that minute. */
  waiters: number;
  pending: number;
  noShows: number;
  orphans: number;
}

/** What went wrong in the last minutes, in full: not only what is listed. */
export interface Recent {
  minutes: number;
  /** Posts answered before they were kept. */
  failed: number;
  noShows: number;
  orphans: number;
  unusable: number;
  /** What reached the public listener of this instance and no authenticity path. */
  doors: number;
}

export interface View {
  now: number;
  /** The one merchant that is shown, or all of them. */
  only: string | undefined;
  /** What the posts are filtered by. */
  filter: string;
  /** Of the token whose fingerprint or id the filter is. */
  life: readonly LifeStep[];
  /** Recharges whose end Carat does not know yet; undefined when the service asks Carat for nothing. */
  owed: number | undefined;
  recharges: readonly RechargeView[];
  merchants: readonly string[];
  health: StoreHealth;
  stopping: boolean;
  waiting: { count: number; max: number; first: readonly WaiterView[] };
  instances: readonly InstanceView[];
  posts: readonly RecentPost[];
  /** What else reached the public listener of this instance since its start. */
  doors: readonly DoorCount[];
  expected: readonly ExpectationView[];
  noShows: readonly ExpectationView[];
  orphans: readonly OrphanView[];
  recent: Recent;
  /** Oldest first, without gaps. */
  minutes: readonly Minute[];
  /** How many handovers took up to each bound of `HANDOVER_BOUNDS_MS`, each counted once; the last is beyond all. */
  handovers: readonly number[];
  /** Where Carat posts to, for the first steps; the path only if it is the default. */
  authenticityUrl: string;
  workerUrl: string;
  needsKey: boolean;
}

export const HANDOVER_BOUNDS_MS = [1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000] as const;
