/** Base of the store decorators: forwards every operation to the inner store. */
import type { Claim, NewToken, TokenQuery, TokenRecord } from '../token.ts';
import type {
  ClaimAnswer,
  ClaimRequest,
  Expectation,
  PutAnswer,
  ReadAnswer,
  SettleAnswer,
  StoreEvents,
  StoreHealth,
  TokenStore,
} from './contract.ts';

export class ForwardingStore implements TokenStore {
  protected readonly inner: TokenStore;

  constructor(inner: TokenStore) {
    this.inner = inner;
  }

  open(events: StoreEvents): Promise<void> {
    return this.inner.open(events);
  }
  put(token: NewToken): Promise<PutAnswer> {
    return this.inner.put(token);
  }
  read(query: TokenQuery): Promise<ReadAnswer> {
    return this.inner.read(query);
  }
  readArrival(arrival: TokenRecord): ReadAnswer | undefined {
    return this.inner.readArrival(arrival);
  }
  claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return this.inner.claim(request);
  }
  settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    return this.inner.settle(merchant, claimId, how);
  }
  undo(merchant: string, claim: Claim): Promise<boolean> {
    return this.inner.undo(merchant, claim);
  }
  use(merchant: string, id: string): Promise<SettleAnswer> {
    return this.inner.use(merchant, id);
  }
  expect(expectation: Expectation): Promise<number> {
    return this.inner.expect(expectation);
  }
  cancel(merchant: string, id: string): Promise<'done' | 'unknown' | 'away'> {
    return this.inner.cancel(merchant, id);
  }
  sequence(merchant: string): Promise<number> {
    return this.inner.sequence(merchant);
  }
  health(): StoreHealth {
    return this.inner.health();
  }
  close(): Promise<void> {
    return this.inner.close();
  }
}
