/** A store around another, which tells how long each operation took and how it ended. It changes nothing. */
import type { Claim, NewToken, TokenQuery } from '../token.ts';
import {
  type ClaimAnswer,
  type ClaimRequest,
  type Expectation,
  type PutAnswer,
  type ReadAnswer,
  type SettleAnswer,
  StoreAway,
  type StoreEvents,
  type StoreHealth,
  type TokenStore,
} from './contract.ts';

/** `away`: the shared store could not be asked, and the answer is what is known here. */
export type OperationOutcome = 'ok' | 'away' | 'error';
export type OnOperation = (operation: string, outcome: OperationOutcome, seconds: number) => void;

export class InstrumentedStore implements TokenStore {
  readonly #inner: TokenStore;
  readonly #onOperation: OnOperation;

  constructor(inner: TokenStore, onOperation: OnOperation) {
    this.#inner = inner;
    this.#onOperation = onOperation;
  }

  open(events: StoreEvents): Promise<void> {
    return this.#inner.open(events);
  }
  put(token: NewToken): Promise<PutAnswer> {
    return this.#measure('put', this.#inner.put(token));
  }
  read(query: TokenQuery): Promise<ReadAnswer> {
    return this.#measure('read', this.#inner.read(query));
  }
  claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return this.#measure('claim', this.#inner.claim(request));
  }
  settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    return this.#measure('settle', this.#inner.settle(merchant, claimId, how));
  }
  undo(merchant: string, claim: Claim): Promise<boolean> {
    return this.#measure('undo', this.#inner.undo(merchant, claim));
  }
  use(merchant: string, id: string): Promise<SettleAnswer> {
    return this.#measure('use', this.#inner.use(merchant, id));
  }
  expect(expectation: Expectation): Promise<number> {
    return this.#measure('expect', this.#inner.expect(expectation));
  }
  cancel(merchant: string, id: string): Promise<'done' | 'unknown' | 'away'> {
    return this.#measure('cancel', this.#inner.cancel(merchant, id));
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

  #measure<T>(operation: string, answer: Promise<T>): Promise<T> {
    const begunAt = performance.now();
    const tell = (outcome: OperationOutcome): void =>
      this.#onOperation(operation, outcome, (performance.now() - begunAt) / 1000);
    answer.then(
      (answered) => tell(isAway(answered) ? 'away' : 'ok'),
      (error) => tell(error instanceof StoreAway ? 'away' : 'error'),
    );
    // The answer itself: who asked waits for nothing more.
    return answer;
  }
}

function isAway(answer: unknown): boolean {
  return answer === 'away' || (typeof answer === 'object' && answer !== null && 'away' in answer);
}
