/**
 * A ledger with its disk and its clock. Writes changes, removes expired records, and reports
 * expiries, damage and clock steps. Two stores use it: the embedded store, and the local half of
 * the fallback store. They decide which changes to make.
 */
import type { StoreEvents } from '../contract.ts';
import { ProcessClock } from './clock.ts';
import { Disk } from './disk.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import type { Change } from './records.ts';

export interface DurableLedgerOptions extends LedgerOptions {
  /** The directory of the records. Only one process may use it. */
  directory: string;
  /** Called with the records when the directory is loaded after the start. */
  onRestored?(records: readonly Change[]): void;
  /** Called after each removal of the records that expired by `now`. */
  onSwept?(now: number): void;
}

const SWEEP_EVERY_MS = 500;

export class DurableLedger {
  readonly ledger: Ledger;
  readonly disk: Disk;
  readonly #clock = new ProcessClock();
  /** Whole milliseconds since 1970. */
  readonly now = this.#clock.now;
  readonly #options: DurableLedgerOptions;
  #events: StoreEvents | undefined;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: DurableLedgerOptions) {
    this.#options = options;
    this.ledger = new Ledger(options);
    this.disk = new Disk(options.directory, this.ledger, this.now);
  }

  /** @throws DirectoryInUse when another process uses the directory */
  async open(events: StoreEvents): Promise<void> {
    this.#events = events;
    await this.disk.open(
      (notice) => events.onNotice(notice),
      (records) => {
        this.#options.onRestored?.(records);
        events.onGap();
      },
    );
    this.#sweep();
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_EVERY_MS);
  }

  /** Sends a hint: something changed under these topics. */
  announce(merchant: string, topics: string[]): void {
    this.#events?.onHint(this.ledger.hint(merchant, topics));
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    await this.disk.close();
  }

  #sweep(): void {
    this.#followClock();
    const now = this.now();
    for (const expiry of this.ledger.sweep(now)) this.#events?.onExpiry(expiry);
    this.disk.commitLater();
    this.#options.onSwept?.(now);
  }

  /** If the wall clock was set, all times move with it: tokens and leases keep their duration. */
  #followClock(): void {
    const stepMs = this.#clock.adjust();
    if (stepMs === 0) return;
    this.ledger.shift(stepMs);
    const message = 'the clock of this machine was set; tokens and leases last as long as before';
    const facts = { seconds: Math.round(stepMs / 1000) };
    this.#events?.onNotice({ level: 'warn', code: 'clock_step', message, facts });
  }
}
