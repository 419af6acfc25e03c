/** What a store of many processes must be able to do, so that the fallback store can stand around it. */
import type { TokenRecord } from '../../token.ts';
import type { SettleAnswer, TokenStore } from '../contract.ts';
import type { ClaimEntry, ExpectationEntry, TokenEntry } from '../embedded/records.ts';

/** A token as it goes to a shared store, with what happened to it meanwhile. */
export interface MergedToken {
  entry: TokenEntry;
  /** The claims before the last one. */
  formerClaims: ClaimEntry[];
  /** True when its claim may have taken another token in the shared store, by a call that went unanswered. */
  doubtful: boolean;
}

export type MergedState = 'live' | 'used' | 'unexpected';

/** What settling answers, and with `done` the token that is used now. */
export interface Settled {
  answer: SettleAnswer;
  used?: TokenRecord;
}

export interface SharedStore extends TokenStore {
  /** What fails together: merchants of one domain are away together. */
  domainOf(merchant: string): string;
  /** Resolves when the store takes writes for this merchant. @throws StoreAway */
  probe(merchant: string): Promise<void>;
  /** Like `settle`. */
  settleAndTell(merchant: string, claimId: string, how: 'use' | 'release'): Promise<Settled>;
  /** Like `use`. */
  useAndTell(merchant: string, id: string): Promise<Settled>;
  /** Puts what is absent; of two states the further one wins. Answers the state each token has now. @throws StoreAway */
  merge(merchant: string, tokens: MergedToken[], now: number): Promise<MergedState[]>;
  /** Like `cancel`, and answers what was cancelled; nothing when no such expectation is open. @throws StoreAway */
  cancelAndTell(merchant: string, id: string, now: () => number): Promise<ExpectationEntry | undefined>;
  /** By how many milliseconds this store's clock is ahead of the given one. @throws StoreAway */
  clockAhead(merchant: string, clock: () => number): Promise<number>;
  /**
   * Puts what is absent; a cancellation wins. A token that was refused and that one of them admits is live from now on.
   *
   * @param ahead by how many milliseconds this store's clock is ahead of the times in the expectations
   * @returns how many refused tokens are live now
   * @throws StoreAway
   */
  mergeExpectations(merchant: string, expectations: readonly ExpectationEntry[], ahead: number): Promise<number>;
  /** Calls back after each new connection or change of master: acknowledged writes may be lost. */
  onReconnect(listener: () => void): void;
}
