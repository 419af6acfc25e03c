/** Sends the events of this instance to the others, in batches, while one of them needs events. */
import type { Event } from '../event.ts';
import type { Events } from '../events.ts';
import type { MessageBody } from './message.ts';
import { GONE_AFTER_MS } from './peers.ts';

/** Of more events in one batch, only the first are sent. */
const MOST_EVENTS = 500;

export interface OutboxOptions {
  events: Events;
  /** False when it cannot be sent now. */
  send: (message: MessageBody) => boolean;
  /** Gets the number of events that were needed and not sent. */
  onDropped: (count: number) => void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  #batch: Event[] = [];
  /** As far as is known. */
  #neededUntil = 0;
  /** Present while another instance needs events. */
  #unfollow: (() => unknown) | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  /** Another instance needs events from now on, or still does. A new need includes the past. */
  onNeed(asksForPast: boolean): void {
    const isNew = this.#unfollow === undefined;
    this.#neededUntil = performance.now() + GONE_AFTER_MS;
    this.#unfollow ??= this.#options.events.follow((event) => this.#add(event));
    if (isNew || asksForPast) this.#sendPast();
  }

  /** To be called regularly: sends the batch, and stops when the need is over. */
  flush(): void {
    if (performance.now() > this.#neededUntil) this.stop();
    if (this.#batch.length === 0) return;
    const { send, onDropped } = this.#options;
    const events = this.#batch;
    this.#batch = [];
    if (!send({ events })) onDropped(events.length);
  }

  stop(): void {
    this.#unfollow?.();
    this.#unfollow = undefined;
  }

  #add(event: Event): void {
    if (!this.#isOwn(event)) return;
    if (this.#batch.length < MOST_EVENTS) this.#batch.push(event);
    else this.#options.onDropped(1);
  }

  /** The batch goes first: 1.0.0 does not read the past. */
  #sendPast(): void {
    this.flush();
    const { events, send } = this.#options;
    send({ past: events.kept().filter((event) => this.#isOwn(event)) });
  }

  #isOwn(event: Event): boolean {
    return event.instance === this.#options.events.instance;
  }
}
