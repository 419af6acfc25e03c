/**
 * The recharge guard: from the moment a NIT is handed out, the service owes Carat a confirmation or an undoing. The guard
 * acts on what workers decided, and undoes what nobody decided about in time, until Carat's answer was seen. Any instance
 * goes on with what another one began: the store says what is due, and who may act on it.
 */
import { setMaxListeners } from 'node:events';
import type { CaratClient } from '../carat/client.ts';
import { CaratError } from '../carat/errors.ts';
import { type Pace, pause, pauseBefore, Settlement } from '../carat/recharge-settlement.ts';
import type { GoneSignal } from '../handoff/waiters.ts';
import type { Recorder } from '../observability/recorder.ts';
import { StoreAway } from '../store/contract.ts';
import type {
  NewRecharge,
  OwedRecharge,
  RechargeDecision,
  RechargeEnd,
  RechargeStore,
  TakenRecharge,
} from '../store/recharges.ts';
import { tokenId } from '../token.ts';

const LOOK_EVERY_MS = 500;
/** How many recharges an instance settles at once. */
const MOST_AT_ONCE = 20;
/** Milliseconds for each of the two calls of an attempt, and for which the recharge is held in that time. */
const CALL_MS = 10_000;
const LEASE_MS = 30_000;
/** How often a request that waits for the end reads the store. */
const WAIT_STEP_MS = 100;
/** The operator is notified after this many failed attempts, and again after each further number of them. */
const NOTIFY_AFTER = 3;
const NOTIFY_EVERY = 10;

export interface RechargeGuardOptions {
  store: RechargeStore;
  /** One for each merchant that has credentials. */
  clients: ReadonlyMap<string, CaratClient>;
  recorder: Recorder;
  pace?: Pace;
}

export class RechargeGuard {
  readonly #options: RechargeGuardOptions;
  readonly #stop = new AbortController();
  /** What is being settled here. */
  readonly #inHand = new Map<string, Promise<void>>();
  /** What has been answered between the attempts of this process. */
  readonly #settlements = new Map<string, Settlement>();
  /** How many are owed, by merchant, when this instance last looked. */
  readonly #owed = new Map<string, number>();
  #looking: Promise<void> = Promise.resolve();

