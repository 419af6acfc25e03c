/**
 * The recharge guard. Once a NIT is handed out, the service owes Carat a confirmation or an undo. The guard sends the
 * workers' decisions, and undoes recharges without a decision by their deadline, until Carat has answered. Any instance
 * continues the work of another one: the store knows which recharges are due, and which instance may act on them.
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

const CHECK_EVERY_MS = 500;
/** How many recharges an instance settles at once. */
const MOST_AT_ONCE = 20;
/** Deadline of each of an attempt's two calls, and the lease on the recharge for an attempt. */
const CALL_MS = 10_000;
const LEASE_MS = 30_000;
/** How often a request that waits for the end reads the store. */
const WAIT_STEP_MS = 100;
/** The operator is notified after `NOTIFY_AFTER` failed attempts, then after every further `NOTIFY_EVERY`. */
const NOTIFY_AFTER = 3;
const NOTIFY_EVERY = 10;

export interface RechargeGuardOptions {
  store: RechargeStore;
  /** By merchant. Merchants without credentials have none. */
  clients: ReadonlyMap<string, CaratClient>;
  merchants: readonly string[];
  recorder: Recorder;
  pace?: Pace;
}

export class RechargeGuard {
  readonly #options: RechargeGuardOptions;
  readonly #stop = new AbortController();
  /** Attempts in flight. */
  readonly #attempts = new Map<string, Promise<void>>();
  /** Carat's answers to earlier attempts of this process. */
  readonly #settlements = new Map<string, Settlement>();
  /** The number of owed recharges by merchant, at the last check. */
  readonly #owed = new Map<string, number>();
  /** Merchants without credentials that owe recharges, or are not checked yet. */
  readonly #unattended: Set<string>;
  #checking: Promise<void> = Promise.resolve();

  constructor(options: RechargeGuardOptions) {
    this.#options = options;
    this.#unattended = new Set(options.merchants.filter((merchant) => !options.clients.has(merchant)));
    setMaxListeners(0, this.#stop.signal);
  }

  async start(): Promise<void> {
    await this.#options.store.open();
    this.#checking = this.#checkPeriodically();
  }

  /** Ends the attempts. Unsettled recharges stay owed, and another instance or the next start continues with them. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#checking;
    await Promise.all(this.#attempts.values());
    await this.#options.store.close();
  }

  owed(merchant: string): number {
    return this.#owed.get(merchant) ?? 0;
  }

  /** Checks that a recharge can be stored, before Carat is asked for it. @throws StoreAway */
  async checkStore(merchant: string): Promise<void> {
    await this.find(merchant, 'none');
  }

  /** Stores a recharge as owed. Once this resolves, it is settled even if this process dies. @throws StoreAway */
  async owe(recharge: NewRecharge): Promise<OwedRecharge> {
    const owed = await this.#options.store.owe(recharge);
    this.#options.recorder.recharge(recharge.merchant, { what: 'handed_out', merchant_usn: recharge.merchantUsn });
    return owed;
  }

  /**
   * Stores a decision and starts to send it. Returns the recharge with the decision that holds, which may be an earlier
   * one. Returns undefined if the NIT is unknown. @throws StoreAway
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

  /** Waits until the recharge has ended, the wait is over, the caller is gone, or the process stops. Returns its state. */
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

  async #checkPeriodically(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      for (const merchant of [...this.#options.clients.keys(), ...this.#unattended]) {
        try {
          const { ids, owed } = await this.#options.store.due(merchant, MOST_AT_ONCE);
          const isFirst = !this.#owed.has(merchant);
          this.#owed.set(merchant, owed);
          if (!this.#unattended.has(merchant)) for (const id of ids) this.#settle(merchant, id);
          else if (owed === 0) this.#unattended.delete(merchant);
          else if (isFirst) this.#reportUnattended(merchant, owed);
        } catch (error) {
          // Due recharges stay due until the store is available.
          if (!(error instanceof StoreAway)) this.#options.recorder.bug(error, 'recharge guard');
        }
      }
      await pause(CHECK_EVERY_MS, signal);
    }
  }

  /** Without credentials, nobody can settle what is owed. */
  #reportUnattended(merchant: string, owed: number): void {
    this.#options.recorder.notice({
      level: 'error',
      code: 'recharge_owed',
      message: `${owed} recharges are owed to Carat and cannot be settled: CARAT_CREDENTIALS has none for the merchant ${merchant}`,
      facts: { merchant, owed },
    });
  }

  #settle(merchant: string, id: string): void {
    const key = `${merchant}\n${id}`;
    if (this.#stop.signal.aborted || this.#attempts.has(key) || this.#attempts.size >= MOST_AT_ONCE) return;
    const attempt = this.#attempt(merchant, id)
      .catch((error: unknown) => {
        // Another attempt takes the recharge when the lease ends.
        if (!(error instanceof StoreAway)) this.#options.recorder.bug(error, 'recharge guard');
      })
      .finally(() => this.#attempts.delete(key));
    this.#attempts.set(key, attempt);
  }

  async #attempt(merchant: string, id: string): Promise<void> {
    const { store, clients, recorder } = this.#options;
    const client = clients.get(merchant);
    if (client === undefined) return;
    // Without the key of this NIT, leave it to an instance that has the key.
    if ((await store.find(merchant, id))?.nit === undefined) return;
    const taken = await store.take(merchant, id, LEASE_MS);
    if (taken?.nit === undefined) return;
    const { decision, by } = taken.decided;
    if (by === 'guard' && taken.attempts === 1)
      recorder.recharge(merchant, { what: 'guard_undo', ...rechargeFacts(taken) });
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
    recorder.recharge(merchant, { what: end.end, ...rechargeFacts(taken), status: end.status });
  }

  async #failed(taken: TakenRecharge, error: unknown): Promise<void> {
    const { store, recorder } = this.#options;
    const { merchant, merchantUsn, attempts } = taken;
    // When this instance stops, another one may continue at once, before the lease ends.
    await store.postpone(taken, this.#stop.signal.aborted ? 0 : this.#pauseAfter(taken));
    if (!(error instanceof CaratError)) throw error;
    if (error.code === 'aborted' || attempts < NOTIFY_AFTER || (attempts - NOTIFY_AFTER) % NOTIFY_EVERY !== 0) return;
    const { decision } = taken.decided;
    recorder.notice({
      level: 'warn',
      code: 'recharge_owed',
      message: `a recharge is not settled yet (${decision}); the service retries: ${error.message}`,
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
