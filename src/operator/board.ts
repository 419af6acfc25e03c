/**
 * What the operator page shows beside the last posts, kept as it happens: what is expected, what did not come, what
 * nobody asked for, and the figures of the last hours. In memory, bounded, and separate for each merchant.
 */
import type { Event } from '../observability/events.ts';
import { CORRELATORS, type Kind } from '../token.ts';
import { addedUp, handoversOf, MinuteStats, recentOf, shownOf } from './figures.ts';
import type { ExpectationView, OrphanView, PostOutcome, RechargeView, View } from './view.ts';

/** What is kept for each merchant. */
const EXPECTATIONS_KEPT = 500;
const ENDED_KEPT = 20;
/** What is shown. */
const EXPECTATIONS_SHOWN = 20;
const ENDED_SHOWN = 10;

const RECHARGES_SHOWN: ReadonlySet<string> = new Set(['guard_undo', 'confirmed', 'undone', 'not_effected']);

interface Place {
  figures: MinuteStats;
  expected: Map<string, ExpectationView>;
  noShows: ExpectationView[];
  orphans: (OrphanView & { token: string })[];
  recharges: RechargeView[];
}

export class OperatorState {
  readonly #places: ReadonlyMap<string, Place>;

  constructor(merchants: readonly string[]) {
    const newPlace = (): Place => ({
      figures: new MinuteStats(),
      expected: new Map(),
      noShows: [],
      orphans: [],
      recharges: [],
    });
    this.#places = new Map(merchants.map((merchant) => [merchant, newPlace()]));
  }

  note(event: Event): void {
    const place = this.#places.get(event.merchant ?? '');
    if (place === undefined) return;
    count(place, event);
    trackExpectation(place, event);
  }

  /**
   * Takes merged events, oldest first. An expectation of another instance may have been met here
   * before it is known: known events are applied to it again.
   */
  noteMerged(event: Event, isNew: boolean): void {
    const place = this.#places.get(event.merchant ?? '');
    if (isNew) this.note(event);
    else if (place !== undefined) trackExpectation(place, event);
  }

  /** Notes how many wait for a merchant's tokens, and how many tokens are not in Redis yet. */
  sample(at: number, merchant: string, waiters: number, pending: number): void {
    this.#places.get(merchant)?.figures.sample(at, waiters, pending);
  }

  /** What is to be seen of one merchant, or of all. */
  look(
    now: number,
    only: string | undefined,
    postOf: (token: string) => Pick<OrphanView, 'fingerprint' | 'correlators'>,
  ): Pick<View, 'expected' | 'noShows' | 'orphans' | 'recharges' | 'recent' | 'minutes' | 'handovers'> {
    const places = [...this.#places]
      .filter(([merchant]) => only === undefined || merchant === only)
      .map(([, it]) => it);
    const minutes = addedUp(places.map(({ figures }) => figures.minutes(now)));
    const expected = places.flatMap((place) => [...place.expected.values()]).filter(({ at }) => at > now);
    const orphans = newest(places.flatMap((place) => place.orphans));
    return {
      expected: expected.sort((a, b) => a.at - b.at).slice(0, EXPECTATIONS_SHOWN),
      noShows: newest(places.flatMap(({ noShows }) => noShows)),
      orphans: orphans.map((orphan) => ({ ...orphan, ...postOf(orphan.token) })),
      recharges: newest(places.flatMap(({ recharges }) => recharges)),
      recent: recentOf(minutes),
      minutes: shownOf(minutes),
      handovers: handoversOf(minutes),
    };
  }
}

/** Adds an event to the figures and the lists of what ended. */
function count(place: Place, { name, merchant = '', at, facts }: Event): void {
  const { kind, id } = facts as { kind: Kind; id: string };
  switch (name) {
    case 'post':
      place.figures.post(at, kind, (facts['reason'] ?? facts['outcome']) as PostOutcome);
      return;
    case 'handover':
      place.figures.handover(at, facts['afterMs'] as number);
      return;
    case 'no_show': {
      const expectation = facts['expectation'] as string;
      const topic = place.expected.get(expectation)?.topic;
      place.figures.noShow(at);
      push(place.noShows, { merchant, kind, id: expectation, topic, at }, ENDED_KEPT);
      return;
    }
    case 'recharge': {
      const { what, by, merchant_usn } = facts as { what: RechargeView['what']; by?: string; merchant_usn: string };
      if (!RECHARGES_SHOWN.has(what)) return;
      push(place.recharges, { at, merchant, what, merchantUsn: merchant_usn, by }, ENDED_KEPT);
      return;
    }
    case 'orphan':
      place.figures.orphan(at);
      push(place.orphans, { merchant, kind, fingerprint: undefined, correlators: {}, token: id, at }, ENDED_KEPT);
  }
}

/** Opens or ends an expectation. The same event may come twice. */
function trackExpectation(place: Place, { name, merchant = '', facts }: Event): void {
  const { kind, id } = facts as { kind: Kind; id: string };
  switch (name) {
    case 'post':
      if (facts['outcome'] === 'kept' || facts['outcome'] === 'deferred') meetExpectation(place, facts);
      return;
    case 'expectation': {
      if (facts['what'] === 'cancelled') place.expected.delete(id);
      else {
        const { topic, expiresAt } = facts as { topic: string; expiresAt: number };
        place.expected.set(id, { merchant, kind, id, topic, at: expiresAt });
        const [oldest = id] = place.expected.keys();
        if (place.expected.size > EXPECTATIONS_KEPT) place.expected.delete(oldest);
      }
      return;
    }
    case 'no_show':
      place.expected.delete(facts['expectation'] as string);
  }
}

/** The post that was expected has come: the oldest expectation that it fits is over. */
function meetExpectation({ expected }: Place, facts: Event['facts']): void {
  if (expected.size === 0) return;
  const named = CORRELATORS.filter((name) => facts[name] !== undefined);
  const topics = named.map((name) => `${name}=${facts[name]}`);
  if (topics.length === 0) topics.push(`pool=${facts['kind']}`);
  for (const [id, one] of expected) {
    if (one.kind !== facts['kind'] || one.topic === undefined || !topics.includes(one.topic)) continue;
    expected.delete(id);
    return;
  }
}

function push<T extends { at: number }>(list: T[], item: T, most: number): void {
  list.push(item);
  // The past of another instance is older than what is here.
  list.sort((a, b) => a.at - b.at);
  if (list.length > most) list.shift();
}

function newest<T extends { at: number }>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => b.at - a.at).slice(0, ENDED_SHOWN);
}
