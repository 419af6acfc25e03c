/**
 * What happened lately, for those who look on: a bounded ring, and readers who are told of what comes. Everything in it
 * is redacted already. It is of this process only, and ends with it.
 */
import { randomUUID } from 'node:crypto';

const KEPT = 1000;

export interface Event {
  /** Unique, also beyond this process: a reader may come back to another one. */
  id: string;
  name: string;
  /** Milliseconds since 1970. */
  at: number;
  /** Whose event it is; none for what concerns the service as a whole. */
  merchant: string | undefined;
  facts: Readonly<Record<string, unknown>>;
}

export class Events {
  readonly #process = randomUUID().slice(0, 8);
  readonly #ring: Event[] = [];
  readonly #readers = new Set<(event: Event) => void>();
  #count = 0;

  tell(name: string, merchant: string | undefined, facts: Readonly<Record<string, unknown>>): void {
    this.#count += 1;
    const event = { id: `${this.#process}-${this.#count}`, name, at: Date.now(), merchant, facts };
    this.#ring.push(event);
    if (this.#ring.length > KEPT) this.#ring.shift();
    for (const reader of this.#readers) reader(event);
  }

  /** What came after an event, oldest first. `gap`: some of it is lost, for that event is not kept any more. */
  since(id: string): { gap: boolean; events: readonly Event[] } {
    const at = this.#ring.findIndex((event) => event.id === id);
    const isLast = id === `${this.#process}-${this.#count}`;
    return { gap: at === -1 && !isLast, events: isLast ? [] : this.#ring.slice(at + 1) };
  }

  /** Tells a reader what comes from now on. Answers how to stop. */
  follow(reader: (event: Event) => void): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }
}
