/**
 * The fixture of every case of the store contract: one or several stores over the same data, an own
 * merchant, and short functions to put, read and claim. It does not know the tested implementation.
 */
import { randomBytes } from 'node:crypto';
import { it } from 'vitest';
import type { ClaimAnswer, Expiry, Hint, ReadAnswer, StoreEvents, TokenStore } from '../../../src/store/contract.ts';
import type { Correlator, Correlators, Kind } from '../../../src/token.ts';
import { type NewToken, type TokenQuery, tokenId } from '../../../src/token.ts';

export interface BedOptions {
  ttlMs: number;
  accept: 'any' | 'expected';
  maxUnexpected: number;
  /** The merchants of the case. No other case uses them. */
  merchants: readonly string[];
}

/** Data of one case. */
export interface Bed {
  /** Opens another store over the data. Resolves when it is ready. The case closes it. */
  open(events: StoreEvents): Promise<TokenStore>;
  /** Removes the data. All stores are closed before. */
  remove(): Promise<void>;
}

export interface Implementation {
  setup(options: BedOptions): Promise<Bed>;
  /** Maximum number of open stores over the same data. */
  instances: number;
}

/** A lifetime and a lease that end after every case. */
export const TTL_MS = 600_000;
export const LONG_MS = 60_000;

export interface ClaimOptions {
  leaseMs?: number;
  refuseConflict?: boolean;
  merchant?: string;
}

export type Held = ClaimAnswer & { state: 'held' };

export class Bench {
  readonly merchant = `m-${randomBytes(6).toString('hex')}`;
  /** Another merchant. */
  readonly stranger = `s-${randomBytes(6).toString('hex')}`;
  /** The open stores. `hints` has the received hints of each, by index. */
  stores: TokenStore[] = [];
  hints: Hint[][] = [];
  /** The codes of all notices: an absence of Redis can explain a failure. */
  readonly notices: string[] = [];
  /** Expiries from all stores of the implementation: a store of another case may report them. */
  readonly #told: Expiry[];
  readonly #instances: number;
  #bed: Bed | undefined;
  #count = 0;

  constructor(instances: number, told: Expiry[]) {
    this.#instances = instances;
    this.#told = told;
  }

  async open(setup: Implementation['setup'], options: Partial<BedOptions>): Promise<void> {
    const merchants = [this.merchant, this.stranger];
    this.#bed = await setup({ ttlMs: TTL_MS, accept: 'any', maxUnexpected: 1000, merchants, ...options });
    await this.#openStores();
  }

  async close(): Promise<void> {
    await this.#closeStores();
    await this.#bed?.remove();
  }

  /** Closes every store and opens them again over the same data. */
  async reopen(): Promise<void> {
    await this.#closeStores();
    await this.#openStores();
  }

  /** One store. */
  get a(): TokenStore {
    return this.#store(0);
  }

  /** Another store over the same data, if the implementation supports it. */
  get b(): TokenStore {
    return this.#store(this.stores.length - 1);
  }

  /** A new token, with a new value by default. Without correlators, it belongs to the pool. */
  token(fields: Correlators & { kind?: Kind; value?: string; merchant?: string } = {}): NewToken {
    const { kind = 'token', value = this.value(), merchant = this.merchant, ...correlators } = fields;
    const id = tokenId(merchant, kind, value);
    return { id, merchant, kind, value, correlators, pooled: Object.keys(correlators).length === 0 };
  }

  value(): string {
    this.#count += 1;
    return `${this.#count}-${randomBytes(28).toString('hex')}`;
  }

  /** Puts tokens one after the other, oldest first. */
  async put(...tokens: NewToken[]): Promise<void> {
    for (const token of tokens) {
      const answer = await this.a.put(token);
      if (answer !== 'kept') throw new Error(`expected the token to be kept, it was ${answer}`);
    }
  }

  by(by: Correlator, is: string, kind?: Kind): TokenQuery {
    return { merchant: this.merchant, by, is, ...(kind === undefined ? {} : { kind }) };
  }

  pool(kind: Kind = 'token'): TokenQuery {
    return { merchant: this.merchant, by: 'pool', kind };
  }

  claim(
    store: TokenStore,
    claimId: string,
    query: TokenQuery | undefined = this.pool(),
    { leaseMs = LONG_MS, refuseConflict = false, merchant = this.merchant }: ClaimOptions = {},
  ): Promise<ClaimAnswer> {
    return store.claim({ merchant, claimId, leaseMs, query, refuseConflict });
  }

  /** Claims, and fails unless the claim holds a token. */
  async hold(store: TokenStore, claimId: string, query?: TokenQuery, options?: ClaimOptions): Promise<Held> {
    const answer = await this.claim(store, claimId, query, options);
    if (answer.state !== 'held') throw new Error(`expected ${claimId} to hold a token, got ${answer.state}`);
    return answer;
  }

  /** The expiries of this case's merchant. */
  expiries(): Expiry[] {
    return this.#told.filter(({ merchant }) => merchant === this.merchant);
  }

  #store(at: number): TokenStore {
    const store = this.stores[at];
    if (store === undefined) throw new Error('no store is open');
    return store;
  }

  async #openStores(): Promise<void> {
    for (let at = 0; at < this.#instances; at++) {
      const hints: Hint[] = [];
      const store = await this.#bed?.open({
        onHint: (hint) => hints.push(hint),
        onGap: () => {},
        onExpiry: (expiry) => this.#told.push(expiry),
        onNotice: ({ code }) => this.notices.push(code),
      });
      if (store === undefined) throw new Error('the case has no bed');
      this.stores.push(store);
      this.hints.push(hints);
    }
  }

  async #closeStores(): Promise<void> {
    const stores = this.stores;
    this.stores = [];
    this.hints = [];
    for (const store of stores) await store.close();
  }
}

/** One case of the contract. */
export type Case = (name: string, run: (bench: Bench) => Promise<void>, options?: Partial<BedOptions>) => void;

/** Several cases run at once, because many wait for time to pass. */
export function casesOf({ setup, instances }: Implementation): Case {
  const told: Expiry[] = [];
  return (name, run, options = {}) =>
    it.concurrent(name, async () => {
      const bench = new Bench(instances, told);
      try {
        await bench.open(setup, options);
        await run(bench);
      } finally {
        await bench.close();
      }
    });
}

/** The value of the token in an answer, or the state of the answer. */
export function valueIn(answer: ReadAnswer | ClaimAnswer): string {
  return answer.state === 'live' || answer.state === 'held' ? answer.token.value : answer.state;
}
