/** What a store of many processes must be able to do, so that the fallback store can stand around it. */
import type { NewToken, TokenRecord } from '../../token.ts';
import type { PutAnswer, SettleAnswer, TokenStore } from '../contract.ts';
import type { ClaimEntry, ExpectationEntry, TokenEntry } from '../embedded/records.ts';

/** A token as it goes to a shared store, with what happened to it since it arrived. */
export interface MergedToken {
  entry: TokenEntry;
  /** The claim that holds it or held it last, unless that took another token since. */
  claimEntry: ClaimEntry | undefined;
  /** The claims before the last one. */
  formerClaims: ClaimEntry[];
}

export interface MergeResult {
  /** `over`: it had expired by the clock of the shared store, and was not put. */
  state: 'live' | 'used' | 'unexpected' | 'over';
  /** When the token expires by the clock of the shared store: milliseconds since 1970. */
  ends: number;
}

/** A change of a token or an expectation, announced to all instances. */
export type TokenChange = { merchant: string; id: string } & (
  | { what: 'used' }
  /** Its id is that of an expectation. */
  | { what: 'cancelled' }
  | { what: 'released'; claimId: string }
  | { what: 'claimed'; claimId: string; leaseMs: number; deliveries: number; renewals: number; taken: number }
);

/** What an instance last said of itself in the shared store. */
export interface Mark {
  /** The run of the shared store's process in which it asserted its uses and claims. */
  run: string;
  /** When it last had nothing pending: milliseconds since 1970 by the shared store's clock. */
  at: number;
  /** It stopped, with nothing pending. */
  hasLeft: boolean;
}

/** Which instances share a merchant, by name. */
export interface Attendance {
  /** The present run of the shared store's process. */
  run: string;
  now: number;
  marks: Map<string, Mark>;
}

/** What settling answers, and with `done` the token that is used now. */
export interface Settled {
  answer: SettleAnswer;
  used?: TokenRecord;
}

export interface MergedExpectations {
  /** How many refused tokens are live now. */
  admitted: number;
  /** Those that the shared store knows to be cancelled, with the time by the clock of the expectations. */
  cancelled: { id: string; cancelledAt: number }[];
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
  /** Like `put`; also answers when the token arrived, by the shared store's clock. */
  putAndTell(token: NewToken): Promise<{ answer: PutAnswer; arrivedAt: number }>;
  /**
   * Puts what is absent and not over; of two states the further one wins. With `instance` it fails unless the marks hold
   * that instance: the store lost its data otherwise. @throws StoreAway
   */
  merge(merchant: string, tokens: MergedToken[], now: number, instance?: string): Promise<MergeResult[]>;
  /** Puts back what claims took by these calls alone, whose answers were lost. @throws StoreAway */
  revoke(merchant: string, claims: { claimId: string; calls: string[] }[]): Promise<void>;
  /**
   * The marks of all instances, and changes that of this one. `asserted`: its uses and claims are in the store. `whole`: it
   * also has nothing pending; does nothing if there is no mark. `leave`: removes it. @throws StoreAway
   */
  attend(merchant: string, instance: string, what: 'look' | 'asserted' | 'whole' | 'leave'): Promise<Attendance>;
  /** Calls back with what happens to tokens through any instance. */
  onTokenChange(listener: (change: TokenChange) => void): void;
  /** Like `cancel`, and answers what was cancelled; nothing when no such expectation is open. @throws StoreAway */
  cancelAndTell(merchant: string, id: string, now: () => number): Promise<ExpectationEntry | undefined>;
  /** By how many milliseconds this store's clock is ahead of the given one. @throws StoreAway */
  clockAhead(merchant: string, clock: () => number): Promise<number>;
  /**
   * Puts what is absent; a cancellation wins. A token that was refused and that one of them admits is live from now on.
   *
   * @param ahead by how many milliseconds this store's clock is ahead of the times in the expectations
   * @param reconsiders false while others may know that an expectation was cancelled: then no refused token is admitted
   * @throws StoreAway
   */
  mergeExpectations(
    merchant: string,
    expectations: readonly ExpectationEntry[],
    ahead: number,
    reconsiders: boolean,
  ): Promise<MergedExpectations>;
  /** Calls back after each new connection or change of master: acknowledged writes, or news of changes, may be lost. */
  onReconnect(listener: () => void): void;
}
