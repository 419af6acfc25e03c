/**
 * The state of the operator page beside the last posts: expectations, no-shows, orphans, recharges,
 * and statistics of the last hours. Each event updates it. It is in memory, bounded, and separate
 * for each merchant.
 */
import type { Event, FactsOf } from '../observability/event.ts';
import { CORRELATORS } from '../token.ts';
import { addedUp, handoversOf, MinuteStats, recentOf, shownOf } from './minute-stats.ts';
import type { ExpectationView, OrphanView, RechargeView, View } from './view.ts';

/** Limit of kept entries per merchant. */
const EXPECTATIONS_KEPT = 500;
const ENDED_KEPT = 20;
/** Limit of shown entries. */
const EXPECTATIONS_SHOWN = 20;
const ENDED_SHOWN = 10;

interface MerchantState {
  stats: MinuteStats;
  /** Open expectations, by their id, oldest first. */
  expected: Map<string, ExpectationView>;
  noShows: ExpectationView[];
  orphans: (Omit<OrphanView, 'fingerprint' | 'correlators'> & { token: string })[];
  recharges: RechargeView[];
}

export class OperatorState {
  readonly #merchants: ReadonlyMap<string, MerchantState>;

  constructor(merchants: readonly string[]) {
    const newState = (): MerchantState => ({
      stats: new MinuteStats(),
      expected: new Map(),
      noShows: [],
      orphans: [],
      recharges: [],
    });
    this.#merchants = new Map(merchants.map((merchant) => [merchant, newState()]));
  }

  record(event: Event): void {
    const state = this.#merchants.get(event.merchant ?? '');
    if (state === undefined) return;
    count(state, event);
    trackExpectation(state, event);
  }

  /**
   * Records merged events, oldest first. A post may meet another instance's expectation here before
   * the expectation is known. Known events are therefore applied to it again.
   */
  recordMerged(event: Event, isNew: boolean): void {
    const state = this.#merchants.get(event.merchant ?? '');
    if (isNew) this.record(event);
    else if (state !== undefined) trackExpectation(state, event);
  }

  /** Records the number of waiters of a merchant, and of tokens that are not in Redis yet. */
  sample(at: number, merchant: string, waiters: number, pending: number): void {
    this.#merchants.get(merchant)?.stats.sample(at, waiters, pending);
  }

  /** Returns the view of one merchant, or of all. `postOf`: further data of a token. */
  view(
    now: number,
    only: string | undefined,
    postOf: (token: string) => Pick<OrphanView, 'fingerprint' | 'correlators'>,
  ): Pick<View, 'expected' | 'noShows' | 'orphans' | 'recharges' | 'recent' | 'minutes' | 'handovers'> {
    const states = [...this.#merchants]
      .filter(([merchant]) => only === undefined || merchant === only)
      .map(([, state]) => state);
    const minutes = addedUp(states.map(({ stats }) => stats.minutes(now)));
    const expected = states.flatMap((state) => [...state.expected.values()]).filter(({ at }) => at > now);
    const orphans = newest(states.flatMap((state) => state.orphans));
    return {
      expected: expected.sort((a, b) => a.at - b.at).slice(0, EXPECTATIONS_SHOWN),
      noShows: newest(states.flatMap(({ noShows }) => noShows)),
      orphans: orphans.map(({ token, ...orphan }) => ({ ...orphan, ...postOf(token) })),
      recharges: newest(states.flatMap(({ recharges }) => recharges)),
      recent: recentOf(minutes),
      minutes: shownOf(minutes),
      handovers: handoversOf(minutes),
    };
  }
}

/** Counts an event, and lists it if it ended an entry. */
function count({ stats, expected, noShows, orphans, recharges }: MerchantState, event: Event): void {
  const { name, at, merchant = '', facts } = event;
  switch (name) {
    case 'post':
      stats.post(at, facts.kind, facts.reason ?? facts.outcome);
      return;
    case 'handover':
      stats.handover(at, facts.afterMs);
      return;
    case 'no_show': {
      const { kind, expectation: id } = facts;
      stats.noShow(at);
      push(noShows, { merchant, kind, id, topic: expected.get(id)?.topic, at }, ENDED_KEPT);
      return;
    }
    case 'orphan':
      stats.orphan(at);
      push(orphans, { merchant, kind: facts.kind, token: facts.id, at }, ENDED_KEPT);
      return;
    case 'recharge': {
      const { what, by, merchant_usn: merchantUsn } = facts;
      if (what === 'handed_out' || what === 'confirm' || what === 'undo') return;
      push(recharges, { at, merchant, what, merchantUsn, by }, ENDED_KEPT);
    }
  }
}

/** Opens or ends an expectation. The same event may come twice. */
function trackExpectation({ expected }: MerchantState, { name, merchant = '', facts }: Event): void {
  switch (name) {
    case 'post':
      if (facts.outcome === 'kept' || facts.outcome === 'deferred') meetExpectation(expected, facts);
      return;
    case 'expectation': {
      const { id } = facts;
      if (facts.what === 'cancelled') expected.delete(id);
      else {
        expected.set(id, { merchant, kind: facts.kind, id, topic: facts.topic, at: facts.expiresAt });
        const [oldest = id] = expected.keys();
        if (expected.size > EXPECTATIONS_KEPT) expected.delete(oldest);
      }
      return;
    }
    case 'no_show':
      expected.delete(facts.expectation);
  }
}

/** Ends the oldest expectation that a post meets. */
function meetExpectation(expected: Map<string, ExpectationView>, post: FactsOf<'post'>): void {
  if (expected.size === 0) return;
  const named = CORRELATORS.filter((name) => post[name] !== undefined);
  const topics = named.map((name) => `${name}=${post[name]}`);
  if (topics.length === 0) topics.push(`pool=${post.kind}`);
  for (const [id, one] of expected) {
    if (one.kind !== post.kind || one.topic === undefined || !topics.includes(one.topic)) continue;
    expected.delete(id);
    return;
  }
}

function push<T extends { at: number }>(list: T[], item: T, most: number): void {
  list.push(item);
  // Events from another instance may be older than the entries here.
  list.sort((a, b) => a.at - b.at);
  if (list.length > most) list.shift();
}

function newest<T extends { at: number }>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => b.at - a.at).slice(0, ENDED_SHOWN);
}
