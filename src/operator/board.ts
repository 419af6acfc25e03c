/**
 * What the operator page shows, kept as it happens: the last posts and what became of them, what is expected, and the
 * figures of the last hours. In memory and bounded, for each merchant by itself, so that one merchant's flood hides
 * nothing of another's.
 */
import type { Correlators, Kind } from '../post.ts';
import { addedUp, Figures, handoversOf } from './figures.ts';
import type { Became, ExpectationView, OrphanView, PostOutcome, PostView, View } from './view.ts';

/** What is kept for each merchant. */
const POSTS_KEPT = 200;
const EXPECTATIONS_KEPT = 500;
const ENDED_KEPT = 20;
/** What is shown. */
const POSTS_SHOWN = 50;
const ENDED_SHOWN = 10;

/** What happened, here or at another instance. Tokens are named by their id, never by their value. */
export type Happening = { at: number; instance: string; merchant: string } & (
  | { type: 'post'; outcome: PostOutcome; from: string; token?: PostedToken }
  | { type: 'handover'; how: 'read' | 'claim'; token: string; claim: string | undefined; afterMs: number }
  | { type: 'settled'; what: 'used' | 'released'; token: string | undefined; claim: string | undefined }
  | { type: 'expectation'; what: 'opened'; id: string; kind: Kind; topic: string; expiresAt: number }
  | { type: 'expectation'; what: 'cancelled'; id: string }
  | { type: 'no_show'; kind: Kind; id: string }
  | { type: 'orphan'; kind: Kind; token: string }
);

export interface PostedToken {
  id: string;
  kind: Kind;
  correlators: Correlators;
  fingerprint: string;
}

interface Place {
  figures: Figures;
  /** Newest last. */
  posts: Post[];
  expected: Map<string, ExpectationView>;
  noShows: ExpectationView[];
  orphans: OrphanView[];
}

interface Post extends PostView {
  token: string | undefined;
  claim: string | undefined;
}

export class Board {
  readonly #places: ReadonlyMap<string, Place>;

  constructor(merchants: readonly string[]) {
    this.#places = new Map(merchants.map((merchant) => [merchant, newPlace()]));
  }

  note(happening: Happening): void {
    const place = this.#places.get(happening.merchant);
    if (place === undefined) return;
    switch (happening.type) {
      case 'post':
        return notePost(place, happening);
      case 'handover': {
        place.figures.handover(happening.at, happening.afterMs);
        const post = place.posts.findLast(({ token }) => token === happening.token);
        if (post === undefined) return;
        post.became = happening.how === 'read' ? 'read' : 'claimed';
        post.claim = happening.claim;
        post.handedAfterMs ??= happening.afterMs;
        return;
      }
      case 'settled': {
        const { token, claim } = happening;
        const post = place.posts.findLast((post) =>
          token === undefined ? post.claim === claim : post.token === token,
        );
        if (post?.became !== undefined) post.became = happening.what;
        return;
      }
      case 'expectation':
        if (happening.what === 'cancelled') place.expected.delete(happening.id);
        else {
          const { merchant, kind, id, topic, expiresAt } = happening;
          place.expected.set(id, { merchant, kind, id, topic, at: expiresAt });
          dropOldest(place.expected);
        }
        return;
      case 'no_show': {
        const { merchant, kind, id, at } = happening;
        push(place.noShows, { merchant, kind, id, topic: place.expected.get(id)?.topic, at }, ENDED_KEPT);
        place.expected.delete(id);
        return;
      }
      case 'orphan': {
        const { merchant, kind, at, token } = happening;
        const post = place.posts.findLast((post) => post.token === token);
        if (post !== undefined) post.became = 'orphan';
        push(place.orphans, { merchant, kind, fingerprint: post?.fingerprint, at }, ENDED_KEPT);
      }
    }
  }

  /** Notes how many wait for a merchant's tokens, and how many tokens Redis is yet to be told of. */
  sample(at: number, merchant: string, waiters: number, pending: number): void {
    this.#places.get(merchant)?.figures.sample(at, waiters, pending);
  }

  /** What is to be seen of one merchant, or of all. */
  look(now: number, only?: string): Pick<View, 'posts' | 'expected' | 'noShows' | 'orphans' | 'minutes' | 'handovers'> {
    const places = [...this.#places]
      .filter(([merchant]) => only === undefined || merchant === only)
      .map(([, it]) => it);
    const minutes = addedUp(places.map(({ figures }) => figures.minutes(now)));
    const expected = places.flatMap((place) => [...place.expected.values()]).filter(({ at }) => at > now);
    return {
      posts: newest(
        places.flatMap(({ posts }) => posts),
        POSTS_SHOWN,
      ),
      expected: expected.sort((a, b) => a.at - b.at).slice(0, ENDED_SHOWN * 2),
      noShows: newest(
        places.flatMap(({ noShows }) => noShows),
        ENDED_SHOWN,
      ),
      orphans: newest(
        places.flatMap(({ orphans }) => orphans),
        ENDED_SHOWN,
      ),
      minutes,
      handovers: handoversOf(minutes),
    };
  }
}

function newPlace(): Place {
  return { figures: new Figures(), posts: [], expected: new Map(), noShows: [], orphans: [] };
}

const NEVER_HANDED: ReadonlySet<PostOutcome> = new Set(['unexpected', 'known', 'failed']);

function notePost(place: Place, { at, instance, merchant, outcome, from, token }: Happening & { type: 'post' }): void {
  const became: Became | undefined = token === undefined || NEVER_HANDED.has(outcome) ? undefined : 'waiting';
  const { kind, correlators = {}, fingerprint } = token ?? {};
  place.figures.post(at, kind, outcome);
  const rest = { became, handedAfterMs: undefined, token: token?.id, claim: undefined };
  push(place.posts, { at, instance, merchant, kind, outcome, correlators, fingerprint, from, ...rest }, POSTS_KEPT);
  if (token !== undefined && became !== undefined) meetExpectation(place, token);
}

/** The post that was expected has come: the oldest expectation that it fits is over. */
function meetExpectation({ expected }: Place, { kind, correlators }: PostedToken): void {
  const topics = new Set(Object.entries(correlators).map(([name, value]) => `${name}=${value}`));
  if (topics.size === 0) topics.add(`pool=${kind}`);
  for (const [id, one] of expected) {
    if (one.kind !== kind || one.topic === undefined || !topics.has(one.topic)) continue;
    expected.delete(id);
    return;
  }
}

function push<T>(list: T[], item: T, most: number): void {
  list.push(item);
  if (list.length > most) list.shift();
}

function dropOldest(expected: Map<string, unknown>): void {
  const [oldest] = expected.keys();
  if (expected.size > EXPECTATIONS_KEPT && oldest !== undefined) expected.delete(oldest);
}

function newest<T extends { at: number }>(items: readonly T[], most: number): T[] {
  return [...items].sort((a, b) => b.at - a.at).slice(0, most);
}