  constructor(options: RechargeGuardOptions) {
    this.#options = options;
    setMaxListeners(0, this.#stop.signal);
  }

  async start(): Promise<void> {
    await this.#options.store.open();
    this.#looking = this.#lookAgainAndAgain();
  }

  /** What is not settled by then stays owed, and another instance or the next start goes on with it. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#looking;
    await Promise.all(this.#inHand.values());
    await this.#options.store.close();
  }

  owed(merchant: string): number {
    return this.#owed.get(merchant) ?? 0;
  }

  /** Resolves when the recharge is owed, whatever happens to this process. @throws StoreAway */
  async owe(recharge: NewRecharge): Promise<OwedRecharge> {
    const owed = await this.#options.store.owe(recharge);
    this.#options.recorder.recharge(recharge.merchant, 'handed_out', { merchant_usn: recharge.merchantUsn });
    return owed;
  }

  /**
   * Writes a decision down and begins to carry it out. Answers the recharge with the decision that stands, which may be
   * another one; undefined when the NIT is unknown. @throws StoreAway
   */
  async decide(merchant: string, nit: string, decision: RechargeDecision): Promise<OwedRecharge | undefined> {
    const id = tokenId(merchant, 'nit', nit);
    const recharge = await this.#options.store.decide(merchant, id, decision);
    if (recharge?.decided?.decision === decision && recharge.ended === undefined) this.#settle(merchant, id);
    return recharge;
  }

  find(merchant: string, nit: string): Promise<OwedRecharge | undefined> {
    return this.#options.store.find(merchant, tokenId(merchant, 'nit', nit));
  }

  /** The recharge once it has ended, or as it is when the wait is over, the caller is gone or the process stops. */
  async ended(recharge: OwedRecharge, waitMs: number, signal: GoneSignal): Promise<OwedRecharge> {
    const until = performance.now() + waitMs;
    let last = recharge;
    for (;;) {
      const leftMs = until - performance.now();
      if (last.ended !== undefined || leftMs <= 0 || signal.aborted || this.#stop.signal.aborted) return last;
      await pause(Math.min(WAIT_STEP_MS, leftMs), this.#stop.signal);
      if (this.#stop.signal.aborted) return last;
      last = (await this.#options.store.find(recharge.merchant, recharge.id)) ?? last;
    }
  }

  async #lookAgainAndAgain(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      for (const merchant of this.#options.clients.keys()) {
        try {
          const { ids, owed } = await this.#options.store.due(merchant, MOST_AT_ONCE);
          this.#owed.set(merchant, owed);
          for (const id of ids) this.#settle(merchant, id);
        } catch (error) {
          // What is due stays so until the store is back.
          if (!(error instanceof StoreAway)) this.#options.recorder.bug(error, 'recharge guard');
        }
      }
      await pause(LOOK_EVERY_MS, signal);
    }
  }

  #settle(merchant: string, id: string): void {
    const key = `${merchant}\n${id}`;
    if (this.#stop.signal.aborted || this.#inHand.has(key) || this.#inHand.size >= MOST_AT_ONCE) return;
    const settling = this.#attempt(merchant, id)
      .catch((error: unknown) => {
        // When the lease ends, another attempt takes it.
        if (!(error instanceof StoreAway)) this.#options.recorder.bug(error, 'recharge guard');
      })
      .finally(() => this.#inHand.delete(key));
    this.#inHand.set(key, settling);
  }

  async #attempt(merchant: string, id: string): Promise<void> {
    const { store, clients, recorder } = this.#options;
    const client = clients.get(merchant);
    if (client === undefined) return;
    // A NIT that this instance cannot read is left to those that can.
    if ((await store.find(merchant, id))?.nit === undefined) return;
    const taken = await store.take(merchant, id, LEASE_MS);
    if (taken?.nit === undefined) return;
    const { decision, by } = taken.decided;
    if (by === 'guard' && taken.attempts === 1) recorder.recharge(merchant, 'guard_undo', rechargeFacts(taken));
    const key = `${merchant}\n${id}`;
    const settlement = this.#settlements.get(key) ?? new Settlement(client, taken.nit);
    this.#settlements.set(key, settlement);
    let end: RechargeEnd | undefined;
    try {
      end = await settlement.attempt(decision, { signal: this.#stop.signal, timeoutMs: CALL_MS });
    } catch (error) {
      await this.#failed(taken, error);
      return;
    }
    if (end === undefined) return store.postpone(taken, this.#pauseAfter(taken));
    await store.finish(taken, end);
    this.#settlements.delete(key);
    recorder.recharge(merchant, end.end, { ...rechargeFacts(taken), status: end.status });
  }

  async #failed(taken: TakenRecharge, error: unknown): Promise<void> {
    const { store, recorder } = this.#options;
    const { merchant, merchantUsn, attempts } = taken;
    // Another instance need not wait for the end of the lease.
    await store.postpone(taken, this.#stop.signal.aborted ? 0 : this.#pauseAfter(taken));
    if (!(error instanceof CaratError)) throw error;
    if (error.code === 'aborted' || attempts < NOTIFY_AFTER || (attempts - NOTIFY_AFTER) % NOTIFY_EVERY !== 0) return;
    const { decision } = taken.decided;
    recorder.notice({
      level: 'warn',
      code: 'recharge_owed',
      message: `a recharge could not be settled yet (${decision}): ${error.message}`,
      facts: { merchant, merchantUsn, decision, attempts },
    });
  }

  #pauseAfter({ attempts }: TakenRecharge): number {
    return pauseBefore(attempts + 1, this.#options.pace ?? {});
  }
}

function rechargeFacts({ merchantUsn, decided }: TakenRecharge) {
  return { merchant_usn: merchantUsn, decision: decided.decision, by: decided.by };
}
