/**
 * Owed recharges in a shared store, and on local disk a copy of each that this instance handed out, decided or took: what the
 * shared store lost is brought back from the copies, after each reconnect and from time to time.
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

  /** A disk that cannot be written takes nothing from what the shared store has acknowledged. */
  async #copy(recharge: OwedRecharge): Promise<void> {
    await this.#copies.keepCopy(recharge).catch(ignoreStoreAway);
  }

  /** What this instance has of a recharge that the shared store does not know. */
  async #broughtBack(merchant: string, id: string): Promise<OwedRecharge | undefined> {
    const copy = await this.#copies.find(merchant, id).catch(ignoreStoreAway);
    return copy === undefined || copy.ended !== undefined ? undefined : this.#assert(copy);
  }

  #assertAll(): void {
    this.#asserting = this.#asserting
      .then(async () => {
        for (const copy of await this.#copies.copies()) await this.#copy(await this.#assert(copy));
      })
      // Away again: the next reconnect asserts them.
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
