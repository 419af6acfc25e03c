/**
 * A store around another, which sees sealed values only: in Redis, on disk and in memory. A token whose value does not
 * open is not handed out; it is told as trouble, by the fingerprint of its key.
 */
import type {
  Claim,
  ClaimAnswer,
  ClaimRequest,
  Expectation,
  Lead,
  NewToken,
  PutAnswer,
  ReadAnswer,
  SettleAnswer,
  StoreEvents,
  StoreHealth,
  TokenRecord,
  TokenStore,
} from './store.ts';
import { SealError, type Vault } from './vault.ts';

/** As long as a token. */
const FEIGNED = 'x'.repeat(64);

export class SealedStore implements TokenStore {
  readonly #inner: TokenStore;
  readonly #vault: Vault;
  #events: StoreEvents | undefined;

  constructor(inner: TokenStore, vault: Vault) {
    this.#inner = inner;
    this.#vault = vault;
  }

  open(events: StoreEvents): Promise<void> {
    this.#events = events;
    return this.#inner.open(events);
  }

  put(token: NewToken): Promise<PutAnswer> {
    return this.#inner.put({ ...token, value: this.#vault.seal(token.value, token.merchant, token.id) });
  }

  feign(merchant: string): Promise<void> {
    this.#vault.seal(FEIGNED, merchant, FEIGNED);
    return this.#inner.feign(merchant);
  }

  async read(lead: Lead): Promise<ReadAnswer> {
    const answer = await this.#inner.read(lead);
    if (answer.state !== 'live') return answer;
    const token = this.#opened(answer.token);
    return token === undefined ? noneLike(answer) : { ...answer, token };
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    for (;;) {
      const answer = await this.#inner.claim(request);
      if (answer.state !== 'held') return answer;
      const token = this.#opened(answer.token);
      if (token !== undefined) return { ...answer, token };
      // Put back it would be the first of the pool again, and nobody would get those behind it.
      const settled = await this.#inner.settle(request.merchant, request.claimId, 'use');
      if (settled !== 'done' || request.lead?.by !== 'pool') return noneLike(answer);
    }
  }

  settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    return this.#inner.settle(merchant, claimId, how);
  }

  undo(merchant: string, claim: Claim): Promise<void> {
    return this.#inner.undo(merchant, claim);
  }

  use(merchant: string, id: string): Promise<SettleAnswer> {
    return this.#inner.use(merchant, id);
  }

  expect(expectation: Expectation): Promise<number> {
    return this.#inner.expect(expectation);
  }

  cancel(merchant: string, id: string): Promise<'done' | 'unknown' | 'away'> {
    return this.#inner.cancel(merchant, id);
  }

  sequence(merchant: string): Promise<number> {
    return this.#inner.sequence(merchant);
  }

  health(): StoreHealth {
    return this.#inner.health();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #opened(token: TokenRecord): TokenRecord | undefined {
    const { value, merchant, id, kind } = token;
    try {
      return { ...token, value: this.#vault.open(value, merchant, id) };
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      const facts = { merchant, kind, id, key: error.key };
      this.#events?.onTrouble({ level: 'error', code: `seal_${error.code}`, message: error.message, facts });
      return undefined;
    }
  }
}

/** Nothing can be given; whether anybody can know that is as it was. */
function noneLike({ away }: { away?: true }): { state: 'none'; away?: true } {
  return away === true ? { state: 'none', away } : { state: 'none' };
}
