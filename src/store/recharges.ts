/**
 * The contract of a store of owed recharges. Once the service hands out its NIT, a recharge is owed
 * to Carat: it must be confirmed or undone. A store keeps the recharge, its decision, and which
 * instance may act on it now. Operations are atomic, and durable when they resolve. No operation
 * changes a decision that is set.
 */

export type RechargeDecision = 'confirm' | 'undo';

export interface OwedRecharge {
  merchant: string;
  /** The token id of the NIT. */
  id: string;
  /** Undefined when it is sealed with a key that this instance does not have. */
  nit: string | undefined;
  merchantUsn: string;
  /**
   * The service undoes a recharge without a decision after this time: ms since 1970, by the store's
   * clock.
   */
  settleBy: number;
  /** `guard`: the service decided, because no worker had by `settleBy`. */
  decided?: { decision: RechargeDecision; by: 'worker' | 'guard' };
  /** How often an instance took it to settle it. */
  attempts: number;
  /** Its end at Carat, and Carat's status. The store remembers it for `REMEMBERED_MS`. */
  ended?: RechargeEnd;
}

export interface RechargeEnd {
  end: 'confirmed' | 'undone' | 'not_effected';
  status: string;
}

/** A recharge that this instance may settle at Carat until its lease ends. */
export type TakenRecharge = OwedRecharge & Required<Pick<OwedRecharge, 'decided'>>;

export interface NewRecharge {
  merchant: string;
  nit: string;
  merchantUsn: string;
  settleWithinMs: number;
}

export const REMEMBERED_MS = 24 * 3600 * 1000;

/** Seals NITs at rest, bound to the merchant and the id. */
export interface NitCipher {
  seal(nit: string, merchant: string, id: string): string;
  /** @throws Error when the key is missing or the sealed text is broken */
  open(sealed: string, merchant: string, id: string): string;
}

/**
 * Operations throw `StoreAway` when the store is unavailable. Their change may have happened
 * nevertheless.
 */
export interface RechargeStore {
  open(): Promise<void>;
  /** Adds an owed recharge. The same NIT again changes nothing. */
  owe(recharge: NewRecharge): Promise<OwedRecharge>;
  /**
   * Sets a worker's decision if there is none yet. Returns the recharge after that; undefined if
   * unknown.
   */
  decide(merchant: string, id: string, decision: RechargeDecision): Promise<OwedRecharge | undefined>;
  find(merchant: string, id: string): Promise<OwedRecharge | undefined>;
  /**
   * Returns the ids of up to `most` due recharges, most urgent first, and the number of owed ones.
   */
  due(merchant: string, most: number): Promise<{ ids: string[]; owed: number }>;
  /**
   * Gives a due recharge to one instance for `leaseMs`. Undefined if it is not due, or another
   * instance has it. Without a decision by `settleBy`, the same step decides `undo`.
   */
  take(merchant: string, id: string, leaseMs: number): Promise<TakenRecharge | undefined>;
  /**
   * Ends the lease. The recharge is due again after `ms`. Does nothing if it was taken again since.
   */
  postpone(taken: TakenRecharge, ms: number): Promise<void>;
  /** Records the end at Carat. */
  finish(recharge: OwedRecharge, end: RechargeEnd): Promise<void>;
  close(): Promise<void>;
}

/** A store of many instances. It may lose acknowledged changes. */
export interface SharedRecharges extends RechargeStore {
  /**
   * Restores a recharge or a decision that the store has lost. Replaces nothing. Returns the
   * recharge as the store has it after that.
   *
   * @param leftMs milliseconds until `settleBy`
   */
  assert(recharge: OwedRecharge, leftMs: number): Promise<OwedRecharge>;
  /** Calls the listener after each new connection or change of master. */
  onReconnect(listener: () => void): void;
}

/** Returns the NIT; undefined when it cannot be opened. */
export function openedNit(cipher: NitCipher, sealed: string, merchant: string, id: string): string | undefined {
  try {
    return cipher.open(sealed, merchant, id);
  } catch {
    return undefined;
  }
}
