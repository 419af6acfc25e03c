/** Handoff, waiters and wake-ups over a real embedded store, without a network. */
import { join } from 'node:path';
import { type Handed, Handoff, type HandoffOptions } from '../../src/handoff/handoff.ts';
import { Waiters } from '../../src/handoff/waiters.ts';
import { Wakeups } from '../../src/handoff/wakeups.ts';
import type { ClaimAnswer } from '../../src/store/contract.ts';
import { DurableLedger } from '../../src/store/embedded/durable-ledger.ts';
import { EmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { Correlators, Kind } from '../../src/token.ts';
import { type NewToken, type TokenQuery, tokenId } from '../../src/token.ts';
import { GuardedFolder } from './guarded-folder.ts';
import { SteppedStore } from './stepped-store.ts';
import { until } from './until.ts';

export const MERCHANT = 'default';
export const LONG_MS = 60_000;
export const POOL = { merchant: MERCHANT, by: 'pool', kind: 'token' } as TokenQuery;
export const under = (is: string): TokenQuery => ({ merchant: MERCHANT, by: 'sid', is });
const NEVER_MS = 2 ** 30;

/** A claim request whose client can disconnect. */
export class Asked {
  readonly claimId: string;
  readonly client = new AbortController();
  /** The outcome; undefined while pending. */
  outcome: Handed | undefined;

  constructor(claimId: string, claim: (signal: AbortSignal) => Promise<Handed>) {
    this.claimId = claimId;
    void claim(this.client.signal).then((handed) => {
      this.outcome = handed;
    });
  }

  answered(): Promise<Handed> {
    return until(`${this.claimId} is answered`, () => this.outcome);
  }

  /** The id of the token, or another outcome; undefined while pending. */
  get got(): string | undefined {
    return this.outcome?.outcome === 'token' ? this.outcome.token.id : this.outcome?.outcome;
  }
}

export interface CounterOptions extends Partial<Pick<HandoffOptions, 'onConflict'>> {
  /** Interval of the slow check. Without it, the check never runs. */
  checkEveryMs?: number;
  maxWaiters?: number;
}

export class Counter {
  readonly store: SteppedStore;
  readonly waiters: Waiters;
  readonly wakeups: Wakeups;
  readonly handoff: Handoff;
  readonly #folder: GuardedFolder;
  #count = 0;

  private constructor(folder: GuardedFolder, { onConflict = 'newest', maxWaiters = 20_000 }: CounterOptions) {
    this.#folder = folder;
    const options = { ttlMs: 600_000, accept: 'any', maxUnexpected: 1000 } as const;
    this.store = new SteppedStore(
      new EmbeddedStore(new DurableLedger({ directory: join(folder.path, 'tokens'), ...options })),
    );
    this.waiters = new Waiters({ max: maxWaiters });
    this.wakeups = new Wakeups(this.waiters);
    this.handoff = new Handoff({ store: this.store, waiters: this.waiters, onConflict });
  }

  static async open(options: CounterOptions = {}): Promise<Counter> {
    const counter = new Counter(await GuardedFolder.make('counter-'), options);
    const { store, wakeups } = counter;
    await store.open({
      onHint: (hint) => wakeups.onHint(hint),
      onGap: () => wakeups.onGap(),
      onExpiry: () => {},
      onNotice: () => {},
    });
    wakeups.start(store, options.checkEveryMs ?? NEVER_MS);
    return counter;
  }

  async close(): Promise<void> {
    this.wakeups.stop();
    await this.store.close();
    await this.#folder.remove();
  }

  /** Starts a claim through the handoff. */
  ask(claimId: string, query = POOL, { waitMs = LONG_MS, leaseMs = LONG_MS } = {}): Asked {
    const request = { merchant: MERCHANT, claimId, leaseMs, query };
    return new Asked(claimId, (signal) => this.handoff.claim(request, { waitMs, signal }));
  }

  /** Claims directly at the store. */
  take(claimId: string, query = POOL, leaseMs = LONG_MS): Promise<ClaimAnswer> {
    return this.store.claim({ merchant: MERCHANT, claimId, leaseMs, query, refuseConflict: false });
  }

  /** A token. Without correlators, it belongs to the pool. */
  token(fields: Correlators & { kind?: Kind } = {}): NewToken {
    const { kind = 'token', ...correlators } = fields;
    this.#count += 1;
    const value = `value-${this.#count}`;
    const pooled = Object.keys(correlators).length === 0;
    return { id: tokenId(MERCHANT, kind, value), merchant: MERCHANT, kind, value, correlators, pooled };
  }
}

/** Runs all callbacks that need no input or output. */
export async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await new Promise((resolve) => setImmediate(resolve));
}
