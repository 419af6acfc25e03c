/** Gathers what the operator page shows: from the events, the store's health, the waiters, and the other instances. */
import type { Waiters } from '../handoff/waiters.ts';
import type { Recorder } from '../observability/recorder.ts';
import type { InstanceState, Relay } from '../observability/relay.ts';
import type { TokenStore } from '../store/contract.ts';
import { OperatorState } from './board.ts';
import { lifeOf } from './life.ts';
import type { InstanceView, PostOutcome, PostView, View } from './view.ts';

const SAMPLE_EVERY_MS = 2000;
const POSTS_SHOWN = 50;
/** Looked through when there is a filter. */
const POSTS_FILTERED = 500;
export const WAITERS_SHOWN = 20;

export interface OperatorOptions {
  recorder: Recorder;
  store: TokenStore;
  waiters: Waiters;
  merchants: readonly string[];
  maxWaiters: number;
  needsKey: boolean;
  /** Absent without Redis: then there is one instance. */
  relay: Relay | undefined;
  /** Recharges owed for a merchant; undefined when the service asks Carat for nothing. */
  owed: (merchant: string) => number | undefined;
  /** What this instance says of itself. */
  self: () => InstanceState;
  /** Known only once the listeners listen. */
  addresses: () => { authenticityUrl: string; workerUrl: string };
}

export class Operator {
  readonly #options: OperatorOptions;
  readonly #board: OperatorState;
  #sampler: NodeJS.Timeout | undefined;
  #unfollow = (): unknown => undefined;

  constructor(options: OperatorOptions) {
    this.#options = options;
    this.#board = new OperatorState(options.merchants);
  }

  start(): void {
    const { events } = this.#options.recorder;
    const unfollow = events.follow((event) => this.#board.note(event));
    const unmerge = events.onMerge((event, isNew) => this.#board.noteMerged(event, isNew));
    this.#unfollow = () => [unfollow(), unmerge()];
    this.#sample();
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#sampler);
    this.#unfollow();
  }

  /** Like `view`, with what happened at the other instances; asked for, it takes at most 200 ms. */
  async viewOfAll(only: string | undefined, filter = ''): Promise<View> {
    const endLook = await this.#options.relay?.look();
    try {
      return this.view(only, filter);
    } finally {
      endLook?.();
    }
  }

  /**
   * All there is to see, or what there is of one merchant.
   *
   * @param filter words that a post must have; a fingerprint or the id of a token shows what happened to it
   */
  view(only: string | undefined, filter = ''): View {
    const { recorder, store, waiters, merchants, maxWaiters, needsKey } = this.#options;
    const now = Date.now();
    this.#sample();
    const shown = only === undefined ? merchants : [only];
    const states = this.#states();
    const board = this.#board.look(now, only, (token) => recorder.posts.postOf(token));
    const first = states.flatMap((state) => state.first).filter(({ merchant }) => shown.includes(merchant));
    return {
      now,
      only,
      merchants,
      health: store.health(),
      stopping: waiters.draining,
      waiting: {
        count: states.reduce((sum, state) => sum + countOf(state, shown), 0),
        max: maxWaiters * states.length,
        first: first.sort((a, b) => a.since - b.since).slice(0, WAITERS_SHOWN),
      },
      instances: states.map(
        (state, at): InstanceView => ({ ...state, waiters: countOf(state, shown), self: at === 0 }),
      ),
      filter,
      life: filter === '' ? [] : lifeOf(recorder.events, filter, only),
      owed: this.#owed(shown),
      posts: postsBy(filter, recorder.posts.last(filter === '' ? POSTS_SHOWN : POSTS_FILTERED, only)),
      doors: recorder.doors.list(only),
      ...board,
      recent: { ...board.recent, doors: recorder.doors.recent(now, only) },
      ...this.#options.addresses(),
      needsKey,
    };
  }

  #owed(merchants: readonly string[]): number | undefined {
    const counts = merchants.map((merchant) => this.#options.owed(merchant)).filter((count) => count !== undefined);
    return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
  }

  /** This instance first. */
  #states(): InstanceState[] {
    return [this.#options.self(), ...(this.#options.relay?.others() ?? [])];
  }

  #sample(): void {
    const states = this.#states();
    const pending = states.reduce((sum, state) => sum + state.pending, 0);
    for (const merchant of this.#options.merchants) {
      const waiting = states.reduce((sum, state) => sum + countOf(state, [merchant]), 0);
      this.#board.sample(Date.now(), merchant, waiting, pending);
    }
  }
}

function countOf({ waiters }: InstanceState, merchants: readonly string[]): number {
  return merchants.reduce((sum, merchant) => sum + (waiters[merchant] ?? 0), 0);
}

function postsBy(filter: string, posts: ReturnType<Recorder['posts']['last']>): PostView[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const found = posts.filter((post) => {
    const { merchant, kind, outcome, reason, became, fingerprint, token, from, correlators } = post;
    const own = [merchant, kind, outcome, reason, became, fingerprint, token, from];
    const text = [...own, ...Object.values(correlators)].join(' ').toLowerCase();
    return words.every((word) => text.includes(word));
  });
  return found.slice(0, POSTS_SHOWN).map(postView);
}

function postView(post: ReturnType<Recorder['posts']['last']>[number]): PostView {
  const { receivedAt, instance, merchant, kind, correlators, fingerprint, from, became, handedOverAfterMs } = post;
  const { dropped, contentType, contentEncoding } = post;
  return {
    at: receivedAt,
    instance,
    merchant,
    kind,
    outcome: (post.reason ?? post.outcome) as PostOutcome,
    correlators,
    fingerprint,
    from,
    dropped,
    contentType,
    contentEncoding,
    became,
    handedAfterMs: handedOverAfterMs,
  };
}
