/**
 * Brings the store's hints to the waiters. Hints may be lost; so a gap in a merchant's counter wakes all of that
 * merchant's waiters, and a slow check compares the counter of every merchant that anybody waits for.
 */
import type { Hint, TokenStore } from './store/store.ts';
import type { Waiters } from './waiters.ts';

const CHECK_EVERY_MS = 1000;

export class Wakeups {
  readonly #waiters: Waiters;
  readonly #sequences = new Map<string, number>();
  #checker: NodeJS.Timeout | undefined;
  #checking = false;
  /** How often the slow check woke a merchant: each time, a hint had not come in time. */
  missed = 0;

  constructor(waiters: Waiters) {
    this.#waiters = waiters;
  }

  start(store: TokenStore, everyMs = CHECK_EVERY_MS): void {
    this.#checker = setInterval(() => void this.#check(store), everyMs);
  }

  stop(): void {
    clearInterval(this.#checker);
  }

  onHint({ merchant, topics, sequence }: Hint): void {
    const last = this.#sequences.get(merchant);
    if (sequence !== undefined) this.#sequences.set(merchant, sequence);
    const gap = sequence !== undefined && last !== undefined && sequence !== last + 1;
    if (gap) this.#waiters.wakeMerchant(merchant);
    else for (const topic of topics) this.#waiters.wake(merchant, topic);
  }

  onGap(): void {
    this.#sequences.clear();
    this.#waiters.wakeAll();
  }

  async #check(store: TokenStore): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      await Promise.all(
        this.#waiters.merchants().map(async (merchant) => {
          const sequence = await store.sequence(merchant);
          const last = this.#sequences.get(merchant);
          if (sequence === last) return;
          this.#sequences.set(merchant, sequence);
          if (last !== undefined) this.missed += 1;
          this.#waiters.wakeMerchant(merchant);
        }),
      );
    } catch {
      // The store is away. It says so itself, and wakes everybody when it is back.
    } finally {
      this.#checking = false;
    }
  }
}
