/**
 * Exchanges redacted events and a heartbeat with the other instances. Best effort: batches are
 * bounded, and events that cannot be sent are dropped and counted.
 *
 * Events are sent only while another instance needs them. An instance with a reader says so in its
 * heartbeat. The need ends when the heartbeats stop or say otherwise. The first reader of an instance
 * asks for the past: each other instance answers with its own events that it still has.
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
/** An instance that was silent for so long is gone, and so is its need of events. */
const GONE_AFTER_MS = 7000;
/** How long a reader waits for the past of the other instances. */
const PAST_WITHIN_MS = 200;
/** An instance goes on needing events for so long after its last reader: the next request asks for no past again. */
const LINGER_MS = 10_000;
/** Of more events in one batch, only the first are sent. */
const MOST_EVENTS = 500;
const MOST_INSTANCES = 100;

interface Message {
  from: string;
  /** What just happened. */
  events?: Event[];
  /** All events of the sender that it still has, oldest first. 1.0.0 ignores it: it has them already. */
  past?: Event[];
  state?: InstanceState;
  /** Somebody reads at the sender. 1.0.0 sends no such field, and always needs events. */
  needs?: boolean;
  /** The sender needs the past, too. */
  asks?: boolean;
}

/** Ends a look. Call it once. */
export type EndLook = () => void;

export class Relay {
  readonly #channel: Channel;
  readonly #events: Events;
  readonly #self: () => InstanceState;
  readonly #onDropped: (count: number) => void;
  /** How the texts begin that are sent from here. */
  readonly #ownBeginning: string;
  readonly #others = new Map<string, { state: InstanceState; seenAt: number; answers: boolean }>();
  readonly #heard = new Map<string, Heard>();
  #batch: Event[] = [];
  #timers: NodeJS.Timeout[] = [];
  #startedAt = performance.now();

  /** Another instance needs events until then, as far as is known. */
  #neededUntil = 0;
  /** Present while another instance needs events. */
  #unfollow: (() => unknown) | undefined;

  #readers = 0;
  /** This instance needs events until then, if it has no reader. */
  #lingersUntil = 0;
  /** Resolves when the past is here, for which the first reader asked. */
  #pastCame = Promise.resolve();
  /** Whose past is awaited, and what ends the wait. */
  #awaited: { names: Set<string>; isOver: () => void } | undefined;

  /** `onDropped` gets the number of events that were needed and not sent. */
  constructor(channel: Channel, events: Events, self: () => InstanceState, onDropped: (count: number) => void) {
    this.#channel = channel;
    this.#events = events;
    this.#self = self;
    this.#onDropped = onDropped;
    this.#ownBeginning = `{"from":${JSON.stringify(events.instance)},`;
  }

