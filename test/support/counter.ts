/** The counter at which workers wait: handoff, waiters and wake-ups over a real embedded store, without a network. */
import { join } from 'node:path';
import { Handoff, type HandoffOptions } from '../../src/handoff.ts';
import type { Correlators, Kind } from '../../src/post.ts';
import { EmbeddedStore } from '../../src/store/embedded.ts';
import { type NewToken, tokenId } from '../../src/store/store.ts';
import { Waiters } from '../../src/waiters.ts';
import { Wakeups } from '../../src/wakeups.ts';
import { GuardedFolder } from './guarded-folder.ts';
import { SteppedStore } from './stepped-store.ts';

export const MERCHANT = 'default';
const NEVER_MS = 2 ** 30;

export interface CounterOptions extends Partial<Pick<HandoffOptions, 'onConflict'>> {
  /** How often the slow check looks; never, when it is not given. */
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
    this.store = new SteppedStore(new EmbeddedStore({ directory: join(folder.path, 'tokens'), ...options }));
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
      onTrouble: () => {},
    });
    wakeups.start(store, options.checkEveryMs ?? NEVER_MS);
    return counter;
  }

  async close(): Promise<void> {
    this.wakeups.stop();
    await this.store.close();
    await this.#folder.remove();
  }

  /** A token; without correlators it belongs to the pool. */
  token(fields: Correlators & { kind?: Kind } = {}): NewToken {
    const { kind = 'token', ...correlators } = fields;
    this.#count += 1;
    const value = `value-${this.#count}`;
    const pooled = Object.keys(correlators).length === 0;
    return { id: tokenId(MERCHANT, kind, value), merchant: MERCHANT, kind, value, pooled, ...correlators };
  }
}

/** Lets everything go on that can go on without input or output. */
export async function ticks(count: number): Promise<void> {
  for (let tick = 0; tick < count; tick++) await new Promise((resolve) => setImmediate(resolve));
}
