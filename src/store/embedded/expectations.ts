/**
 * What the workers of this store announced: which expectations are open, which post fills which, which were cancelled.
 * In memory; the embedded store keeps its entries on disk.
 */
import TinyQueue from 'tinyqueue';
import { KINDS, type Kind, type TokenQuery, topicOf } from '../../token.ts';
import type { Expectation, Expiry } from '../contract.ts';
import type { ChangeSet } from './changes.ts';
import type { ExpectationEntry, Replication } from './records.ts';

export class Expectations {
  readonly #byId = new Map<string, ExpectationEntry>();
  /** Open and unfilled ones that no shared store may fill, oldest first, and the newest one of all, each by topic and kind. */
  readonly #open = new Map<string, ExpectationEntry[]>();
  readonly #newest = new Map<string, ExpectationEntry>();
  readonly #byExpiry = queueOf();
  /** Those that ended, until they are forgotten. */
  readonly #ended = queueOf();

  readonly #changes: ChangeSet;
  readonly #retentionMs: number;

  /** @param retentionMs how long an expectation is remembered after its end */
  constructor(changes: ChangeSet, retentionMs: number) {
    this.#changes = changes;
    this.#retentionMs = retentionMs;
  }

  /** Opens an expectation. */
  open({ ttlMs, ...what }: Expectation, now: number, replication: Replication = 'local'): ExpectationEntry {
    const entry: ExpectationEntry = { ...what, openedAt: now, expiresAt: now + ttlMs, replication };
    const before = this.#newest.get(placeOf(entry.merchant, entry.topic, entry.kind));
    if (before !== undefined) {
      before.replaced = true;
      this.#changes.expectation(before);
    }
    this.add(entry);
    this.#changes.expectation(entry);
    return entry;
  }

  add(entry: ExpectationEntry): void {
    const place = placeOf(entry.merchant, entry.topic, entry.kind);
    this.#byId.set(idOf(entry.merchant, entry.id), entry);
    const newest = this.#newest.get(place);
    const isNewest = newest === undefined || newest.openedAt <= entry.openedAt;
    if (isNewest && entry.replaced !== true) this.#newest.set(place, entry);
    this.#offer(place, entry);
    this.#byExpiry.push(entry);
  }

  entries(): Iterable<ExpectationEntry> {
    return this.#byId.values();
  }

  get(merchant: string, id: string): ExpectationEntry | undefined {
    return this.#byId.get(idOf(merchant, id));
  }

  /** Fills the oldest expectation under the topic that was open at a time with a token; answers it, if there was one. */
  fill(merchant: string, topic: string, kind: Kind, token: string, at: number): ExpectationEntry | undefined {
    if (this.#open.size === 0) return undefined;
    const place = placeOf(merchant, topic, kind);
    const entry = this.#open.get(place)?.find(({ openedAt, expiresAt }) => openedAt <= at && at < expiresAt);
    if (entry === undefined) return undefined;
    entry.token = token;
    this.#close(place, entry);
    this.#changes.expectation(entry);
    return entry;
  }

  /** @returns also the topics whose waiters must be woken */
  cancel(merchant: string, id: string, now: number): { answer: 'done' | 'unknown'; topics: string[] } {
    const entry = this.get(merchant, id);
    if (entry === undefined || entry.expiresAt <= now) return { answer: 'unknown', topics: [] };
    if (entry.cancelledAt !== undefined) return { answer: 'done', topics: [] };
    this.update(entry, { cancelledAt: now });
    return { answer: 'done', topics: [entry.topic] };
  }

  /** Notes where an expectation stands with regard to a shared store, or that it was cancelled there. */
  update(entry: ExpectationEntry, change: Partial<Pick<ExpectationEntry, 'replication' | 'cancelledAt'>>): void {
    const place = placeOf(entry.merchant, entry.topic, entry.kind);
    this.#close(place, entry);
    Object.assign(entry, change);
    this.#offer(place, entry);
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
    // A copy does not know what was announced through another instance since.
    if (newest?.cancelledAt !== undefined && newest.replication !== 'replicated') return { state: 'cancelled' };
    return { state: used ? 'used' : 'none' };
  }

  /** Forgets what has ended, and returns the expectations that ended without their post. */
  sweep(now: number): Expiry[] {
    const noShows: Expiry[] = [];
    for (let entry = this.#byExpiry.peek(); entry && entry.expiresAt <= now; entry = this.#byExpiry.peek()) {
      this.#byExpiry.pop();
      const { merchant, kind, id, topic } = entry;
      const place = placeOf(merchant, topic, kind);
      this.#close(place, entry);
      if (this.#newest.get(place) === entry) this.#newest.delete(place);
      this.#ended.push(entry);
      if (isFillable(entry) && !entry.reported) {
        noShows.push({ what: 'no_show', merchant, kind, expectation: id });
        entry.reported = true;
        this.#changes.expectation(entry);
      }
    }
    const forgotten = now - this.#retentionMs;
    for (let entry = this.#ended.peek(); entry && entry.expiresAt <= forgotten; entry = this.#ended.peek()) {
      this.#ended.pop();
      this.#close(placeOf(entry.merchant, entry.topic, entry.kind), entry);
      this.#byId.delete(idOf(entry.merchant, entry.id));
      this.#changes.gone('expectation', entry.merchant, entry.id);
    }
    return noShows;
  }

  #offer(place: string, entry: ExpectationEntry): void {
    if (!isFillable(entry)) return;
    const open = this.#open.get(place);
    if (open === undefined) this.#open.set(place, [entry]);
    else open.splice(open.findLastIndex(({ openedAt }) => openedAt <= entry.openedAt) + 1, 0, entry);
  }

  #close(place: string, entry: ExpectationEntry): void {
    const open = this.#open.get(place);
    const at = open?.indexOf(entry) ?? -1;
    if (open === undefined || at === -1) return;
    open.splice(at, 1);
    if (open.length === 0) this.#open.delete(place);
  }
}

function isFillable({ cancelledAt, token, replication }: ExpectationEntry): boolean {
  return cancelledAt === undefined && token === undefined && replication === 'local';
}

/** First to end first. */
function queueOf(): TinyQueue<ExpectationEntry> {
  return new TinyQueue<ExpectationEntry>([], (a, b) => a.expiresAt - b.expiresAt);
}

const idOf = (merchant: string, id: string): string => `${merchant}\n${id}`;
const placeOf = (merchant: string, topic: string, kind: Kind): string => `${merchant}\n${kind}\n${topic}`;
