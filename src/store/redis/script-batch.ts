/** Calls of one script in one tick, sent to Redis together: one script call per merchant. */

/** Size for an early flush: Redis starts while we still read the tick, and no call blocks it for long. */
const MOST_ITEMS_A_CALL = 16;

interface Waiting<Item, Answer> {
  item: Item;
  resolve: (answer: Answer) => void;
  reject: (error: unknown) => void;
}

interface Batch<Item, Answer> {
  readonly merchant: string;
  waiting: Waiting<Item, Answer>[];
}

export class ScriptBatch<Item, Answer> {
  readonly #call: (merchant: string, items: Item[]) => Promise<Answer[]>;
  readonly #onSent: (item: Item) => void;
  /**
   * The items of this tick, by merchant. An empty batch stays: the tables that a growing Map
   * discards keep short-lived objects reachable.
   */
  readonly #batches = new Map<string, Batch<Item, Answer>>();
  /** The batches begun in this tick. */
  #begun: Batch<Item, Answer>[] = [];

  /**
   * @param call calls the script, which takes the items in their order; returns the answer to each.
   * If it fails, so does each item.
   * @param onSent called for each item that was sent; Redis answers a later request after this one
   */
  constructor(call: (merchant: string, items: Item[]) => Promise<Answer[]>, onSent: (item: Item) => void = () => {}) {
    this.#call = call;
    this.#onSent = onSent;
  }

  /** @throws StoreAway */
  add(merchant: string, item: Item): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const batch = this.#batchOf(merchant);
      const count = batch.waiting.push({ item, resolve, reject });
      if (count === MOST_ITEMS_A_CALL) this.#send([batch]);
      else if (count === 1 && this.#begun.push(batch) === 1) setImmediate(() => this.#flush());
    });
  }

  #batchOf(merchant: string): Batch<Item, Answer> {
    let batch = this.#batches.get(merchant);
    if (batch === undefined) {
      batch = { merchant, waiting: [] };
      this.#batches.set(merchant, batch);
    }
    return batch;
  }

  #flush(): void {
    const begun = this.#begun;
    this.#begun = [];
    this.#send(begun);
  }

  /** Sends all batches before any `onSent`: the reads of waiters follow every post. */
  #send(batches: readonly Batch<Item, Answer>[]): void {
    const sent = batches.flatMap((batch) => this.#sendOne(batch));
    for (const { item } of sent) this.#onSent(item);
  }

  #sendOne(batch: Batch<Item, Answer>): Waiting<Item, Answer>[] {
    const { merchant, waiting } = batch;
    if (waiting.length === 0) return [];
    batch.waiting = [];
    const items = waiting.map(({ item }) => item);
    this.#call(merchant, items).then(
      (answers) => {
        for (const [i, { resolve }] of waiting.entries()) resolve(answers[i] as Answer);
      },
      (error: unknown) => {
        for (const { reject } of waiting) reject(error);
      },
    );
    return waiting;
  }
}
