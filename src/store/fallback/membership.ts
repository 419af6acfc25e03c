/**
 * The instances that share a merchant, as far as this one knows. Each has a mark in the shared store: in which run of the
 * store it asserted its uses and claims, and when it last had nothing pending. A store that restarted, failed over or lost
 * its data has no such mark; then no token may be live again before every instance has asserted what it knows.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Attendance, Mark, SharedStore } from './shared-store.ts';

/** Marks are renewed once a second. One that is older than this is of an instance that is away, busy or gone. */
const FRESH_MS = 3000;
/** How long the others are waited for. An instance that asserts later than that was not running when the store came back. */
const OTHERS_WITHIN_MS = 5000;
/** The same for an instance that has just started and knows no other. */
const UNKNOWN_WITHIN_MS = 3000;
const LOOK_EVERY_MS = 100;
/** How long an instance may take to confirm that it has nothing pending. */
const CONFIRMED_WITHIN_MS = 2000;

export interface MembershipOptions {
  merchant: string;
  /** The name of this instance: the same after a restart. */
  instance(): string;
  shared: Pick<SharedStore, 'attend'>;
}

export class Membership {
  readonly #options: MembershipOptions;
  #others = new Map<string, Mark>();
  /** When this instance last had a mark, by the shared store's clock; 0 before the first. */
  #markedAt = 0;
  /** True from a loss until the others have asserted, too. */
  #isLost = false;
  #stopped = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Checks whether the shared store still is as this instance left it. @throws StoreAway */
  async look(): Promise<void> {
    const attendance = await this.#attend('look');
    const mine = attendance.marks.get(this.#options.instance());
    // After a restart, the mark is the time until which it had received everything.
    if (this.#markedAt === 0) this.#markedAt = mine?.at ?? 0;
    if (mine?.run === attendance.run) this.#remember(attendance);
    else this.#isLost = true;
  }

  /** Renews the mark; answers false when it is gone, and with it the data. @throws StoreAway */
  async isStillThere(isWhole: boolean): Promise<boolean> {
    const attendance = await this.#attend(isWhole ? 'whole' : 'look');
    if (!attendance.marks.has(this.#options.instance())) return false;
    this.#remember(attendance);
    return true;
  }

  /**
   * Notes that this instance has asserted its uses and claims. Resolves when the others have, too, or are not running.
   *
   * @param hasCopies false when nothing is to be restored from here
   * @throws StoreAway
   */
  async asserted(hasCopies: boolean): Promise<void> {
    let attendance = await this.#attend('asserted');
    if (this.#isLost) {
      const isNew = this.#markedAt === 0 && this.#others.size === 0;
      const begunAt = performance.now();
      const waits = (): boolean => {
        const waited = performance.now() - begunAt;
        if (this.#missing(attendance)) return waited < OTHERS_WITHIN_MS;
        return isNew && hasCopies && this.#othersIn(attendance.marks).length === 0 && waited < UNKNOWN_WITHIN_MS;
      };
      while (waits() && !this.#stopped) {
        await delay(LOOK_EVERY_MS);
        attendance = await this.#attend('look');
      }
    }
    this.#isLost = false;
    this.#remember(attendance);
  }

  /** Whether every other instance confirms that it has nothing pending now. @throws StoreAway */
  async areOthersWhole(): Promise<boolean> {
    const begunAt = performance.now();
    let attendance = await this.#attend('look');
    const since = attendance.now;
    for (;;) {
      const stale = this.#othersIn(attendance.marks).filter(([, { at }]) => at < since);
      if (stale.length === 0) return true;
      if (stale.some(([, { at }]) => at < since - FRESH_MS)) return false;
      if (this.#stopped || performance.now() - begunAt > CONFIRMED_WITHIN_MS) return false;
      await delay(LOOK_EVERY_MS);
      attendance = await this.#attend('look');
    }
  }

  /**
   * Says goodbye: nothing of this instance is to be waited for. The mark stays, so that the instance finds at its next start
   * that the shared store has lost nothing. @throws StoreAway
   */
  async leave(): Promise<void> {
    await this.#attend('leave');
  }

  /** Whether an instance has not asserted here yet that may know what this one does not. */
  #missing({ run, marks }: Attendance): boolean {
    const known = new Map([...this.#others, ...this.#othersIn(marks)]);
    return [...known].some(([name, { at }]) => {
      // This instance knows everything that another one did before this one last had a mark.
      const before = Math.max(at, this.#others.get(name)?.at ?? 0);
      return before > this.#markedAt - FRESH_MS && marks.get(name)?.run !== run;
    });
  }

  #remember({ now, marks }: Attendance): void {
    this.#others = new Map(this.#othersIn(marks));
    this.#markedAt = now;
  }

  #othersIn(marks: Attendance['marks']): [string, Mark][] {
    return [...marks].filter(([name, { hasLeft }]) => name !== this.#options.instance() && !hasLeft);
  }

  #attend(what: 'look' | 'asserted' | 'whole' | 'leave'): Promise<Attendance> {
    const { shared, merchant, instance } = this.#options;
    return shared.attend(merchant, instance(), what);
  }
}
