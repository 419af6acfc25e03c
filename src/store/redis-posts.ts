/** The posts of one tick, which go to Redis together: one script call for each merchant. */
import { tokenArguments } from './redis-wire.ts';
import type { NewToken, PutAnswer, StoreAway } from './store.ts';

/** A script call stays short, so that Redis is never kept from others. */
const MOST_TOKENS_A_CALL = 200;

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
      const waiting = { token, resolve, reject };
      const batch = this.#batches.get(merchant);
      if (batch !== undefined) {
        batch.push(waiting);
        return;
      }
      if (this.#batches.size === 0) setImmediate(() => this.#flush());
      this.#batches.set(merchant, [waiting]);
    });
  }

  #flush(): void {
    for (const [merchant, batch] of this.#batches) {
      for (let at = 0; at < batch.length; at += MOST_TOKENS_A_CALL) {
        this.#send(merchant, batch.slice(at, at + MOST_TOKENS_A_CALL));
      }
    }
    this.#batches.clear();
  }

  #send(merchant: string, part: Waiting[]): void {
    const tokens = part.flatMap(({ token }) => tokenArguments(token ?? FEIGNED));
    this.#call(merchant, tokens).then(
      (answers) => {
        for (const [i, { resolve }] of part.entries()) resolve((answers as PutAnswer[])[i] as PutAnswer);
      },
      (error: StoreAway) => {
        for (const { reject } of part) reject(error);
      },
    );
  }
}
