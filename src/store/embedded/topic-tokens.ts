/**
 * The tokens of one kind under one topic: the live ones in order of arrival, and the used one that
 * expires last. Anybody can post any number of tokens under one topic, so no operation here visits
 * all of them.
 */
import type { TokenEntry } from './records.ts';

export class TopicTokens {
  /** Oldest first. Entries before `#head` are undefined. */
  #live: (TokenEntry | undefined)[] = [];
  #head = 0;
  #lastUsed: TokenEntry | undefined;

  get isEmpty(): boolean {
    return this.#lastUsed === undefined && this.#head === this.#live.length;
  }

  /** Lists a token by its state, or removes it. */
  update(entry: TokenEntry): void {
    if (entry.state === 'live' && entry.replication !== 'replicated') this.#insert(entry);
    else this.#take(entry);
    const isUsed = entry.state === 'used';
    if (isUsed && (this.#lastUsed?.token.expiresAt ?? 0) <= entry.token.expiresAt) this.#lastUsed = entry;
  }

  delete(entry: TokenEntry): void {
    this.#take(entry);
    if (this.#lastUsed === entry) this.#lastUsed = undefined;
  }

  hasUsed(now: number): boolean {
    return this.#lastUsed !== undefined && this.#lastUsed.token.expiresAt > now;
  }

  /** Returns up to `most` tokens that have not expired, newest first. */
  newest(now: number, most: number): TokenEntry[] {
    const newest: TokenEntry[] = [];
    for (let at = this.#live.length - 1; at >= this.#head && newest.length < most; at -= 1) {
      const entry = this.#live[at] as TokenEntry;
      if (entry.token.expiresAt > now) newest.push(entry);
    }
    return newest;
  }

  #insert(entry: TokenEntry): void {
    const last = this.#live.at(-1);
    if (last === undefined || last.order < entry.order) this.#live.push(entry);
    else if (this.#find(entry) === -1) this.#live.splice(this.#placeOf(entry), 0, entry);
  }

  #take(entry: TokenEntry): void {
    const at = this.#find(entry);
    if (at === -1) return;
    if (at > this.#head) {
      this.#live.splice(at, 1);
      return;
    }
    // Tokens usually expire in order of arrival: remove the first one without moving the others.
    this.#live[this.#head] = undefined;
    this.#head += 1;
    if (this.#head * 2 < this.#live.length) return;
    this.#live = this.#live.slice(this.#head);
    this.#head = 0;
  }

  #find(entry: TokenEntry): number {
    for (let at = this.#placeOf(entry); this.#live[at]?.order === entry.order; at += 1) {
      if (this.#live[at] === entry) return at;
    }
    return -1;
  }

  /** Returns the first position with this order or a later one. */
  #placeOf({ order }: TokenEntry): number {
    let [low, high] = [this.#head, this.#live.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#live[middle] as TokenEntry).order < order) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
