/**
 * The last posts that came, and what became of their tokens: redacted, bounded, and separate for each merchant, so that
 * one merchant's flood hides nothing of another's. It is told by the events, those of other instances among them.
 */
import { CORRELATORS, type Correlator, type Correlators, type Kind } from '../token.ts';
import type { Event } from './events.ts';

const POSTS_KEPT = 500;

/** Where a token is now: it waits for a worker, was given to one, put back, used, or expired before anybody asked. */
export type TokenStatus = 'waiting' | 'read' | 'claimed' | 'released' | 'used' | 'orphan';

export interface RecentPost {
  /** Milliseconds since 1970. */
  receivedAt: number;
  instance: string;
  merchant: string;
  /** The token's id; none for an unusable post. */
  token: string | undefined;
  kind: Kind | undefined;
  correlators: Correlators;
  fingerprint: string | undefined;
  outcome: string;
  /** Why it is unusable. */
  reason: string | undefined;
  from: string;
  /** Fields that could not be read. */
  dropped: readonly (Kind | Correlator)[] | undefined;
  /** What was sent instead of a form. */
  contentType: string | undefined;
  contentEncoding: string | undefined;
  /** None for what is never handed out. */
  became: TokenStatus | undefined;
  claim: string | undefined;
  /** How long after its arrival its token was first given to a worker. */
  handedOverAfterMs: number | undefined;
}

const HANDED_OUT: ReadonlySet<unknown> = new Set(['kept', 'deferred', 'late']);

type Facts = Omit<RecentPost, 'receivedAt' | 'instance' | 'merchant' | 'correlators'> & Correlators;

/** A post's event, and what came of it since. */
interface Kept {
  /** None once it is forgotten: the tables that a Map outgrows keep what was in them, and should keep little. */
  event: Event | undefined;
  became: TokenStatus | undefined;
  claim: string | undefined;
  handedOverAfterMs: number | undefined;
}

/** What a hand-over tells of a token. */
interface HandOver {
  how: 'read' | 'claim';
  claimId: string | undefined;
  afterMs: number;
}

export class RecentPosts {
  /** By merchant, oldest first. */
  readonly #posts = new Map<string, Kept[]>();
  /** Those of them whose tokens are handed out: by the token, and by the claim that took it last. */
  readonly #byToken = new Map<string, Kept>();
  readonly #byClaim = new Map<string, Kept>();
  /** A waiting worker may get the token before its post is recorded. */
  readonly #early = new Map<string, HandOver>();

  note(event: Event): void {
    const { name, merchant, facts } = event;
    if (merchant === undefined) return;
    if (name === 'post') this.#add(event, merchant);
    else if (name === 'handover') this.#handedOver(event, merchant);
    else if (name === 'settled') {
      const { token, claimId = '', what } = facts as { token?: string; claimId?: string; what: 'used' | 'released' };
      const post = token === undefined ? this.#byClaim.get(`${merchant} ${claimId}`) : this.#byToken.get(token);
      if (post !== undefined) post.became = what;
    } else if (name === 'orphan') {
      const post = this.#byToken.get(facts['id'] as string);
      if (post !== undefined) post.became = 'orphan';
    }
  }

  /**
   * Takes merged events, oldest first. A post of another instance may have been handed over here
   * before it is known: known events are applied to it again.
   */
  noteMerged(event: Event, isNew: boolean): void {
    if (isNew || event.name !== 'post') this.note(event);
  }

  /** Newest first; of one merchant, or of all. */
  last(limit: number, merchant: string | undefined): RecentPost[] {
    const lists = merchant === undefined ? [...this.#posts.values()] : [this.#posts.get(merchant) ?? []];
    const newest = lists.flatMap((list) => list.slice(-limit).reverse()).flatMap(recentPosts);
    return newest.sort((a, b) => b.receivedAt - a.receivedAt).slice(0, limit);
  }

  /** What tells a token from others, as far as its post is still kept. */
  postOf(token: string): { fingerprint: string | undefined; correlators: Correlators } {
    const facts = (this.#byToken.get(token)?.event?.facts ?? {}) as Partial<Facts>;
    return { fingerprint: facts.fingerprint, correlators: correlatorsOf(facts) };
  }

  #add(event: Event, merchant: string): void {
    const { outcome, token } = event.facts as Facts;
    const became = HANDED_OUT.has(outcome) ? 'waiting' : undefined;
    const post: Kept = { event, became, claim: undefined, handedOverAfterMs: undefined };
    const list = this.#posts.get(merchant) ?? [];
    this.#posts.set(merchant, list);
    // The past of another instance is older than what is here.
    const before = list.findLastIndex((other) => (other.event?.at ?? 0) <= event.at);
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
    const { token = '' } = (post.event?.facts ?? {}) as Partial<Facts>;
    if (this.#byToken.get(token) === post) this.#byToken.delete(token);
    this.#unclaim(post, merchant);
    post.event = undefined;
  }

  #handedOver({ facts }: Event, merchant: string): void {
    const { token, how, claimId, afterMs } = facts as unknown as HandOver & { token: string };
    const post = this.#byToken.get(token);
    if (post !== undefined) {
      this.#handOver(post, merchant, { how, claimId, afterMs });
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

  /** The claim that had its token has it no more. */
  #unclaim(post: Kept, merchant: string): void {
    if (post.claim === undefined) return;
    const claim = `${merchant} ${post.claim}`;
    if (this.#byClaim.get(claim) === post) this.#byClaim.delete(claim);
  }
}

function recentPosts({ event, became, claim, handedOverAfterMs }: Kept): RecentPost[] {
  if (event === undefined) return [];
  const { at: receivedAt, instance, merchant = '', facts } = event;
  const { token, kind, fingerprint, outcome, reason, from, dropped, contentType, contentEncoding } = facts as Facts;
  const correlators = correlatorsOf(facts);
  const told = { receivedAt, instance, merchant, token, kind, correlators, fingerprint, outcome, reason, from };
  return [{ ...told, dropped, contentType, contentEncoding, became, claim, handedOverAfterMs }];
}

function correlatorsOf(facts: Correlators): Correlators {
  return Object.fromEntries(CORRELATORS.map((name) => [name, facts[name]]));
}
