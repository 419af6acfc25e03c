/**
 * The contract of a store of owed recharges. From the moment its NIT is handed out, a recharge is owed to Carat: it must be
 * confirmed or undone. A store keeps what is owed, the one decision about it, and who may act on it now; every operation is
 * atomic and durable once it resolves. A decision that is set is never changed, by no operation.
 */

export type RechargeDecision = 'confirm' | 'undo';

export interface OwedRecharge {
  merchant: string;
  /** The token id of the NIT. */
  id: string;
  /** Absent when it is sealed with a key that this instance lacks. */
  nit: string | undefined;
  merchantUsn: string;
  /** Without a decision by then it is undone; milliseconds since 1970 by the store's clock. */
  settleBy: number;
  /** Who decided: a worker, or the guard once nobody had by `settleBy`. */
  decided?: { decision: RechargeDecision; by: 'worker' | 'guard' };
  /** How often it was taken to be settled. */
  attempts: number;
  /** How it ended at Carat, and Carat's status. It is remembered for `REMEMBERED_MS` from then on. */
  ended?: RechargeEnd;
}

export interface RechargeEnd {
  end: 'confirmed' | 'undone' | 'not_effected';
  status: string;
}

/** A recharge that this instance may act on until its lease ends. */
export type TakenRecharge = OwedRecharge & Required<Pick<OwedRecharge, 'decided'>>;

export interface NewRecharge {
  merchant: string;
  nit: string;
  merchantUsn: string;
  settleWithinMs: number;
}

export const REMEMBERED_MS = 24 * 3600 * 1000;

/** Seals NITs at rest, bound to merchant and id. */
export interface NitCipher {
  seal(nit: string, merchant: string, id: string): string;
  /** @throws when it was sealed with another key */
  open(sealed: string, merchant: string, id: string): string;
}

/** All functions throw `StoreAway` when the store cannot be used; what was asked for may have been done then. */
export interface RechargeStore {
  open(): Promise<void>;
  /** Begins to owe a recharge. The same NIT again changes nothing. */
  owe(recharge: NewRecharge): Promise<OwedRecharge>;
  /** Sets a worker's decision if there is none yet, and answers the recharge as it is then; undefined when it is unknown. */
  decide(merchant: string, id: string, decision: RechargeDecision): Promise<OwedRecharge | undefined>;
  find(merchant: string, id: string): Promise<OwedRecharge | undefined>;
  /** The ids of up to `most` recharges that may be taken now, the most urgent first, and how many are owed in all. */
  due(merchant: string, most: number): Promise<{ ids: string[]; owed: number }>;
  /**
   * Gives a due recharge to one instance for `leaseMs`; undefined when it is not due, or another has it. One that nobody
   * decided about by `settleBy` is decided in the same step: it is undone.
   */
  take(merchant: string, id: string, leaseMs: number): Promise<TakenRecharge | undefined>;
  /** Ends the lease; the recharge is due again after `ms`. Nothing happens when it was taken again in the meantime. */
  postpone(taken: TakenRecharge, ms: number): Promise<void>;
  /** It has ended at Carat. */
  finish(recharge: OwedRecharge, end: RechargeEnd): Promise<void>;
  close(): Promise<void>;
}

/** A store of many instances, which may lose what it acknowledged. */
export interface SharedRecharges extends RechargeStore {
  /**
   * Brings back what the store may have lost, and answers what it has then: a missing recharge is added, a missing decision
   * too, and none is replaced.
   *
   * @param leftMs milliseconds until it must be settled
   */
  assert(recharge: OwedRecharge, leftMs: number): Promise<OwedRecharge>;
  /** Calls back after each new connection or change of master. */
  onReconnect(listener: () => void): void;
}

/** The NIT, or nothing when its key is not among ours. */
export function openedNit(cipher: NitCipher, sealed: string, merchant: string, id: string): string | undefined {
  try {
    return cipher.open(sealed, merchant, id);
  } catch {
    return undefined;
  }
}
