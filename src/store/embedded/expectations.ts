/**
 * The ledger's expectations, in memory: which are open, which token fills which, which are
 * cancelled. The ledger's user writes the changes to disk.
 */
import TinyQueue from 'tinyqueue';
import { KINDS, type Kind, type TokenQuery, topicOf } from '../../token.ts';
import type { Expectation, Expiry } from '../contract.ts';
import type { ChangeSet } from './changes.ts';
import type { ExpectationEntry, Replication } from './records.ts';

export class Expectations {
  readonly #byId = new Map<string, ExpectationEntry>();
  /**
   * By topic and kind: the open expectations that this store may fill, oldest first. A shared store
   * fills the others.
   */
  readonly #open = new Map<string, ExpectationEntry[]>();
  /** The newest expectation of any state, by topic and kind. */
  readonly #newest = new Map<string, ExpectationEntry>();
  readonly #byExpiry = queueOf();
  /** Ended expectations that are still remembered. */
  readonly #ended = queueOf();

  readonly #changes: ChangeSet;
  readonly #retentionMs: number;

  /** @param retentionMs how long to remember an expectation after its end */
  constructor(changes: ChangeSet, retentionMs: number) {
    this.#changes = changes;
    this.#retentionMs = retentionMs;
  }

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

  /**
   * Fills the oldest expectation under a topic that was open at a time. Returns it; undefined
   * without one.
   */
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

  /** @returns `topics`: their waiters must be woken */
  cancel(merchant: string, id: string, now: number): { answer: 'done' | 'unknown'; topics: string[] } {
    const entry = this.get(merchant, id);
    if (entry === undefined || entry.expiresAt <= now) return { answer: 'unknown', topics: [] };
    if (entry.cancelledAt !== undefined) return { answer: 'done', topics: [] };
    this.update(entry, { cancelledAt: now });
    return { answer: 'done', topics: [entry.topic] };
  }

  /** Updates the replication of an expectation, or records its cancellation. */
  update(entry: ExpectationEntry, change: Partial<Pick<ExpectationEntry, 'replication' | 'cancelledAt'>>): void {
    const place = placeOf(entry.merchant, entry.topic, entry.kind);
    this.#close(place, entry);
    Object.assign(entry, change);
    this.#offer(place, entry);
    this.#changes.expectation(entry);
  }

  /**
   * Answers a query that has no live token. `cancelled`: the newest expectation under it was
   * cancelled.
   */
  absent(query: TokenQuery, used: boolean, now: number): { state: 'used' | 'cancelled' | 'none' } {
    let newest: ExpectationEntry | undefined;
    for (const kind of query.kind === undefined ? KINDS : [query.kind]) {
      const entry = this.#newest.get(placeOf(query.merchant, topicOf(query), kind));
      if (entry !== undefined && entry.expiresAt > now && (newest === undefined || entry.openedAt >= newest.openedAt)) {
        newest = entry;
      }
    }
    // Another instance may have announced a newer one since. A copy cannot know that.
    if (newest?.cancelledAt !== undefined && newest.replication !== 'replicated') return { state: 'cancelled' };
    return { state: used ? 'used' : 'none' };
  }

  /** Removes expectations after their retention. Returns those that ended without their post. */
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

/** Earliest end first. */
function queueOf(): TinyQueue<ExpectationEntry> {
  return new TinyQueue<ExpectationEntry>([], (a, b) => a.expiresAt - b.expiresAt);
}

const idOf = (merchant: string, id: string): string => `${merchant}\n${id}`;
const placeOf = (merchant: string, topic: string, kind: Kind): string => `${merchant}\n${kind}\n${topic}`;
