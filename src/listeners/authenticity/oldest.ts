/**
 * Finds the member of a set that has been in some state for the longest time. One pass over all members serves a batch of
 * answers, so that a flood of connections costs little.
 */

/** How many members one pass finds. */
const BATCH = 256;

interface Candidate<T> {
  member: T;
  since: number;
}

export class Oldest<T> {
  readonly #all: ReadonlySet<T>;
  readonly #sinceOf: (member: T) => number | undefined;
  /** The oldest is last. */
  #batch: Candidate<T>[] = [];

  /** @param sinceOf since when a member is in the state; undefined when it is not */
  constructor(all: ReadonlySet<T>, sinceOf: (member: T) => number | undefined) {
    this.#all = all;
    this.#sinceOf = sinceOf;
  }

  find(): T | undefined {
    return this.#next() ?? this.#refill();
  }

  #next(): T | undefined {
    for (let one = this.#batch.at(-1); one !== undefined; one = this.#batch.at(-1)) {
      if (this.#all.has(one.member) && this.#sinceOf(one.member) === one.since) return one.member;
      this.#batch.pop();
    }
    return undefined;
  }

  #refill(): T | undefined {
    const found: Candidate<T>[] = [];
    for (const member of this.#all) {
      const since = this.#sinceOf(member);
      if (since !== undefined) found.push({ member, since });
    }
    this.#batch = found.sort((a, b) => b.since - a.since).slice(-BATCH);
    return this.#next();
  }
}
