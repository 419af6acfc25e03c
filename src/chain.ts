/**
 * What is under way, in the order in which it came; put in and taken out in constant time. It stands in the place of a Set
 * where something comes and goes with every request: the tables that a Set outgrows lie about in the old generation, with
 * all that was in them, and each keeps the next one alive. So whatever passes through a Set is kept until the whole heap is
 * collected, and copied twice before.
 */
export class Link<T extends object> {
  /** None once it was taken out. */
  value: T | undefined;
  older: Link<T> | undefined;
  newer: Link<T> | undefined;

  constructor(value: T, older: Link<T> | undefined) {
    this.value = value;
    this.older = older;
    this.newer = undefined;
  }
}

export class Chain<T extends object> {
  #oldest: Link<T> | undefined;
  #newest: Link<T> | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get oldest(): T | undefined {
    return this.#oldest?.value;
  }

  /** Answers its place, by which it is taken out. */
  add(value: T): Link<T> {
    const link = new Link(value, this.#newest);
    if (this.#newest === undefined) this.#oldest = link;
    else this.#newest.newer = link;
    this.#newest = link;
    this.#size += 1;
    return link;
  }

  /** Takes out what has this place; false when that was done before. */
  remove(link: Link<T>): boolean {
    if (link.value === undefined) return false;
    const { older, newer } = link;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    // What was taken out leads to nothing newer: something old and dead must not keep what is young. Who is going through
    // the chain and stands here finds the way on by what was older.
    link.value = undefined;
    link.newer = undefined;
    this.#size -= 1;
    return true;
  }

  /** Oldest first. Whatever is put in or taken out meanwhile, each that is there when its turn comes is met once. */
  *[Symbol.iterator](): Iterator<T> {
    for (let link = this.#oldest; link?.value !== undefined; link = this.#after(link)) yield link.value;
  }

  #after(link: Link<T>): Link<T> | undefined {
    let from = link;
    while (from.value === undefined) {
      if (from.older === undefined) return this.#oldest;
      from = from.older;
    }
    return from.newer;
  }
}
