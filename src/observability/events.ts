/**
 * What happened lately, for those who look on: a bounded ring, and readers who are told of what comes. Everything in it
 * is redacted already. It holds what happened in this process, and what a relay brings from other instances.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

const KEPT = 1000;

export interface Event {
  /** Unique among all instances: a reader may come back to another one. */
  id: string;
  name: string;
  /** Where it happened. */
  instance: string;
  /** Milliseconds since 1970. */
  at: number;
  /** Whose event it is; none for what concerns the service as a whole. */
  merchant: string | undefined;
  facts: Readonly<Record<string, unknown>>;
}

export class Events {
  /** The name of this instance: its host's, and something to tell two of a host, or of two starts, apart. */
  readonly instance = `${hostname().slice(0, 40)}-${randomBytes(2).toString('hex')}`;
  /** The place that the next event will have. A place says where a reader is. */
  end = 0;
  readonly #ring: { event: Event; text?: string }[] = [];
  readonly #readers = new Set<(event: Event) => void>();
  readonly #mergeReaders = new Set<(event: Event, isNew: boolean) => void>();
  #count = 0;

  tell(name: string, merchant: string | undefined, facts: Readonly<Record<string, unknown>>): void {
    this.#count += 1;
    const { instance } = this;
    this.take({ id: `${instance}-${this.#count}`, name, instance, at: Date.now(), merchant, facts });
  }

  /** Adds what happened here or at another instance. */
  take(event: Event): void {
    this.#ring[this.end % KEPT] = { event };
    this.end += 1;
    for (const reader of this.#readers) reader(event);
  }

  /**
   * Adds what happened before at another instance, by its time. Places change: nobody may hold one.
   * Followers do not get these events; `onMerge` gets all that is kept, oldest first.
   */
  merge(past: readonly Event[]): void {
    const isNew = new Set(past);
    const kept = Array.from({ length: this.end - this.begin }, (_, at) => this.at(this.begin + at) as Event);
    const merged = [...kept, ...past].sort((a, b) => a.at - b.at);
    this.end += past.length;
    for (const [at, event] of merged.slice(-KEPT).entries()) this.#ring[(this.begin + at) % KEPT] = { event };
    for (const event of merged) for (const reader of this.#mergeReaders) reader(event, isNew.has(event));
  }

  /** Calls a reader for each event, kept or new, oldest first, when a past is merged. */
  onMerge(reader: (event: Event, isNew: boolean) => void): () => void {
    this.#mergeReaders.add(reader);
    return () => this.#mergeReaders.delete(reader);
  }

  /** The place of the oldest event that is kept. */
  get begin(): number {
    return Math.max(0, this.end - KEPT);
  }

  /** The event at a place; undefined when it is not kept any more, or has not come yet. */
  at(place: number): Event | undefined {
    return this.#slotAt(place)?.event;
  }

  /** The same as a server-sent event, made once for all who read it. */
  textAt(place: number): string {
    const slot = this.#slotAt(place);
    if (slot === undefined) return '';
    slot.text ??= textOf(slot.event);
    return slot.text;
  }

  /** The place after an event; undefined when that is not kept any more. */
  after(id: string): number | undefined {
    for (let place = this.end - 1; place >= this.begin; place--) if (this.at(place)?.id === id) return place + 1;
    return undefined;
  }

  /** Tells a reader what comes from now on. Answers how to stop. */
  follow(reader: (event: Event) => void): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  #slotAt(place: number): { event: Event; text?: string } | undefined {
    return place < this.begin || place >= this.end ? undefined : this.#ring[place % KEPT];
  }
}

let second = { at: Number.NaN, text: '' };

/** RFC 3339. Most of it is the same for all that happens within a second, and is made once for them. */
export function timeText(at: number): string {
  const seconds = Math.floor(at / 1000);
  if (second.at !== seconds) second = { at: seconds, text: new Date(seconds * 1000).toISOString().slice(0, 20) };
  return `${second.text}${String(at - seconds * 1000).padStart(3, '0')}Z`;
}

function textOf({ id, name, at, instance, merchant, facts }: Event): string {
  const data = { at: timeText(at), instance, merchant, ...facts };
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}
