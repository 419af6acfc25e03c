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
  readonly #ring: Event[] = [];
  readonly #readers = new Set<(event: Event) => void>();
  #count = 0;

  tell(name: string, merchant: string | undefined, facts: Readonly<Record<string, unknown>>): void {
    this.#count += 1;
    const { instance } = this;
    this.take({ id: `${instance}-${this.#count}`, name, instance, at: Date.now(), merchant, facts });
  }

  /** Adds what happened here or at another instance. */
  take(event: Event): void {
    this.#ring.push(event);
    if (this.#ring.length > KEPT) this.#ring.shift();
    for (const reader of this.#readers) reader(event);
  }

  /** What came after an event, oldest first. `gap`: some of it is lost, for that event is not kept any more. */
  since(id: string): { gap: boolean; events: readonly Event[] } {
    const at = this.#ring.findLastIndex((event) => event.id === id);
    return { gap: at === -1, events: this.#ring.slice(at + 1) };
  }

  /** Tells a reader what comes from now on. Answers how to stop. */
  follow(reader: (event: Event) => void): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }
}
