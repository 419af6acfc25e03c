/**
 * The last posts that came, and what became of their tokens: redacted, bounded, and for each merchant by itself, so that
 * one merchant's flood hides nothing of another's. It is told by the events, those of other instances among them.
 */
import type { Event } from './events.ts';
import type { Correlators, Kind } from './post.ts';

export const POSTS_KEPT = 500;

/** Where a token is now: it waits for a worker, was given to one, put back, used, or expired before anybody asked. */
export type Became = 'waiting' | 'read' | 'claimed' | 'released' | 'used' | 'orphan';

export interface RecentPost extends Correlators {
  /** Milliseconds since 1970. */
  receivedAt: number;
  instance: string;
  merchant: string;
  /** The token's id; none for an unusable post. */
  token: string | undefined;
  kind: Kind | undefined;
  fingerprint: string | undefined;
  outcome: string;
  /** Why it is unusable. */
  reason: string | undefined;
  from: string;
  /** None for what is never handed out. */
  became: Became | undefined;
  claim: string | undefined;
  /** How long after its arrival its token was first given to a worker. */
  handedOverAfterMs: number | undefined;
}

const HANDED_OUT: ReadonlySet<unknown> = new Set(['kept', 'deferred', 'late']);

export class RecentPosts {
  /** By merchant, oldest first. */
  readonly #posts = new Map<string, RecentPost[]>();
  /** Those of them whose tokens are handed out: by the token, and by the claim that took it last. */
  readonly #byToken = new Map<string, RecentPost>();
  readonly #byClaim = new Map<string, RecentPost>();
  /** A waiting worker may get the token before its post is told of. */
  readonly #early = new Map<string, Event>();

  note(event: Event): void {
    const { name, merchant, facts } = event;
    if (merchant === undefined) return;
    if (name === 'post') this.#add(event, merchant);
    else if (name === 'handover') this.#handedOver(event);
    else if (name === 'settled') {
      const { token, claimId = '', what } = facts as { token?: string; claimId?: string; what: 'used' | 'released' };
      const post = token === undefined ? this.#byClaim.get(`${merchant} ${claimId}`) : this.#byToken.get(token);
      if (post !== undefined) post.became = what;
    } else if (name === 'orphan') {
      const post = this.#byToken.get(facts['id'] as string);
      if (post !== undefined) post.became = 'orphan';
    }
  }

  /** Newest first; of one merchant, or of all. */
  last(limit: number, merchant: string | undefined): RecentPost[] {
    const lists = merchant === undefined ? [...this.#posts.values()] : [this.#posts.get(merchant) ?? []];
    const newest = lists.flatMap((list) => list.slice(-limit).reverse());
    return newest.sort((a, b) => b.receivedAt - a.receivedAt).slice(0, limit);
  }

  fingerprintOf(token: string): string | undefined {
    return this.#byToken.get(token)?.fingerprint;
  }

  #add({ at, instance, facts }: Event, merchant: string): void {
    const post = recentPost(facts as Facts, at, instance, merchant);
    const list = this.#posts.get(merchant) ?? [];
    this.#posts.set(merchant, list);
    list.push(post);
    if (list.length > POSTS_KEPT) this.#forget(list.shift() as RecentPost);
    if (post.token === undefined || post.became === undefined) return;
    this.#byToken.set(post.token, post);
    const early = this.#early.get(post.token);
    if (early === undefined) return;
    this.#early.delete(post.token);
    this.#handOver(post, early);
  }

  #forget(post: RecentPost): void {
    const { token = '' } = post;
    if (this.#byToken.get(token) === post) this.#byToken.delete(token);
    this.#unclaim(post);
  }

  #handedOver(event: Event): void {
    const token = event.facts['token'] as string;
    const post = this.#byToken.get(token);
    if (post !== undefined) {
      this.#handOver(post, event);
      return;
    }
    this.#early.set(token, event);
    const [oldest] = this.#early.keys();
    if (this.#early.size > POSTS_KEPT && oldest !== undefined) this.#early.delete(oldest);
  }

  #handOver(post: RecentPost, { facts }: Event): void {
    if (post.became !== 'used') post.became = facts['how'] === 'claim' ? 'claimed' : 'read';
    const { claimId, afterMs } = facts as { claimId?: string; afterMs: number };
    if (claimId !== undefined) {
      this.#unclaim(post);
      post.claim = claimId;
      this.#byClaim.set(`${post.merchant} ${claimId}`, post);
    }
    post.handedOverAfterMs ??= afterMs;
  }

  /** The claim that had its token has it no more. */
  #unclaim(post: RecentPost): void {
    const claim = `${post.merchant} ${post.claim}`;
    if (this.#byClaim.get(claim) === post) this.#byClaim.delete(claim);
  }
}

type Facts = Omit<RecentPost, 'receivedAt' | 'instance' | 'merchant'>;

/** Written out, so that all have one shape: to copy the fields takes far longer. */
function recentPost(facts: Facts, receivedAt: number, instance: string, merchant: string): RecentPost {
  const { token, kind, merchant_data, sid, merchant_usn, order_id, fingerprint, outcome, reason, from } = facts;
  return {
    receivedAt,
    instance,
    merchant,
    token,
    kind,
    merchant_data,
    sid,
    merchant_usn,
    order_id,
    fingerprint,
    outcome,
    reason,
    from,
    became: HANDED_OUT.has(outcome) ? 'waiting' : undefined,
    claim: undefined,
    handedOverAfterMs: undefined,
  };
}
