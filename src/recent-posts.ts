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
  /** A waiting worker may get the token before its post is told of. */
  readonly #early = new Map<string, Event>();

  note(event: Event): void {
    const { name, merchant, facts } = event;
    if (merchant === undefined) return;
    if (name === 'post') this.#add(event, merchant);
    else if (name === 'handover') this.#handedOver(event, merchant);
    else if (name === 'settled') {
      const post = this.#find(merchant, ({ token, claim }) =>
        facts['token'] === undefined ? claim !== undefined && claim === facts['claimId'] : token === facts['token'],
      );
      if (post?.became !== undefined) post.became = facts['what'] as 'used' | 'released';
    } else if (name === 'orphan') {
      const post = this.#find(merchant, ({ token }) => token === facts['id']);
      if (post !== undefined) post.became = 'orphan';
    }
  }

  /** Newest first; of one merchant, or of all. */
  last(limit: number, merchant: string | undefined): RecentPost[] {
    const lists = merchant === undefined ? [...this.#posts.values()] : [this.#posts.get(merchant) ?? []];
    const newest = lists.flatMap((list) => list.slice(-limit).reverse());
    return newest.sort((a, b) => b.receivedAt - a.receivedAt).slice(0, limit);
  }

  fingerprintOf(merchant: string, token: string): string | undefined {
    return this.#find(merchant, (post) => post.token === token)?.fingerprint;
  }

  #add({ at, instance, facts }: Event, merchant: string): void {
    const post = recentPost(facts as Facts, at, instance, merchant);
    const list = this.#posts.get(merchant) ?? [];
    this.#posts.set(merchant, list);
    list.push(post);
    if (list.length > POSTS_KEPT) list.shift();
    const early = post.token === undefined ? undefined : this.#early.get(post.token);
    if (early === undefined || post.became === undefined) return;
    this.#early.delete(post.token as string);
    handOver(post, early);
  }

  #handedOver(event: Event, merchant: string): void {
    const token = event.facts['token'] as string;
    const post = this.#find(merchant, (post) => post.token === token && post.became !== undefined);
    if (post !== undefined) {
      handOver(post, event);
      return;
    }
    this.#early.set(token, event);
    const [oldest] = this.#early.keys();
    if (this.#early.size > POSTS_KEPT && oldest !== undefined) this.#early.delete(oldest);
  }

  #find(merchant: string, isIt: (post: RecentPost) => boolean): RecentPost | undefined {
    return this.#posts.get(merchant)?.findLast(isIt);
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

function handOver(post: RecentPost, { facts }: Event): void {
  if (post.became !== 'used') post.became = facts['how'] === 'claim' ? 'claimed' : 'read';
  const { claimId, afterMs } = facts as { claimId?: string; afterMs: number };
  if (claimId !== undefined) post.claim = claimId;
  post.handedOverAfterMs ??= afterMs;
}
