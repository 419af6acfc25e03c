/** A store around a real one, with points at which a test may hold it up, and a hand on its hints. */
import type {
  ClaimAnswer,
  ClaimRequest,
  Expectation,
  Hint,
  PutAnswer,
  ReadAnswer,
  SettleAnswer,
  StoreEvents,
  StoreHealth,
  TokenStore,
} from '../../src/store/contract.ts';
import type { Claim, NewToken, TokenQuery, TokenRecord } from '../../src/token.ts';

/** Before the store is asked, and after it decided but before anybody knows. */
export type Point = 'read begins' | 'read ends' | 'claim begins' | 'claim ends' | 'put begins' | 'put ends';

export class SteppedStore implements TokenStore {
  readonly #inner: TokenStore;
  /** The operation goes on when this resolves. `subject` is the claim id or the query's text. */
  onPoint: (point: Point, subject: string) => Promise<void> | void = () => {};
  /** What becomes of a hint. */
  onHint: (hint: Hint, deliver: (hint: Hint) => void) => void = (hint, deliver) => deliver(hint);
  /** How often the store was asked to take a claim back. */
  undone = 0;

  constructor(inner: TokenStore) {
    this.#inner = inner;
  }

  open(events: StoreEvents): Promise<void> {
    return this.#inner.open({ ...events, onHint: (hint) => this.onHint(hint, (given) => events.onHint(given)) });
  }

  async put(token: NewToken): Promise<PutAnswer> {
    await this.onPoint('put begins', token.id);
    const answer = await this.#inner.put(token);
    await this.onPoint('put ends', token.id);
    return answer;
  }

  async read(query: TokenQuery): Promise<ReadAnswer> {
    const subject = query.by === 'pool' ? query.kind : query.is;
    await this.onPoint('read begins', subject);
    const answer = await this.#inner.read(query);
    await this.onPoint('read ends', subject);
    return answer;
  }

  readArrival(arrival: TokenRecord): ReadAnswer | undefined {
    return this.#inner.readArrival(arrival);
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    await this.onPoint('claim begins', request.claimId);
    const answer = await this.#inner.claim(request);
    await this.onPoint('claim ends', request.claimId);
    return answer;
  }

  settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    return this.#inner.settle(merchant, claimId, how);
  }

  undo(merchant: string, claim: Claim): Promise<boolean> {
    this.undone += 1;
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
}
