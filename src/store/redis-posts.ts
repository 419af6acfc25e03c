/** The posts of one tick, which go to Redis together: one script call for each merchant. */
import { tokenArguments } from './redis-wire.ts';
import type { NewToken, PutAnswer, StoreAway } from './store.ts';

/** A call goes out as soon as it has so many, so that Redis works while more of the tick is read, and is never kept from others for long. */
const MOST_TOKENS_A_CALL = 16;

/** What goes to Redis when nothing is to be kept; no id tells it from a token. */
const FEIGNED: NewToken = { id: '', merchant: '', kind: 'token', value: 'x'.repeat(64), pooled: true };

interface Waiting {
  /** None is for one that is feigned. */
  token: NewToken | undefined;
  resolve: (answer: PutAnswer) => void;
  reject: (error: StoreAway) => void;
}

export class RedisPosts {
  /** Calls the script with the arguments of some tokens; answers what became of each. */
  readonly #call: (merchant: string, tokens: string[]) => Promise<unknown>;
  /** What came in this tick, by merchant. */
  readonly #batches = new Map<string, Waiting[]>();

  constructor(call: (merchant: string, tokens: string[]) => Promise<unknown>) {
    this.#call = call;
  }

  /** Without a token, one is feigned. @throws StoreAway */
  put(merchant: string, token: NewToken | undefined): Promise<PutAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#batches.size === 0) setImmediate(() => this.#flush());
      const batch = this.#batches.get(merchant) ?? [];
      this.#batches.set(merchant, batch);
      if (batch.push({ token, resolve, reject }) < MOST_TOKENS_A_CALL) return;
      this.#batches.delete(merchant);
      this.#send(merchant, batch);
    });
  }

  #flush(): void {
    for (const [merchant, batch] of this.#batches) this.#send(merchant, batch);
    this.#batches.clear();
  }

  #send(merchant: string, batch: Waiting[]): void {
    const tokens = batch.flatMap(({ token }) => tokenArguments(token ?? FEIGNED));
    this.#call(merchant, tokens).then(
      (answers) => {
        for (const [i, { resolve }] of batch.entries()) resolve((answers as PutAnswer[])[i] as PutAnswer);
      },
      (error: StoreAway) => {
        for (const { reject } of batch) reject(error);
      },
    );
  }
}
