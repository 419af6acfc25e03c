/** The data of the operator page: from events, the store's health, waiters, and the other instances. */
import type { Waiters } from '../handoff/waiters.ts';
import type { Event } from '../observability/event.ts';
import type { RecentPost } from '../observability/recent-posts.ts';
import type { Recorder } from '../observability/recorder.ts';
import type { InstanceState } from '../observability/relay/message.ts';
import type { Relay } from '../observability/relay/relay.ts';
import type { TokenStore } from '../store/contract.ts';
import { lifeOf } from './life.ts';
import { OperatorState } from './operator-state.ts';
import type { InstanceView, View } from './view.ts';

const SAMPLE_EVERY_MS = 2000;
const POSTS_SHOWN = 50;
/** Number of posts searched by a filter. */
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
  /** Recharges owed for a merchant; undefined if the service does not ask Carat. */
  owed: (merchant: string) => number | undefined;
  /** The report of this instance. */
  self: () => InstanceState;
  /** Known only after the listeners have started. */
  addresses: () => { authenticityUrl: string; workerUrl: string };
}

export class Operator {
  readonly #options: OperatorOptions;
  readonly #state: OperatorState;
  #sampler: NodeJS.Timeout | undefined;
  #unfollow = (): unknown => undefined;

  constructor(options: OperatorOptions) {
    this.#options = options;
    this.#state = new OperatorState(options.merchants);
  }

  start(): void {
    const { events } = this.#options.recorder;
    const unfollow = events.follow((event) => this.#state.record(event));
    const unmerge = events.onMerge((event, isNew) => this.#state.recordMerged(event, isNew));
    this.#unfollow = () => [unfollow(), unmerge()];
    this.#sample();
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#sampler);
    this.#unfollow();
  }

  /** Returns the view with the events of the other instances. The request to them takes at most 200 ms. */
  async viewOfAll(only: string | undefined, filter = ''): Promise<View> {
    const endReading = await this.#options.relay?.beginReading();
    endReading?.();
    return this.view(only, filter);
  }

  /**
   * Returns the view of all merchants, or of one.
   *
   * @param filter words that a post must have; a fingerprint or the id of a token shows the token's
   * life
   */
  view(only: string | undefined, filter = ''): View {
    const { recorder, store, waiters, merchants, maxWaiters, needsKey } = this.#options;
    const now = Date.now();
    this.#sample();
    const shown = only === undefined ? merchants : [only];
    const states = this.#states();
    const ofMerchants = this.#state.view(now, only, (token) => recorder.posts.postOf(token));
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
      life: filter === '' ? [] : lifeOf(this.#eventsOf(only), filter),
      owed: this.#owed(shown),
      posts: postsBy(filter, recorder.posts.last(filter === '' ? POSTS_SHOWN : POSTS_FILTERED, only)),
      doors: recorder.doors.list(only),
      ...ofMerchants,
      recent: { ...ofMerchants.recent, doors: recorder.doors.recent(now, only) },
      ...this.#options.addresses(),
      needsKey,
    };
  }

  #eventsOf(only: string | undefined): Event[] {
    const kept = this.#options.recorder.events.kept();
    return only === undefined ? kept : kept.filter(({ merchant }) => merchant === only);
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
      this.#state.sample(Date.now(), merchant, waiting, pending);
    }
  }
}

function countOf({ waiters }: InstanceState, merchants: readonly string[]): number {
  return merchants.reduce((sum, merchant) => sum + (waiters[merchant] ?? 0), 0);
}

function postsBy(filter: string, posts: readonly RecentPost[]): RecentPost[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const found = posts.filter((post) => {
    const { merchant, kind, outcome, reason, became, fingerprint, token, from, correlators } = post;
    const own = [merchant, kind, outcome, reason, became, fingerprint, token, from];
    const text = [...own, ...Object.values(correlators)].join(' ').toLowerCase();
    return words.every((word) => text.includes(word));
  });
  return found.slice(0, POSTS_SHOWN);
}
