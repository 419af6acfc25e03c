/**
 * The last events, in a ring of bounded size, and the readers that get each new one. Holds the events of
 * this process, and those that a relay receives from other instances.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type Event, type Happening, textOf } from './event.ts';

const KEPT = 1000;

interface Slot {
  event: Event;
  /** Made when the first reader needs it. */
  text?: string;
}

export class Events {
  /** The name of this instance: its host's, and four digits for this start of the process. */
  readonly instance = `${hostname().slice(0, 40)}-${randomBytes(2).toString('hex')}`;
  /** The place that the next event will have. A place says where a reader is. */
  end = 0;
  readonly #ring: Slot[] = [];
  readonly #readers = new Set<(event: Event) => void>();
  readonly #mergeReaders = new Set<(event: Event, isNew: boolean) => void>();
  #count = 0;

  /** Adds an event of this instance. */
  emit(happening: Happening): void {
    this.#count += 1;
    const { instance } = this;
    this.receive({ id: `${instance}-${this.#count}`, instance, at: Date.now(), ...happening });
  }

  /** Adds an event of this instance or of another one. */
  receive(event: Event): void {
    this.#ring[this.end % KEPT] = { event };
    this.end += 1;
    for (const reader of this.#readers) reader(event);
  }

  /**
   * Adds the past of another instance, sorted in by time. Places change: no reader may hold one.
   * Followers do not get these events; `onMerge` gets all that is kept, oldest first.
   */
  merge(past: readonly Event[]): void {
    const isNew = new Set(past);
    const merged = [...this.kept(), ...past].sort((a, b) => a.at - b.at);
    this.end += past.length;
    for (const [at, event] of merged.slice(-KEPT).entries()) this.#ring[(this.begin + at) % KEPT] = { event };
    for (const event of merged) for (const reader of this.#mergeReaders) reader(event, isNew.has(event));
  }

  /** Calls a reader for each event, kept or new, oldest first, when a past is merged. */
  onMerge(reader: (event: Event, isNew: boolean) => void): () => void {
    this.#mergeReaders.add(reader);
    return () => this.#mergeReaders.delete(reader);
  }

  /** Calls a reader for each event from now on, until it is unfollowed. */
  follow(reader: (event: Event) => void): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  /** The place of the oldest event that is kept. */
  get begin(): number {
    return Math.max(0, this.end - KEPT);
  }

  /** All that is kept, oldest first. */
  kept(): Event[] {
    const events: Event[] = [];
    for (let place = this.begin; place < this.end; place++) {
      const slot = this.#slotAt(place);
      if (slot !== undefined) events.push(slot.event);
    }
    return events;
  }

  /** The event at a place; undefined when it is not kept, or has not happened yet. */
  at(place: number): Event | undefined {
    return this.#slotAt(place)?.event;
  }

  /** The same as a server-sent event, made once for all readers. */
  textAt(place: number): string {
    const slot = this.#slotAt(place);
    if (slot === undefined) return '';
    slot.text ??= textOf(slot.event);
    return slot.text;
  }

  /** The place after an event; undefined when that event is not kept. */
  after(id: string): number | undefined {
    for (let place = this.end - 1; place >= this.begin; place--) if (this.at(place)?.id === id) return place + 1;
    return undefined;
  }

  #slotAt(place: number): Slot | undefined {
    return place < this.begin || place >= this.end ? undefined : this.#ring[place % KEPT];
  }
}
