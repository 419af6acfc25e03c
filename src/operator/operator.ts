/** Gathers what the operator page shows: from the events, the store's health, the waiters, and the other instances. */
import type { Waiters } from '../handoff/waiters.ts';
import type { Recorder } from '../observability/recorder.ts';
import type { InstanceState, Relay } from '../observability/relay.ts';
import type { TokenStore } from '../store/contract.ts';
import { OperatorState } from './board.ts';
import type { InstanceView, PostOutcome, PostView, View } from './view.ts';

const SAMPLE_EVERY_MS = 2000;
const POSTS_SHOWN = 50;
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
    this.#unfollow = this.#options.recorder.events.follow((event) => this.#board.note(event));
    this.#sample();
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#sampler);
    this.#unfollow();
  }

  /** All there is to see, or what there is of one merchant. */
  view(only: string | undefined): View {
    const { recorder, store, waiters, merchants, maxWaiters, needsKey } = this.#options;
    const now = Date.now();
    this.#sample();
    const shown = only === undefined ? merchants : [only];
    const states = this.#states();
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
      posts: recorder.posts.last(POSTS_SHOWN, only).map(postView),
      doors: recorder.doors.list(only),
      ...this.#board.look(now, only, (token) => recorder.posts.postOf(token)),
      ...this.#options.addresses(),
      needsKey,
    };
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
