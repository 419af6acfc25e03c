/**
 * A failure domain: merchants whose keys share a Redis node and become unavailable together. Sends
 * operations to the shared store while it is available, and starts reconciliation when it is back.
 */
import { StoreAway, type StoreEvents } from '../contract.ts';
import type { Notice } from '../notice.ts';
import { CircuitBreaker } from './circuit-breaker.ts';
import type { LocalStore } from './local-store.ts';
import { Membership } from './membership.ts';
import { Reconciler } from './reconciler.ts';
import type { SharedStore } from './shared-store.ts';

/** How long an operation waits for reconciliation. After that, the answer is `away`. */
const STEADY_WITHIN_MS = 500;
const ATTEND_EVERY_MS = 1000;

export interface FailureDomainOptions {
  /** Empty when there is only one domain. */
  name: string;
  merchants: readonly string[];
  shared: SharedStore;
  local: LocalStore;
  events(): Pick<StoreEvents, 'onNotice' | 'onGap'> | undefined;
}

export class FailureDomain {
  readonly #options: FailureDomainOptions;
  readonly #breaker: CircuitBreaker;
  readonly #reconciler: Reconciler;
  /** True while a bug makes reconciliation fail. Such a bug is reported once. */
  #isBroken = false;
  readonly #members: ReadonlyMap<string, Membership>;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FailureDomainOptions) {
    const { merchants, shared, local, events } = options;
    this.#options = options;
    this.#members = new Map(
      merchants.map((merchant) => [merchant, new Membership({ merchant, shared, instance: () => local.name })]),
    );
    this.#breaker = new CircuitBreaker({
      probe: () => this.#probe(),
      onOpen: (reason) => {
        this.#notify('warn', 'store_away', `the store is unavailable (${reason}); tokens are kept on local disk`);
        events()?.onGap();
      },
      onClose: () => {
        this.#notify('info', 'store_back', 'the store is back', { pending: local.pendingCount });
        this.restore();
        events()?.onGap();
      },
    });
    this.#reconciler = new Reconciler({
      merchants,
      members: this.#members,
      shared,
      local,
      onAsserted: () => events()?.onGap(),
      isAway: () => this.isAway,
      onFailure: (error) => this.#onFailure(error),
      onProgress: (what, done, left) =>
        this.#notify('info', what === 'merge' ? 'merging' : 'restoring', `${what}: ${done} tokens sent, ${left} left`, {
          done,
          left,
        }),
      onAdmitted: (count) =>
        this.#notify('info', 'verdict_revised', `${count} refused posts are live now: their announcement came later`, {
          posts: count,
        }),
      onDone: () => {
        this.#isBroken = false;
        events()?.onGap();
      },
    });
  }

  get isAway(): boolean {
    return this.#breaker.isOpen;
  }

  get isReconciling(): boolean {
    return this.#reconciler.isRunning;
  }

  /** True while the shared store may refuse a token that was announced to this instance. */
  get isAnnouncing(): boolean {
    return this.#reconciler.isAnnouncing;
  }

  /** Why the shared store is unavailable. */
  get reason(): string {
    return this.#breaker.reason;
  }

  /**
   * Probes the shared store at the start, so that the first operation need not wait for a deadline.
   */
  async check(): Promise<void> {
    await this.#probe().catch((error: unknown) => this.trip(error));
  }

  async #probe(): Promise<void> {
    const { merchants, shared } = this.#options;
    await Promise.all(merchants.map((merchant) => shared.probe(merchant)));
  }

  /**
   * Starts reconciliation: sends the records that the shared store never received or may have lost.
   */
  restore(): void {
    this.#reconciler.restore();
  }

  /** Records a failure of the shared store. @throws the given error unless it is a `StoreAway` */
  trip(error: unknown): StoreAway {
    if (!(error instanceof StoreAway)) throw error;
    this.#breaker.trip(error.message);
    return error;
  }

  /**
   * Runs an operation on the shared store. A failure opens the breaker: operations answer `away`
   * until it closes.
   */
  async ask<T>(question: () => Promise<T>, onUnanswered: () => void = () => {}): Promise<T | 'away'> {
    if (this.isAway) return 'away';
    try {
      return await question();
    } catch (error) {
      if (!this.trip(error).unseen) onUnanswered();
      return 'away';
    }
  }

  /**
   * Like `ask`, for answers that must not contain a used token. A recovered store may have lost
   * uses.
   */
  askAsserted<T>(question: () => Promise<T>): Promise<T | 'away'> {
    return this.#askAfter(this.#reconciler.assertion, question);
  }

  /**
   * Like `ask`, for operations on claims. A recovered store may have lost claims. Until
   * reconciliation has restored them, its answers about claims are not reliable.
   */
  askSteady<T>(question: () => Promise<T>): Promise<T | 'away'> {
    return this.#askAfter(this.#reconciler.isRunning ? this.#reconciler.idle() : undefined, question);
  }

  async #askAfter<T>(ready: Promise<void> | undefined, question: () => Promise<T>): Promise<T | 'away'> {
    if (ready !== undefined && !this.isAway) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<'late'>((resolve) => {
        timer = setTimeout(resolve, STEADY_WITHIN_MS, 'late');
      });
      const outcome = await Promise.race([ready, late]);
      clearTimeout(timer);
      if (outcome === 'late') return 'away';
    }
    return this.ask(question);
  }

  /**
   * Returns whether every other instance confirms that it has nothing pending for this merchant.
   */
  async areOthersWhole(merchant: string): Promise<boolean> {
    return (await this.ask(() => this.#memberOf(merchant).areOthersWhole())) === true;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#attend(), ATTEND_EVERY_MS);
  }

  /** A bug must not end the process: the reconciler retries. */
  #onFailure(error: unknown): void {
    if (error instanceof StoreAway) return void this.trip(error);
    if (!this.#isBroken)
      this.#notify('error', 'reconcile_failed', `reconciliation failed, and is retried: ${(error as Error).name}`);
    this.#isBroken = true;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#breaker.stop();
    this.#reconciler.stop();
    for (const member of this.#members.values()) member.stop();
  }

  /** Removes this instance from the merchants for which it has nothing pending. */
  async leave(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(
      [...this.#members].map(async ([merchant, member]) => {
        if (!this.#reconciler.isRunning && !this.#options.local.tokens.hasPending(merchant))
          await this.ask(() => member.leave());
      }),
    );
  }

  /** Renews the marks. A missing mark shows that Redis lost data without a reconnect. */
  async #attend(): Promise<void> {
    if (this.isAway || this.#reconciler.isRunning) return;
    const { local } = this.#options;
    const present = await Promise.all(
      [...this.#members].map(([merchant, member]) =>
        this.ask(() => member.isStillThere(!local.tokens.hasPending(merchant))),
      ),
    );
    if (present.includes(false)) this.restore();
  }

  #memberOf(merchant: string): Membership {
    return this.#members.get(merchant) as Membership;
  }

  /** Resolves when no reconciliation is pending. */
  idle(): Promise<void> {
    return this.#reconciler.idle();
  }

  #notify(level: Notice['level'], code: string, message: string, facts: Record<string, string | number> = {}): void {
    const { name, events } = this.#options;
    events()?.onNotice({ level, code, message, facts: name === '' ? facts : { ...facts, merchant: name } });
  }
}
