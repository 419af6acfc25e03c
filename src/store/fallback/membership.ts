/**
 * The instances that share a merchant, as this instance knows them. Each has a mark in the shared
 * store. The mark names the run of the store in which the instance asserted its uses and claims,
 * and the time when it last had nothing pending. After a restart, a failover or a loss of data, the
 * mark is missing or of another run. Then no token may become live again before every instance has
 * asserted its uses and claims.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { StoreAway } from '../contract.ts';
import type { Attendance, Mark, SharedStore } from './shared-store.ts';

/**
 * Instances renew their marks every second. An older mark is of an instance that is cut off, busy
 * or gone.
 */
const FRESH_MS = 3000;
/**
 * How long to wait for the others. An instance that asserts later was not running when the store
 * came back.
 */
const OTHERS_WITHIN_MS = 5000;
/** The same limit for an instance that has just started and knows no others. */
const UNKNOWN_WITHIN_MS = 3000;
const LOOK_EVERY_MS = 100;
/** How long to wait for an instance to confirm that it has nothing pending. */
const CONFIRMED_WITHIN_MS = 2000;

export interface MembershipOptions {
  merchant: string;
  /** The name of this instance. It survives a restart. */
  instance(): string;
  shared: Pick<SharedStore, 'attend'>;
}

export class Membership {
  readonly #options: MembershipOptions;
  #others = new Map<string, Mark>();
  /** When this instance last had a mark, by the shared store's clock; 0 before the first. */
  #markedAt = 0;
  /** True from a loss until the other instances have asserted, too. */
  #isLost = false;
  /** True if the mark was there when this instance began to assert. */
  #hadMark = false;
  #stopped = false;

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#stopped = true;
  }

  /**
   * Checks whether the shared store may have lost data since this instance last had a mark.
   *
   * @throws StoreAway
   */
  async look(): Promise<void> {
    const attendance = await this.#attend('look');
    const mine = attendance.marks.get(this.#options.instance());
    // After a restart of this instance, its mark shows until when it had received all changes.
    if (this.#markedAt === 0) this.#markedAt = mine?.at ?? 0;
    this.#hadMark = mine?.run === attendance.run;
    if (this.#hadMark) this.#remember(attendance);
    else this.#isLost = true;
  }

  /**
   * Renews the mark. Returns false if the mark is missing: then the store lost its data.
   *
   * @throws StoreAway
   */
  async isStillThere(isWhole: boolean): Promise<boolean> {
    const attendance = await this.#attend(isWhole ? 'whole' : 'look');
    if (!attendance.marks.has(this.#options.instance())) return false;
    this.#remember(attendance);
    return true;
  }

  /**
   * Records that this instance has asserted its uses and claims. Resolves when the other running
   * instances have, too.
   *
   * @param hasCopies false when this instance has nothing to restore
   * @throws StoreAway
   */
  async asserted(hasCopies: boolean): Promise<void> {
    // What was asserted before a loss is lost with it.
    if (this.#hadMark && !(await this.#attend('look')).marks.has(this.#options.instance()))
      throw new StoreAway('its data was lost', true);
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

  /**
   * Returns whether every other instance confirms that it has nothing pending now.
   *
   * @throws StoreAway
   */
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
   * Records that this instance stops, so that others do not wait for it. The mark stays: at its
   * next start, the instance can see that the shared store lost nothing. @throws StoreAway
   */
  async leave(): Promise<void> {
    await this.#attend('leave');
  }

  /** Returns whether an instance that may know more than this one has not asserted yet. */
  #missing({ run, marks }: Attendance): boolean {
    const known = new Map([...this.#others, ...this.#othersIn(marks)]);
    return [...known].some(([name, { at }]) => {
      // Until its last mark, this instance received every change of the others.
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
