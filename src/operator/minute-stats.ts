/** Statistics of the last hours per minute, for one merchant. In memory, and of a fixed size. */
import type { Kind } from '../token.ts';
import { HANDOVER_BOUNDS_MS, type Minute, type Recent, SERIES, type Series } from './view.ts';

const MINUTES_KEPT = 180;
const RECENT_MINUTES = 15;
/** Spans of the plots: the shortest that holds all data is shown. */
const SPANS_MINUTES = [15, 30, 60, 120, MINUTES_KEPT];
const MINUTE_MS = 60_000;

interface Kept extends Minute {
  handovers: number[];
}

export class MinuteStats {
  /** By minute modulo the size; an entry of another minute is over. */
  readonly #ring: (Kept | undefined)[] = new Array(MINUTES_KEPT).fill(undefined);

  post(at: number, kind: Kind | undefined, outcome: string): void {
    this.#at(at).posts[seriesOf(kind, outcome)] += 1;
  }

  handover(at: number, afterMs: number): void {
    const bucket = HANDOVER_BOUNDS_MS.findIndex((bound) => afterMs <= bound);
    const { handovers } = this.#at(at);
    const index = bucket === -1 ? HANDOVER_BOUNDS_MS.length : bucket;
    handovers[index] = (handovers[index] ?? 0) + 1;
  }

  noShow(at: number): void {
    this.#at(at).noShows += 1;
  }

  orphan(at: number): void {
    this.#at(at).orphans += 1;
  }

  sample(at: number, waiters: number, pending: number): void {
    const minute = this.#at(at);
    minute.waiters = Math.max(minute.waiters, waiters);
    minute.pending = Math.max(minute.pending, pending);
  }

  /** Returns the last hours until now, oldest first, without gaps. */
  minutes(now: number): Kept[] {
    const last = Math.floor(now / MINUTE_MS);
    return Array.from({ length: MINUTES_KEPT }, (_, at) => {
      const minute = last - MINUTES_KEPT + 1 + at;
      const kept = this.#ring[minute % MINUTES_KEPT];
      return kept?.minute === minute ? kept : nothingIn(minute);
    });
  }

  #at(time: number): Kept {
    const minute = Math.floor(time / MINUTE_MS);
    const index = minute % MINUTES_KEPT;
    const kept = this.#ring[index];
    // A late event from another instance counts in its own minute, if that is still kept.
    if (kept !== undefined && kept.minute >= minute) return kept;
    const fresh = nothingIn(minute);
    this.#ring[index] = fresh;
    return fresh;
  }
}

/** Adds up the minutes of several merchants. A minute has the same place in each. */
export function addedUp(all: readonly Kept[][]): Kept[] {
  const [first = [], ...others] = all;
  return first.map((minute, at) => {
    const sum: Kept = { ...minute, posts: { ...minute.posts }, handovers: [...minute.handovers] };
    for (const other of others) {
      const more = other[at];
      if (more === undefined) continue;
      for (const name of SERIES) sum.posts[name] += more.posts[name];
      for (const [bucket, count] of more.handovers.entries())
        sum.handovers[bucket] = (sum.handovers[bucket] ?? 0) + count;
      sum.noShows += more.noShows;
      sum.orphans += more.orphans;
      sum.waiters += more.waiters;
      sum.pending = Math.max(sum.pending, more.pending);
    }
    return sum;
  });
}

/** Returns the last minutes, from the first with a count: the plots begin short and grow. */
export function shownOf<M extends Minute>(minutes: readonly M[]): M[] {
  const first = minutes.findIndex(
    ({ posts, waiters, pending }) => waiters + pending > 0 || SERIES.some((name) => posts[name] > 0),
  );
  const needed = first === -1 ? 0 : minutes.length - first;
  const span = SPANS_MINUTES.find((one) => one >= needed) ?? MINUTES_KEPT;
  return minutes.slice(-span);
}

/** Counts the failures of the last minutes. */
export function recentOf(minutes: readonly Kept[]): Recent {
  const recent: Recent = { minutes: RECENT_MINUTES, failed: 0, noShows: 0, orphans: 0, unusable: 0, doors: 0 };
  for (const { posts, noShows, orphans } of minutes.slice(-RECENT_MINUTES)) {
    recent.failed += posts.failed;
    recent.unusable += posts.unusable;
    recent.noShows += noShows;
    recent.orphans += orphans;
  }
  return recent;
}

export function handoversOf(minutes: readonly Kept[]): number[] {
  const sum = new Array<number>(HANDOVER_BOUNDS_MS.length + 1).fill(0);
  for (const { handovers } of minutes) {
    for (const [at, count] of handovers.entries()) if (count > 0) sum[at] = (sum[at] ?? 0) + count;
  }
  return sum;
}

function nothingIn(minute: number): Kept {
  const posts = { seid: 0, nit: 0, token: 0, replay: 0, unusable: 0, failed: 0 };
  const handovers = new Array(HANDOVER_BOUNDS_MS.length + 1).fill(0);
  return { minute, posts, waiters: 0, pending: 0, noShows: 0, orphans: 0, handovers };
}

function seriesOf(kind: Kind | undefined, outcome: string): Series {
  if (outcome === 'late' || outcome === 'failed') return 'failed';
  if (outcome === 'known') return 'replay';
  if (kind === undefined || outcome === 'unexpected') return 'unusable';
  return kind;
}
