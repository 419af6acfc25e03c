/** The contract of a shared store, which the fallback store wraps. Many processes use it. */
import type { NewToken, TokenRecord } from '../../token.ts';
import type { PutAnswer, SettleAnswer, TokenStore } from '../contract.ts';
import type { ClaimEntry, ExpectationEntry, TokenEntry } from '../embedded/records.ts';

/** A token with its claims, as the reconciler sends it to a shared store. */
export interface MergedToken {
  entry: TokenEntry;
  /** The last claim of the token. Undefined if that claim took another token since. */
  claimEntry: ClaimEntry | undefined;
  /** Earlier claims. */
  formerClaims: ClaimEntry[];
}

export interface MergeResult {
  /** `over`: expired by the shared store's clock, and not stored. */
  state: 'live' | 'used' | 'unexpected' | 'over';
  /** When the token expires, by the shared store's clock: milliseconds since 1970. */
  ends: number;
}

/** A change of a token or an expectation. The shared store announces it to all instances. */
export type TokenChange = { merchant: string; id: string } & (
  | { what: 'used' }
  /** `id` is the id of an expectation. */
  | { what: 'cancelled' }
  | { what: 'released'; claimId: string }
  | { what: 'claimed'; claimId: string; leaseMs: number; deliveries: number; renewals: number; taken: number }
);

/** The last mark of an instance in the shared store. */
export interface Mark {
  /** The run of the shared store's process in which the instance asserted its uses and claims. */
  run: string;
  /** When it last had nothing pending: milliseconds since 1970, by the shared store's clock. */
  at: number;
  /** True when the instance stopped with nothing pending. */
  hasLeft: boolean;
}

/** Which instances share a merchant, by name. */
export interface Attendance {
  /** The current run of the shared store's process. */
  run: string;
  /** Milliseconds since 1970, by the shared store's clock. */
  now: number;
  marks: Map<string, Mark>;
}

/** The answer of a settle. `used`: the token, if the settle used it. */
export interface Settled {
  answer: SettleAnswer;
  used?: TokenRecord;
}

export interface MergedExpectations {
  /** Number of refused tokens that are live now. */
  admitted: number;
  /**
   * Expectations that are cancelled in the shared store. The time is by the expectations' clock.
   */
  cancelled: { id: string; cancelledAt: number }[];
}

export interface SharedStore extends TokenStore {
  /**
   * Returns the failure domain of a merchant. Merchants of one domain become unavailable together.
   */
  domainOf(merchant: string): string;
  /** Resolves when the store accepts writes for this merchant. @throws StoreAway */
  probe(merchant: string): Promise<void>;
  /** Like `settle`. */
  settleAndReport(merchant: string, claimId: string, how: 'use' | 'release'): Promise<Settled>;
  /** Like `use`. */
  useAndReport(merchant: string, id: string): Promise<Settled>;
  /**
   * Like `put`. Also returns when the token arrived: milliseconds since 1970, by the shared store's
   * clock.
   */
  putAndReport(token: NewToken): Promise<{ answer: PutAnswer; arrivedAt: number }>;
  /**
   * Inserts missing tokens that have not expired. If the store has the token, the more advanced
   * state wins. With `instance`, the call fails if the mark of that instance is missing: then the
   * store lost its data. @throws StoreAway
   */
  merge(merchant: string, tokens: MergedToken[], now: number, instance?: string): Promise<MergeResult[]>;
  /**
   * Puts back the tokens that these calls took, because their answers were lost.
   *
   * @throws StoreAway
   */
  revoke(merchant: string, claims: { claimId: string; calls: string[] }[]): Promise<void>;
  /**
   * Changes the mark of this instance, and returns the marks of all. `look`: no change. `asserted`:
   * its uses and claims are in the store. `whole`: it also has nothing pending; changes nothing
   * without a mark. `leave`: it stops. @throws StoreAway
   */
  attend(merchant: string, instance: string, what: 'look' | 'asserted' | 'whole' | 'leave'): Promise<Attendance>;
  /** Calls the listener with each change through any instance. */
  onTokenChange(listener: (change: TokenChange) => void): void;
  /**
   * Like `cancel`. Returns the cancelled expectation; undefined if it is not open.
   *
   * @throws StoreAway
   */
  cancelAndReport(merchant: string, id: string, now: () => number): Promise<ExpectationEntry | undefined>;
  /**
   * Returns how many milliseconds this store's clock is ahead of the given one.
   *
   * @throws StoreAway
   */
  clockAhead(merchant: string, clock: () => number): Promise<number>;
  /**
   * Inserts missing expectations. A cancellation wins. A refused token that matches one of them
   * becomes live.
   *
   * @param ahead how many milliseconds this store's clock is ahead of the times in the expectations
   * @param reconsiders false while other instances may know of a cancellation: then no refused
   *   token becomes live
   * @throws StoreAway
   */
  mergeExpectations(
    merchant: string,
    expectations: readonly ExpectationEntry[],
    ahead: number,
    reconsiders: boolean,
  ): Promise<MergedExpectations>;
  /**
   * Calls the listener after each new connection or change of master. Acknowledged writes and hints
   * may be lost.
   */
  onReconnect(listener: () => void): void;
}
