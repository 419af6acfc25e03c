/**
 * What the workers of this store announced: which expectations are open, which post fills which, which were cancelled.
 * In memory; the embedded store keeps its entries on disk.
 */
import TinyQueue from 'tinyqueue';
import type { Kind } from '../post.ts';
import type { ExpectationEntry } from './records.ts';

export class ExpectationBook {
  readonly #byId = new Map<string, ExpectationEntry>();
  /** Open and unfilled ones, oldest first, and the newest one of all, each by topic and kind. */
  readonly #open = new Map<string, ExpectationEntry[]>();
  readonly #newest = new Map<string, ExpectationEntry>();
  readonly #byExpiry = new TinyQueue<ExpectationEntry>([], (a, b) => a.expiresAt - b.expiresAt);

  add(entry: ExpectationEntry): void {
    const place = placeOf(entry.merchant, entry.topic, entry.kind);
    this.#byId.set(idOf(entry.merchant, entry.id), entry);
    const newest = this.#newest.get(place);
    if (newest === undefined || newest.openedAt <= entry.openedAt) this.#newest.set(place, entry);
    if (entry.cancelledAt === undefined && entry.token === undefined) {
      const open = this.#open.get(place);
      if (open === undefined) this.#open.set(place, [entry]);
      else open.push(entry);
    }
    this.#byExpiry.push(entry);
  }

  entries(): Iterable<ExpectationEntry> {
    return this.#byId.values();
  }

  get(merchant: string, id: string): ExpectationEntry | undefined {
    return this.#byId.get(idOf(merchant, id));
  }

  /** Fills the oldest open expectation under the topic with a token; answers it, if there was one. */
  fill(merchant: string, topic: string, kind: Kind, token: string, now: number): ExpectationEntry | undefined {
    const place = placeOf(merchant, topic, kind);
    const entry = this.#open.get(place)?.find((candidate) => candidate.expiresAt > now);
    if (entry === undefined) return undefined;
    entry.token = token;
    this.#close(place, entry);
    return entry;
  }

  cancel(entry: ExpectationEntry, now: number): void {
    entry.cancelledAt = now;
    this.#close(placeOf(entry.merchant, entry.topic, entry.kind), entry);
  }

  /** True when the last thing that was expected under the topic, of the kind or of any, was cancelled. */
  isCancelled(merchant: string, topic: string, kinds: readonly Kind[], now: number): boolean {
    let newest: ExpectationEntry | undefined;
    for (const kind of kinds) {
      const entry = this.#newest.get(placeOf(merchant, topic, kind));
      if (entry !== undefined && entry.expiresAt > now && (newest === undefined || entry.openedAt >= newest.openedAt)) {
        newest = entry;
      }
    }
    return newest?.cancelledAt !== undefined;
  }

  /** Removes what is over, and answers it. */
  sweep(now: number): ExpectationEntry[] {
    const over: ExpectationEntry[] = [];
    for (let entry = this.#byExpiry.peek(); entry && entry.expiresAt <= now; entry = this.#byExpiry.peek()) {
      this.#byExpiry.pop();
      const place = placeOf(entry.merchant, entry.topic, entry.kind);
      this.#byId.delete(idOf(entry.merchant, entry.id));
      this.#close(place, entry);
      if (this.#newest.get(place) === entry) this.#newest.delete(place);
      over.push(entry);
    }
    return over;
  }

  #close(place: string, entry: ExpectationEntry): void {
    const open = this.#open.get(place);
    const at = open?.indexOf(entry) ?? -1;
    if (open === undefined || at === -1) return;
    open.splice(at, 1);
    if (open.length === 0) this.#open.delete(place);
  }
}

const idOf = (merchant: string, id: string): string => `${merchant}\n${id}`;
const placeOf = (merchant: string, topic: string, kind: Kind): string => `${merchant}\n${kind}\n${topic}`;
