/**
 * Owed recharges in a shared store, with copies on the local disk. This instance keeps a copy of
 * each recharge that it handed out, decided or took. After each reconnect, and every
 * `ASSERT_EVERY_MS`, it restores from the copies what the shared store lost.
 */
import { StoreAway } from '../contract.ts';
import type { EmbeddedRecharges } from '../embedded/recharges.ts';
import type {
  NewRecharge,
  OwedRecharge,
  RechargeDecision,
  RechargeEnd,
  RechargeStore,
  SharedRecharges,
  TakenRecharge,
} from '../recharges.ts';

const ASSERT_EVERY_MS = 15_000;

export class JournaledRecharges implements RechargeStore {
  readonly #shared: SharedRecharges;
  readonly #copies: EmbeddedRecharges;
  #timer: NodeJS.Timeout | undefined;
  #asserting: Promise<void> = Promise.resolve();

  constructor(shared: SharedRecharges, copies: EmbeddedRecharges) {
    this.#shared = shared;
    this.#copies = copies;
  }

  async open(): Promise<void> {
    await this.#copies.open();
    this.#shared.onReconnect(() => this.#assertAll());
    this.#timer = setInterval(() => this.#assertAll(), ASSERT_EVERY_MS);
    await this.#shared.open();
  }

  async owe(recharge: NewRecharge): Promise<OwedRecharge> {
    const owed = await this.#shared.owe(recharge);
    await this.#copy(owed);
    return owed;
  }

  async decide(merchant: string, id: string, decision: RechargeDecision): Promise<OwedRecharge | undefined> {
    let decided = await this.#shared.decide(merchant, id, decision);
    if (decided === undefined && (await this.#broughtBack(merchant, id))) {
      decided = await this.#shared.decide(merchant, id, decision);
    }
    if (decided !== undefined) await this.#copy(decided);
    return decided;
  }

  async find(merchant: string, id: string): Promise<OwedRecharge | undefined> {
    return (await this.#shared.find(merchant, id)) ?? (await this.#broughtBack(merchant, id));
  }

  due(merchant: string, most: number): Promise<{ ids: string[]; owed: number }> {
    return this.#shared.due(merchant, most);
  }

  async take(merchant: string, id: string, leaseMs: number): Promise<TakenRecharge | undefined> {
    const taken = await this.#shared.take(merchant, id, leaseMs);
    if (taken !== undefined) await this.#copy(taken);
    return taken;
  }

  postpone(taken: TakenRecharge, ms: number): Promise<void> {
    return this.#shared.postpone(taken, ms);
  }

  async finish(recharge: OwedRecharge, ended: RechargeEnd): Promise<void> {
    await this.#shared.finish(recharge, ended);
    await this.#copy({ ...recharge, ended });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#shared.close();
    await this.#asserting;
    await this.#copies.close();
  }

  /** Ignores a failed disk: the shared store has acknowledged the recharge. */
  async #copy(recharge: OwedRecharge): Promise<void> {
    await this.#copies.keepCopy(recharge).catch(ignoreStoreAway);
  }

  /**
   * Restores a recharge that the shared store does not have from the local copy. Undefined without
   * an open one.
   */
  async #broughtBack(merchant: string, id: string): Promise<OwedRecharge | undefined> {
    const copy = await this.#copies.find(merchant, id).catch(ignoreStoreAway);
    return copy === undefined || copy.ended !== undefined ? undefined : this.#assert(copy);
  }

  #assertAll(): void {
    this.#asserting = this.#asserting
      .then(async () => {
        for (const copy of await this.#copies.copies()) await this.#copy(await this.#assert(copy));
      })
      // Unavailable again: the next reconnect asserts the rest.
      .catch(ignoreStoreAway);
  }

  #assert(copy: OwedRecharge): Promise<OwedRecharge> {
    return this.#shared.assert(copy, copy.settleBy - (performance.timeOrigin + performance.now()));
  }
}

function ignoreStoreAway(error: unknown): undefined {
  if (!(error instanceof StoreAway)) throw error;
  return undefined;
}
