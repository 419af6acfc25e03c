/**
 * Tells the other instances what happens here, and takes what they tell: redacted events, and every few seconds how each
 * instance is. Nothing waits for it: what cannot be sent is dropped, and what is sent is sent in bunches, of a bounded size.
 */
import type { Channel, StoreHealth } from '../store/contract.ts';
import type { Event, Events } from './events.ts';

/** How an instance is, as it says itself. */
export interface InstanceState {
  name: string;
  version: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  store: StoreHealth['state'];
  /** What Redis is yet to be told of. */
  pending: number;
  /** How many wait, by merchant. */
  waiters: Readonly<Record<string, number>>;
  /** Some of those who wait. */
  first: readonly { merchant: string; topic: string; since: number }[];
}

const SEND_EVERY_MS = 100;
const STATE_EVERY_MS = 2000;
/** An instance that was silent for so long is gone. */
const GONE_AFTER_MS = 7000;
/** Of more events in one bunch, only the first are told. */
const MOST_EVENTS = 500;
const MOST_INSTANCES = 100;

interface Message {
  from: string;
  events?: Event[];
  state?: InstanceState;
}

export class Relay {
  readonly #channel: Channel;
  readonly #events: Events;
  readonly #self: () => InstanceState;
  readonly #onDropped: (count: number) => void;
  /** How the texts begin that are sent from here. */
  readonly #ownBeginning: string;
  readonly #others = new Map<string, { state: InstanceState; seenAt: number }>();
  #bunch: Event[] = [];
  #timers: NodeJS.Timeout[] = [];
  #unfollow = (): unknown => undefined;

  /** `onDropped` is told of events that were not told to the others. */
  constructor(channel: Channel, events: Events, self: () => InstanceState, onDropped: (count: number) => void) {
    this.#channel = channel;
    this.#events = events;
    this.#self = self;
    this.#onDropped = onDropped;
    this.#ownBeginning = `{"from":${JSON.stringify(events.instance)},`;
  }

  start(): void {
    this.#channel.open((text) => this.#take(text));
    this.#unfollow = this.#events.follow((event) => this.#add(event));
    this.#timers = [
      setInterval(() => this.#sendEvents(), SEND_EVERY_MS),
      setInterval(() => this.#send({ state: this.#self() }), STATE_EVERY_MS),
    ];
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#unfollow();
    this.#channel.close();
  }

  /** The other instances that were heard of lately. */
  others(): InstanceState[] {
    const oldest = performance.now() - GONE_AFTER_MS;
    for (const [name, { seenAt }] of this.#others) if (seenAt < oldest) this.#others.delete(name);
    return [...this.#others.values()].map(({ state }) => state).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #add(event: Event): void {
    if (event.instance !== this.#events.instance) return;
    if (this.#bunch.length < MOST_EVENTS) this.#bunch.push(event);
    else this.#onDropped(1);
  }

  #sendEvents(): void {
    if (this.#bunch.length === 0) return;
    const events = this.#bunch;
    this.#bunch = [];
    if (!this.#send({ events })) this.#onDropped(events.length);
  }

  #send(message: Omit<Message, 'from'>): boolean {
    return this.#channel.send(this.#ownBeginning + JSON.stringify(message).slice(1));
  }

  #take(text: string): void {
    // Whoever sends hears itself, and knows that already.
    if (text.startsWith(this.#ownBeginning)) return;
    const message = readMessage(text);
    if (message === undefined) return;
    if (message.state !== undefined && (this.#others.has(message.from) || this.#others.size < MOST_INSTANCES)) {
      this.#others.set(message.from, { state: message.state, seenAt: performance.now() });
    }
    for (const event of message.events ?? []) this.#events.take(event);
  }
}

/** Another version may speak another way: what is not understood is let go. */
function readMessage(text: string): Message | undefined {
  try {
    const message = JSON.parse(text) as Message;
    const { from, events = [], state } = message;
    const understood =
      typeof from === 'string' &&
      Array.isArray(events) &&
      events.every((event) => typeof event?.id === 'string' && isTime(event.at) && event.facts instanceof Object) &&
      (state === undefined || (state.waiters instanceof Object && Array.isArray(state.first)));
    return understood ? message : undefined;
  } catch {
    return undefined;
  }
}

function isTime(at: unknown): boolean {
  return typeof at === 'number' && new Date(at).getTime() === at;
}
