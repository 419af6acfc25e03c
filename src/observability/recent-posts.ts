/**
 * The last posts, and what became of their tokens: redacted, bounded, and separate for each merchant, so
 * that a flood of one merchant hides nothing of another's. Made from the events of all instances.
 */
import { CORRELATORS, type Correlator, type Correlators } from '../token.ts';
import type { Event, EventOf, FactsOf, PostOutcome } from './event.ts';

const POSTS_KEPT = 500;

/** Where a token is now. `waiting`: for a worker. `released`: a claim put it back. `orphan`: expired unread. */
export type TokenStatus = 'waiting' | 'read' | 'claimed' | 'released' | 'used' | 'orphan';

export interface RecentPost extends Omit<FactsOf<'post'>, Correlator> {
  /** Milliseconds since 1970. */
  receivedAt: number;
  instance: string;
  merchant: string;
  correlators: Correlators;
  /** Undefined for a token that is never handed out. */
  became: TokenStatus | undefined;
  /** Milliseconds from its arrival until the token was first given to a worker. */
  handedOverAfterMs: number | undefined;
}

const HANDED_OUT: ReadonlySet<string> = new Set<PostOutcome>(['kept', 'deferred', 'late']);

/** A post's event, and what became of it since. */
interface Kept {
  /** Undefined once it is forgotten: the tables that a growing Map discards keep their entries, which should be small. */
  event: EventOf<'post'> | undefined;
  became: TokenStatus | undefined;
  claim: string | undefined;
  handedOverAfterMs: number | undefined;
}

type HandOver = Pick<FactsOf<'handover'>, 'how' | 'claimId' | 'afterMs'>;

export class RecentPosts {
  /** By merchant, oldest first. */
  readonly #posts = new Map<string, Kept[]>();
  /** Those of them whose tokens are handed out: by the token, and by the claim that took it last. */
  readonly #byToken = new Map<string, Kept>();
  readonly #byClaim = new Map<string, Kept>();
  /** A waiting worker may get the token before its post is recorded. */
  readonly #early = new Map<string, HandOver>();

  record(event: Event): void {
    switch (event.name) {
      case 'post':
        this.#add(event);
        return;
      case 'handover':
        this.#handedOver(event);
        return;
      case 'settled':
        this.#settled(event);
        return;
      case 'orphan': {
        const post = this.#byToken.get(event.facts.id);
        if (post !== undefined) post.became = 'orphan';
      }
    }
  }

  /**
   * Records merged events, oldest first. A post of another instance may have been handed over here
   * before it is known: known events are applied to it again.
   */
  recordMerged(event: Event, isNew: boolean): void {
    if (isNew || event.name !== 'post') this.record(event);
  }

  /** Newest first; of one merchant, or of all. */
  last(limit: number, merchant: string | undefined): RecentPost[] {
    const lists = merchant === undefined ? [...this.#posts.values()] : [this.#posts.get(merchant) ?? []];
    const newest = lists.flatMap((list) => list.slice(-limit).reverse()).flatMap(recentPosts);
    return newest.sort((a, b) => b.receivedAt - a.receivedAt).slice(0, limit);
  }

  /** The fingerprint and the correlators of a token, while its post is kept. */
  postOf(token: string): { fingerprint: string | undefined; correlators: Correlators } {
    const { facts } = this.#byToken.get(token)?.event ?? {};
    return { fingerprint: facts?.fingerprint, correlators: correlatorsOf(facts ?? {}) };
  }

  #add(event: EventOf<'post'>): void {
    const { at, merchant, facts } = event;
    const { outcome, token } = facts;
    const became = HANDED_OUT.has(outcome) ? 'waiting' : undefined;
    const post: Kept = { event, became, claim: undefined, handedOverAfterMs: undefined };
    const list = this.#posts.get(merchant) ?? [];
    this.#posts.set(merchant, list);
    // The past of another instance is older than what is here.
    const before = list.findLastIndex((other) => (other.event?.at ?? 0) <= at);
    list.splice(before + 1, 0, post);
    if (list.length > POSTS_KEPT) this.#forget(list.shift() as Kept, merchant);
    if (token === undefined || became === undefined || post.event === undefined) return;
    this.#byToken.set(token, post);
    const early = this.#early.get(token);
    if (early === undefined) return;
    this.#early.delete(token);
    this.#handOver(post, merchant, early);
  }

  #forget(post: Kept, merchant: string): void {
    const { token = '' } = post.event?.facts ?? {};
    if (this.#byToken.get(token) === post) this.#byToken.delete(token);
    this.#unclaim(post, merchant);
    post.event = undefined;
  }

  #handedOver({ merchant, facts }: EventOf<'handover'>): void {
    const { token, how, claimId, afterMs } = facts;
    const post = this.#byToken.get(token);
    if (post !== undefined) {
      this.#handOver(post, merchant, facts);
      return;
    }
    this.#early.set(token, { how, claimId, afterMs });
    const [oldest] = this.#early.keys();
    if (this.#early.size > POSTS_KEPT && oldest !== undefined) this.#early.delete(oldest);
  }

  #handOver(post: Kept, merchant: string, { how, claimId, afterMs }: HandOver): void {
    if (post.became !== 'used') post.became = how === 'claim' ? 'claimed' : 'read';
    if (claimId !== undefined) {
      this.#unclaim(post, merchant);
      post.claim = claimId;
      this.#byClaim.set(`${merchant} ${claimId}`, post);
    }
    post.handedOverAfterMs ??= afterMs;
  }

  #settled({ merchant, facts }: EventOf<'settled'>): void {
    const { token, claimId = '', what } = facts;
    const post = token === undefined ? this.#byClaim.get(`${merchant} ${claimId}`) : this.#byToken.get(token);
    if (post !== undefined) post.became = what;
  }

  /** The claim that had its token does not have it any more. */
  #unclaim(post: Kept, merchant: string): void {
    if (post.claim === undefined) return;
    const claim = `${merchant} ${post.claim}`;
    if (this.#byClaim.get(claim) === post) this.#byClaim.delete(claim);
  }
}

function recentPosts({ event, became, handedOverAfterMs }: Kept): RecentPost[] {
  if (event === undefined) return [];
  const { at: receivedAt, instance, merchant, facts } = event;
  return [{ ...facts, receivedAt, instance, merchant, correlators: correlatorsOf(facts), became, handedOverAfterMs }];
}

function correlatorsOf(facts: Correlators): Correlators {
  return Object.fromEntries(CORRELATORS.map((name) => [name, facts[name]]));
}
