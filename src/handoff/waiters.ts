/**
 * Parked requests, by topic. Knows nothing of stores: a request parks under a topic, and sleeps until a hint
 * wakes the topic, the wait ends, the client goes away, or the process drains. The number of parked requests is bounded.
 *
 * A wake-up between parking and sleeping is not lost: the next sleep ends at once.
 */
import type { TokenRecord } from '../token.ts';
import { Shares } from './shares.ts';

/** Why a sleep ended. `notified`: something may have changed, read again. */
export type WakeReason = 'notified' | 'timeout' | 'disconnected' | 'draining';

/** A token that a hint carried, with the merchant's arrival counter at that moment. */
export interface Arrival {
  token: TokenRecord;
  sequence: number;
}

/** Aborted when the client goes away. The part of an `AbortSignal` that is needed: a whole one costs 1 KB a waiter. */
export interface GoneSignal {
  readonly aborted: boolean;
  addEventListener(event: 'abort', listener: () => void): void;
  removeEventListener(event: 'abort', listener: () => void): void;
}

export interface WaitersOptions {
  /** How many may be parked at once. */
  max: number;
  /** Each of them always finds its share of the places. */
  merchants?: readonly string[];
}

export class Waiters {
  readonly #shares: Shares;
  /** By merchant, then by topic; in the order in which they came. */
  readonly #parked = new Map<string, Map<string, Set<Waiter>>>();
  #draining = false;

  constructor({ max, merchants = [] }: WaitersOptions) {
    this.#shares = new Shares(max, merchants);
  }

  get count(): number {
    return this.#shares.count;
  }

  get draining(): boolean {
    return this.#draining;
  }

  countOf(merchant: string): number {
    let count = 0;
    for (const waiters of this.#parked.get(merchant)?.values() ?? []) count += waiters.size;
    return count;
  }

  /** Who waits for what, the longest first within a topic: no more than `most`. */
  list(merchant: string, most: number): { merchant: string; topic: string; since: number }[] {
    const listed: { merchant: string; topic: string; since: number }[] = [];
    for (const [topic, waiters] of this.#parked.get(merchant) ?? []) {
      for (const { since } of waiters) if (listed.push({ merchant, topic, since }) >= most) return listed;
    }
    return listed;
  }

  /** The merchants for whom anybody waits. */
  merchants(): string[] {
    return [...this.#parked.keys()];
  }

  /**
   * Takes a place under a topic until `leave`. Answers `full` when the places left, if any, are kept for other merchants.
   *
   * @param endsAt when the wait is over, in milliseconds of `performance.now()`
   * @param signal aborted when the client goes away
   */
  park(merchant: string, topic: string, endsAt: number, signal: GoneSignal): Waiter | 'full' {
    if (!this.#shares.take(merchant)) return 'full';
    const topics = this.#parked.get(merchant) ?? new Map<string, Set<Waiter>>();
    const waiters = topics.get(topic) ?? new Set<Waiter>();
    this.#parked.set(merchant, topics.set(topic, waiters));
    const waiter = new Waiter(merchant, topic, endsAt, signal, this.#leave);
    waiters.add(waiter);
    if (this.#draining) waiter.wake('draining');
    return waiter;
  }

  wake(merchant: string, topic: string, arrival?: Arrival): void {
    for (const waiter of this.#parked.get(merchant)?.get(topic) ?? []) waiter.wake('notified', arrival);
  }

  wakeMerchant(merchant: string): void {
    for (const topic of this.#parked.get(merchant)?.keys() ?? []) this.wake(merchant, topic);
  }

  wakeAll(): void {
    for (const merchant of this.#parked.keys()) this.wakeMerchant(merchant);
  }

  /** Sends everybody away, now and from now on. */
  drain(): void {
    this.#draining = true;
    for (const topics of this.#parked.values()) {
      for (const waiters of topics.values()) for (const waiter of waiters) waiter.wake('draining');
    }
  }

  readonly #leave = (waiter: Waiter): void => {
    const { merchant, topic } = waiter;
    const topics = this.#parked.get(merchant);
    const waiters = topics?.get(topic);
    if (topics === undefined || !waiters?.delete(waiter)) return;
    this.#shares.leave(merchant);
    if (waiters.size === 0) topics.delete(topic);
    if (topics.size === 0) this.#parked.delete(merchant);
  };
}

/** Called once when a sleep ends, with the reason; with an arrival, if one notified it. */
export interface Sleeper {
  woken(why: WakeReason, arrival?: Arrival): void;
}

/** A parked request. Call `sleep()` any number of times, then `leave()`. */
export class Waiter {
  readonly merchant: string;
  readonly topic: string;
  /** When it was parked, in milliseconds since 1970. */
  readonly since = Date.now();
  readonly #endsAt: number;
  readonly #signal: GoneSignal;
  readonly #leave: (waiter: Waiter) => void;
  readonly #onGone = (): void => this.wake('disconnected');
  #pending: WakeReason | undefined;
  #arrival: Arrival | undefined;
  #sleeper: Sleeper | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(merchant: string, topic: string, endsAt: number, signal: GoneSignal, leave: (waiter: Waiter) => void) {
    this.merchant = merchant;
    this.topic = topic;
    this.#endsAt = endsAt;
    this.#signal = signal;
    this.#leave = leave;
    signal.addEventListener('abort', this.#onGone);
    if (signal.aborted) this.#pending = 'disconnected';
  }

  /** Ends the sleep, or the next one. That a client is gone or the process drains is not overwritten by a mere look. */
  wake(why: 'notified' | 'disconnected' | 'draining', arrival?: Arrival): void {
    if (this.#sleeper !== undefined) {
      this.#end(why, arrival);
      return;
    }
    this.#arrival = arrival ?? this.#arrival;
    if (this.#pending === undefined || this.#pending === 'notified') this.#pending = why;
  }

  /** Calls the sleeper when there is a reason; at once, if there has been one since the last sleep. */
  sleepThen(sleeper: Sleeper): void {
    if (this.#pending !== undefined) {
      const [woken, arrival] = [this.#pending, this.#arrival];
      if (woken === 'notified') this.#pending = undefined;
      this.#arrival = undefined;
      sleeper.woken(woken, arrival);
      return;
    }
    this.#sleeper = sleeper;
    this.#sleepOn();
  }

  /** The same as a promise. */
  sleep(): Promise<WakeReason> {
    return new Promise((resolve) => this.sleepThen({ woken: (why) => resolve(why) }));
  }

  leave(): void {
    this.#signal.removeEventListener('abort', this.#onGone);
    this.#leave(this);
  }

  /** One function for all waiters: thousands wait at once. */
  static #endOfWait(waiter: Waiter): void {
    waiter.#sleepOn();
  }

  /** Node measures a timer from the start of the tick that sets it, so that it may end before its time. */
  #sleepOn(): void {
    const leftMs = this.#endsAt - performance.now();
    if (leftMs <= 0) this.#end('timeout');
    else this.#timer = setTimeout(Waiter.#endOfWait, Math.ceil(leftMs), this);
  }

  #end(why: WakeReason, arrival?: Arrival): void {
    const sleeper = this.#sleeper;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sleeper = undefined;
    if (why === 'disconnected' || why === 'draining') this.#pending = why;
    sleeper?.woken(why, arrival);
  }
}
