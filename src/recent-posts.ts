/** The last posts that came, and when their tokens were handed over: redacted, bounded, of this process only. */
import type { Correlators, Kind, UnusableReason } from './post.ts';

export const POSTS_KEPT = 500;

export interface RecentPost extends Correlators {
  /** Milliseconds since 1970. */
  receivedAt: number;
  merchant: string;
  /** None for an unusable post. */
  kind?: Kind;
  fingerprint?: string;
  outcome: string;
  /** Why it is unusable. */
  reason?: UnusableReason;
  from: string;
  /** How long after its arrival its token was first given to a worker. */
  handedOverAfterMs?: number;
}

export class RecentPosts {
  /** Oldest first. */
  readonly #posts: RecentPost[] = [];
  /** A waiting worker may get the token before its post is told of. */
  readonly #early = new Map<string, number>();

  add(post: RecentPost): void {
    const name = nameOf(post);
    const handedOverAfterMs = this.#early.get(name);
    this.#early.delete(name);
    this.#posts.push(handedOverAfterMs === undefined ? post : { ...post, handedOverAfterMs });
    if (this.#posts.length > POSTS_KEPT) this.#posts.shift();
  }

  handedOver(token: { merchant: string; kind: Kind; fingerprint: string }, afterMs: number): void {
    const name = nameOf(token);
    const post = this.#posts.find((one) => nameOf(one) === name);
    if (post !== undefined) {
      post.handedOverAfterMs ??= afterMs;
      return;
    }
    this.#early.set(name, afterMs);
    const [oldest] = this.#early.keys();
    if (this.#early.size > POSTS_KEPT && oldest !== undefined) this.#early.delete(oldest);
  }

  /** Newest first; of one merchant, or of all. */
  last(limit: number, merchant: string | undefined): RecentPost[] {
    const own = this.#posts.filter((post) => merchant === undefined || post.merchant === merchant);
    return own.slice(-limit).reverse();
  }
}

function nameOf({ merchant, kind, fingerprint }: Pick<RecentPost, 'merchant' | 'kind' | 'fingerprint'>): string {
  return `${merchant}\n${kind}\n${fingerprint}`;
}
