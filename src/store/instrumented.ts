/** Reports the duration and the outcome of each operation of the inner store. */
import type { Claim, NewToken, TokenQuery } from '../token.ts';
import {
  type ClaimAnswer,
  type ClaimRequest,
  type Expectation,
  type PutAnswer,
  type ReadAnswer,
  type SettleAnswer,
  StoreAway,
  type TokenStore,
} from './contract.ts';
import { ForwardingStore } from './forwarding.ts';

/** `away`: the shared store was unavailable. The answer uses only local records. */
export type OperationOutcome = 'ok' | 'away' | 'error';
export type OnOperation = (operation: string, outcome: OperationOutcome, seconds: number) => void;

export class InstrumentedStore extends ForwardingStore {
  readonly #onOperation: OnOperation;

  constructor(inner: TokenStore, onOperation: OnOperation) {
    super(inner);
    this.#onOperation = onOperation;
  }

  override put(token: NewToken): Promise<PutAnswer> {
    return this.#measure('put', super.put(token));
  }
  override read(query: TokenQuery): Promise<ReadAnswer> {
    return this.#measure('read', super.read(query));
  }
  override claim(request: ClaimRequest): Promise<ClaimAnswer> {
    return this.#measure('claim', super.claim(request));
  }
  override settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    return this.#measure('settle', super.settle(merchant, claimId, how));
  }
  override undo(merchant: string, claim: Claim): Promise<boolean> {
    return this.#measure('undo', super.undo(merchant, claim));
  }
  override use(merchant: string, id: string): Promise<SettleAnswer> {
    return this.#measure('use', super.use(merchant, id));
  }
  override expect(expectation: Expectation): Promise<number> {
    return this.#measure('expect', super.expect(expectation));
  }
  override cancel(merchant: string, id: string): Promise<'done' | 'unknown' | 'away'> {
    return this.#measure('cancel', super.cancel(merchant, id));
  }

  #measure<T>(operation: string, answer: Promise<T>): Promise<T> {
    const begunAt = performance.now();
    const report = (outcome: OperationOutcome): void =>
      this.#onOperation(operation, outcome, (performance.now() - begunAt) / 1000);
    answer.then(
      (answered) => report(isAway(answered) ? 'away' : 'ok'),
      (error) => report(error instanceof StoreAway ? 'away' : 'error'),
    );
    // Return the original promise: the caller must not wait for the report.
    return answer;
  }
}

function isAway(answer: unknown): boolean {
  return answer === 'away' || (typeof answer === 'object' && answer !== null && 'away' in answer);
}
