/** The posts of one tick, sent to Redis together: one script call per merchant. */
import type { NewToken } from '../../token.ts';
import type { PutAnswer, StoreAway } from '../contract.ts';
import { tokenArguments } from './wire.ts';

/** Size for an early flush: Redis starts while we still read the tick, and no call blocks it for long. */
const MOST_TOKENS_A_CALL = 16;

/** The outcome for a token, and its time of arrival by the clock of Redis. */
export interface Put {
  answer: PutAnswer;
  arrivedAt: number;
}

interface Waiting {
  token: NewToken;
  resolve: (answer: Put) => void;
  reject: (error: StoreAway) => void;
}

interface Batch {
  readonly merchant: string;
  waiting: Waiting[];
}

export class PutBatch {
  /** Calls the script with the arguments of some tokens; returns the outcome of each. */
  readonly #call: (merchant: string, tokens: string[]) => Promise<unknown>;
  readonly #onSent: (token: NewToken) => void;
  /**
   * The posts of this tick, by merchant. An empty batch stays: the tables that a growing Map
   * discards keep short-lived objects reachable.
   */
  readonly #batches = new Map<string, Batch>();
  /** The batches begun in this tick. */
  #begun: Batch[] = [];

  /**
   * @param onSent called for each token that was sent; Redis answers a later request after it keeps
   * the token
   */
  constructor(call: (merchant: string, tokens: string[]) => Promise<unknown>, onSent: (token: NewToken) => void) {
    this.#call = call;
    this.#onSent = onSent;
  }

  /** @throws StoreAway */
  put(token: NewToken): Promise<Put> {
    return new Promise((resolve, reject) => {
      const batch = this.#batchOf(token.merchant);
      const count = batch.waiting.push({ token, resolve, reject });
      if (count === MOST_TOKENS_A_CALL) this.#send([batch]);
      else if (count === 1 && this.#begun.push(batch) === 1) setImmediate(() => this.#flush());
    });
  }

  #batchOf(merchant: string): Batch {
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
  #send(batches: readonly Batch[]): void {
    const sent = batches.flatMap((batch) => this.#sendOne(batch));
    for (const { token } of sent) this.#onSent(token);
  }

  #sendOne(batch: Batch): Waiting[] {
    const { merchant, waiting } = batch;
    if (waiting.length === 0) return [];
    batch.waiting = [];
    const tokens = waiting.flatMap(({ token }) => tokenArguments(token));
    this.#call(merchant, tokens).then(
      (reply) => {
        const answers = reply as PutAnswer[];
        const arrivedAt = Number(answers.at(-1));
        for (const [i, { resolve }] of waiting.entries()) resolve({ answer: answers[i] as PutAnswer, arrivedAt });
      },
      (error: StoreAway) => {
        for (const { reject } of waiting) reject(error);
      },
    );
    return waiting;
  }
}
