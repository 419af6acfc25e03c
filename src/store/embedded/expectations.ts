/**
 * What the workers of this store announced: which expectations are open, which post fills which, which were cancelled.
 * In memory; the embedded store keeps its entries on disk.
 */
import TinyQueue from 'tinyqueue';
import { KINDS, type Kind, type TokenQuery, topicOf } from '../../token.ts';
import type { Expectation, Expiry } from '../contract.ts';
import type { ChangeSet } from './changes.ts';
import type { ExpectationEntry, Standing } from './records.ts';

export class Expectations {
  readonly #byId = new Map<string, ExpectationEntry>();
  /** Open and unfilled ones, oldest first, and the newest one of all, each by topic and kind. */
  readonly #open = new Map<string, ExpectationEntry[]>();
  readonly #newest = new Map<string, ExpectationEntry>();
  readonly #byExpiry = new TinyQueue<ExpectationEntry>([], (a, b) => a.expiresAt - b.expiresAt);

  readonly #changes: ChangeSet;

  constructor(changes: ChangeSet) {
    this.#changes = changes;
  }

  /** Opens an expectation; answers when it ends. */
  open({ ttlMs, ...what }: Expectation, now: number): number {
    const entry: ExpectationEntry = { ...what, openedAt: now, expiresAt: now + ttlMs, standing: 'here' };
    this.add(entry);
    this.#changes.expectation(entry);
    return entry.expiresAt;
  }

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
    if (this.#open.size === 0) return undefined;
    const place = placeOf(merchant, topic, kind);
    const entry = this.#open.get(place)?.find((candidate) => candidate.expiresAt > now);
    if (entry === undefined) return undefined;
    entry.token = token;
    this.#close(place, entry);
    this.#changes.expectation(entry);
    return entry;
  }

  /** The topic whose waiters should hear of it, if it changed anything. */
  cancel(merchant: string, id: string, now: number): { answer: 'done' | 'unknown'; topic?: string } {
    const entry = this.get(merchant, id);
    if (entry === undefined || entry.expiresAt <= now) return { answer: 'unknown' };
    if (entry.cancelledAt !== undefined) return { answer: 'done' };
    entry.cancelledAt = now;
    this.#close(placeOf(entry.merchant, entry.topic, entry.kind), entry);
    this.#changes.expectation(entry);
    return { answer: 'done', topic: entry.topic };
  }

  /** Notes where an expectation stands with regard to a shared store. */
  update(entry: ExpectationEntry, standing: Standing): void {
    entry.standing = standing;
    this.#changes.expectation(entry);
  }

  /** What is said of a query without a live token: the last thing that was expected under it may have been cancelled. */
  absent(query: TokenQuery, used: boolean, now: number): { state: 'used' | 'cancelled' | 'none' } {
    let newest: ExpectationEntry | undefined;
    for (const kind of query.kind === undefined ? KINDS : [query.kind]) {
      const entry = this.#newest.get(placeOf(query.merchant, topicOf(query), kind));
      if (entry !== undefined && entry.expiresAt > now && (newest === undefined || entry.openedAt >= newest.openedAt)) {
        newest = entry;
      }
    }
    if (newest?.cancelledAt !== undefined) return { state: 'cancelled' };
    return { state: used ? 'used' : 'none' };
  }

  /** Forgets what is over, and tells which of it ended without its post. */
  sweep(now: number): Expiry[] {
    const noShows: Expiry[] = [];
    for (let entry = this.#byExpiry.peek(); entry && entry.expiresAt <= now; entry = this.#byExpiry.peek()) {
      this.#byExpiry.pop();
      const { merchant, kind, id, topic } = entry;
      const place = placeOf(merchant, topic, kind);
      this.#byId.delete(idOf(merchant, id));
      this.#close(place, entry);
      if (this.#newest.get(place) === entry) this.#newest.delete(place);
      const wasOpen = entry.cancelledAt === undefined && entry.token === undefined;
      if (wasOpen && entry.standing === 'here') noShows.push({ what: 'no_show', merchant, kind, expectation: id });
      this.#changes.gone('expectation', merchant, id);
    }
    return noShows;
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