  start(): void {
    this.#startedAt = performance.now();
    this.#channel.open((text) => this.#take(text));
    this.#timers = [
      setInterval(() => this.#sendBatch(), SEND_EVERY_MS),
      setInterval(() => this.#send({ state: this.#self(), needs: this.#needs }), STATE_EVERY_MS),
    ];
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#awaited?.isOver();
    this.#unfollow?.();
    this.#channel.close();
  }

  /** The other instances that were heard of lately. */
  others(): InstanceState[] {
    this.#forgetGone();
    return [...this.#others.values()].map(({ state }) => state).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Begins to read what happens at the other instances. Resolves when their past is among the
   * events, at the latest after 200 ms. Nobody may hold a place in the events before that.
   */
  async look(): Promise<EndLook> {
    const isFirst = !this.#needs;
    this.#readers += 1;
    if (isFirst) this.#pastCame = this.#ask();
    await this.#pastCame;
    return () => {
      this.#readers -= 1;
      this.#lingersUntil = performance.now() + LINGER_MS;
    };
  }

  get #needs(): boolean {
    return this.#readers > 0 || performance.now() < this.#lingersUntil;
  }

  async #ask(): Promise<void> {
    this.#forgetGone();
    const names = new Set([...this.#others].filter(([, { answers }]) => answers).map(([name]) => name));
    // An instance that just started does not know yet who is there.
    const knowsOthers = performance.now() - this.#startedAt > STATE_EVERY_MS;
    const isSent = this.#send({ state: this.#self(), needs: true, asks: true });
    if (!isSent || (knowsOthers && names.size === 0)) return;
    await new Promise<void>((resolve) => {
      const isOver = (): void => {
        clearTimeout(timer);
        this.#awaited = undefined;
        resolve();
      };
      const timer = setTimeout(isOver, PAST_WITHIN_MS);
      this.#awaited = { names, isOver };
    });
  }

  #forgetGone(): void {
    const oldest = performance.now() - GONE_AFTER_MS;
    for (const [name, { seenAt }] of this.#others) if (seenAt < oldest) this.#others.delete(name);
  }

  /** Another instance needs events from now on, or still does. */
  #needed(asksForPast: boolean): void {
    const isNew = this.#unfollow === undefined;
    this.#neededUntil = performance.now() + GONE_AFTER_MS;
    this.#unfollow ??= this.#events.follow((event) => this.#add(event));
    if (isNew || asksForPast) this.#sendPast();
  }

  #add(event: Event): void {
    if (!this.#isOwn(event)) return;
    if (this.#batch.length < MOST_EVENTS) this.#batch.push(event);
    else this.#onDropped(1);
  }

  #isOwn(event: Event | undefined): event is Event {
    return event?.instance === this.#events.instance;
  }

  #sendBatch(): void {
    if (performance.now() > this.#neededUntil) {
      this.#unfollow?.();
      this.#unfollow = undefined;
    }
    if (this.#batch.length === 0) return;
    const events = this.#batch;
    this.#batch = [];
    if (!this.#send({ events })) this.#onDropped(events.length);
  }

  /** The batch goes first: 1.0.0 does not read the past. */
  #sendPast(): void {
    this.#sendBatch();
    const { begin, end } = this.#events;
    const kept = Array.from({ length: end - begin }, (_, at) => this.#events.at(begin + at));
    this.#send({ past: kept.filter((event) => this.#isOwn(event)) });
  }

  #send(message: Omit<Message, 'from'>): boolean {
    return this.#channel.send(this.#ownBeginning + JSON.stringify(message).slice(1));
  }

  #take(text: string): void {
    // Whoever sends hears itself, and knows that already.
    if (text.startsWith(this.#ownBeginning)) return;
    const message = readMessage(text);
    if (message === undefined) return;
    const { from, events = [], past, state, needs = state !== undefined, asks = false } = message;
    if (state !== undefined && (this.#others.has(from) || this.#others.size < MOST_INSTANCES)) {
      this.#others.set(from, { state, seenAt: performance.now(), answers: message.needs !== undefined });
    }
    const heard = this.#heardOf(from);
    for (const event of events) if (heard.isNew(event)) this.#events.take(event);
    if (past !== undefined) this.#takePast(from, heard.missing(past));
    if (needs) this.#needed(asks);
  }

  #takePast(from: string, past: Event[]): void {
    // A reader that is here already has a place: it gets what is late as it comes.
    const hasPlaces = this.#readers > 0 && this.#awaited === undefined;
    if (hasPlaces) for (const event of past) this.#events.take(event);
    else if (past.length > 0) this.#events.merge(past);
    if (this.#awaited?.names.delete(from) && this.#awaited.names.size === 0) this.#awaited.isOver();
  }

  /** The instance that was silent for longest is forgotten first. */
  #heardOf(instance: string): Heard {
    const heard = this.#heard.get(instance) ?? new Heard();
    this.#heard.delete(instance);
    this.#heard.set(instance, heard);
    const [oldest = instance] = this.#heard.keys();
    if (this.#heard.size > MOST_INSTANCES) this.#heard.delete(oldest);
    return heard;
  }
}

/** Which events of an instance are here. It counts them in their ids. */
class Heard {
  /** The last one before which none is missing that the instance still had. */
  #complete = 0;
  /** The first and the last one that came without the past. */
  #first = Number.POSITIVE_INFINITY;
  #last = 0;

  isNew(event: Event): boolean {
    const number = numberOf(event);
    if (number <= Math.max(this.#complete, this.#last)) return false;
    this.#first = Math.min(this.#first, number);
    this.#last = number;
    return true;
  }

  missing(past: readonly Event[]): Event[] {
    const missing = past.filter((event) => numberOf(event) > this.#complete && numberOf(event) < this.#first);
    this.#complete = Math.max(this.#complete, this.#last, ...past.slice(-1).map(numberOf));
    this.#first = Number.POSITIVE_INFINITY;
    return missing;
  }
}

function numberOf({ id }: Event): number {
  return Number(id.slice(id.lastIndexOf('-') + 1));
}

/** Another version may speak another way: what is not understood is let go. */
function readMessage(text: string): Message | undefined {
  try {
    const message = JSON.parse(text) as Message;
    const { from, events = [], past = [], state } = message;
    const understood =
      typeof from === 'string' &&
      Array.isArray(events) &&
      Array.isArray(past) &&
      [...events, ...past].every(isEvent) &&
      (state === undefined || (state.waiters instanceof Object && Array.isArray(state.first)));
    return understood ? message : undefined;
  } catch {
    return undefined;
  }
}

function isEvent(event: Event): boolean {
  return (
    typeof event?.id === 'string' && !Number.isNaN(numberOf(event)) && isTime(event.at) && event.facts instanceof Object
  );
}

function isTime(at: unknown): boolean {
  return typeof at === 'number' && new Date(at).getTime() === at;
}
