/**
 * Brings the store's hints to the waiters. Hints may be lost; so a gap in a merchant's counter wakes all of that
 * merchant's waiters, and a slow check compares the counter of every merchant that anybody waits for. A counter that is
 * ahead of the hints in two checks, with no hint between them, shows that one was lost: a hint in flight may be late,
 * and the next one shows the gap.
 */
import type { Hint, TokenStore } from '../store/contract.ts';
import type { Waiters } from './waiters.ts';

const CHECK_EVERY_MS = 500;

export class Wakeups {
  readonly #waiters: Waiters;
  /** The counter that the last hint carried, by merchant. */
  readonly #sequences = new Map<string, number>();
  /** The same, where the last check found that the store's counter was another. */
  readonly #suspects = new Map<string, number>();
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

  onHint({ merchant, topics, sequence, arrivals }: Hint): void {
    const isGap = sequence !== undefined && !this.#follows(merchant, sequence);
    for (const topic of topics) {
      const token = arrivals?.get(topic);
      if (token !== undefined && sequence !== undefined) this.#waiters.wake(merchant, topic, { token, sequence });
      else if (!isGap) this.#waiters.wake(merchant, topic);
    }
    if (isGap) this.#waiters.wakeMerchant(merchant);
  }

  onGap(): void {
    this.#sequences.clear();
    this.#suspects.clear();
    this.#waiters.wakeAll();
  }

  async #check(store: TokenStore): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      await Promise.all(
        this.#waiters.merchants().map(async (merchant) => {
          const last = this.#sequences.get(merchant);
          this.#compare(merchant, last, await store.sequence(merchant));
        }),
      );
    } catch {
      // The store is away. It says so itself, and wakes everybody when it is back.
    } finally {
      this.#checking = false;
    }
  }

  /** Whether no hint is missing before this one. Before the first of a merchant, any number may be. */
  #follows(merchant: string, sequence: number): boolean {
    const last = this.#sequences.get(merchant);
    if (last === undefined || sequence > last) this.#sequences.set(merchant, sequence);
    return last !== undefined && sequence <= last + 1;
  }

  #compare(merchant: string, last: number | undefined, sequence: number): void {
    const isSuspect = this.#suspects.get(merchant) === last;
    this.#suspects.delete(merchant);
    // Hints that came while the store was asked have woken the waiters already.
    if (this.#sequences.get(merchant) !== last || sequence === last) return;
    if (last !== undefined && !isSuspect) {
      this.#suspects.set(merchant, last);
      return;
    }
    this.#sequences.set(merchant, sequence);
    if (last !== undefined) this.missed += 1;
    this.#waiters.wakeMerchant(merchant);
  }
}
