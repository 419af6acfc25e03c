/**
 * The ledger's home on disk: a LevelDB in one directory, for one process. Loads what is there and writes what changed, in
 * synced batches, one at a time. Reports damage, and renames a directory that cannot be read. Keeps in memory what cannot be
 * written, and tries again.
 */
import { access, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Notice } from '../notice.ts';
import { operationsOf } from './encoding.ts';
import type { Ledger } from './ledger.ts';
import { Database, DirectoryInUse, isSuspect, isUnreadable, reasonOf } from './level.ts';
import type { Change } from './records.ts';

const RETRY_EVERY_MS = 1000;
const LATER_MS = 100;
/** After this many failures in a row, a database that cannot be opened or read is set aside. */
const MAX_FAILURES = 5;

export class Disk {
  readonly #directory: string;
  readonly #ledger: Ledger;
  readonly #clock: () => number;
  #onNotice: (notice: Notice) => void = () => {};
  #onRestored: (records: readonly Change[]) => void = () => {};
  #database: Database | undefined;
  /** What is going to disk now, and what will go after it. */
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #failure: string | undefined;
  #checker: NodeJS.Timeout | undefined;
  #later: NodeJS.Timeout | undefined;
  #retry = false;
  /** How often the database could not be opened or read, in a row. */
  #failures = 0;
  /** True once what was in the directory is in the ledger: until then, nothing there may be overwritten. */
  #loaded = false;

  constructor(directory: string, ledger: Ledger, clock: () => number) {
    this.#directory = directory;
    this.#ledger = ledger;
    this.#clock = clock;
  }

  /** Why changes are in memory only, while that is so. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /**
   * Loads the directory. If it cannot be read now, it is loaded as soon as it can be.
   *
   * @param onRestored called with the records of a directory that was loaded after the start
   * @throws DirectoryInUse
   */
  async open(
    onNotice: (notice: Notice) => void,
    onRestored: (records: readonly Change[]) => void = () => {},
  ): Promise<void> {
    this.#onNotice = onNotice;
    try {
      this.#database = await this.#attach();
    } catch (error) {
      if (error instanceof DirectoryInUse) throw error;
      this.#fail(error);
    }
    this.#onRestored = onRestored;
    this.#checker = setInterval(() => void this.#check(), RETRY_EVERY_MS);
  }

  /** Resolves when all that changed until now is on disk, or is known to be in memory only. */
  commit(): Promise<void> {
    if (this.#next === undefined) {
      const next = this.#writing.then(endOfTick).then(() => {
        this.#writing = next;
        this.#next = undefined;
        return this.#write();
      });
      this.#next = next;
    }
    return this.#next;
  }

  /** For changes that no answer waits for. */
  commitSoon(): void {
    if (this.#ledger.changes.any) void this.commit();
  }

  /** For changes that hardly matter: they go with what is written next, or after a moment by themselves. */
  commitLater(): void {
    if (this.#ledger.changes.any) this.#later ??= setTimeout(() => this.#catchUp(), LATER_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#checker);
    clearTimeout(this.#later);
    await this.commit();
    await this.#database?.close();
  }

  #catchUp(): void {
    this.#later = undefined;
    this.commitSoon();
  }

  async #write(): Promise<void> {
    const changes = this.#ledger.changes.take();
    if (this.#database === undefined) {
      // Nothing is written piecemeal to a disk that has failed: when it is back, everything is written anew.
      if (this.#retry) await this.#comeBack();
      return;
    }
    if (changes.length === 0) return;
    try {
      await this.#database.write(operationsOf(changes));
    } catch (error) {
      await this.#lose(error);
    }
  }

  /**
   * Opens the directory, and makes it hold what is in memory. What it held before is read first, once. A directory that
   * cannot be read is set aside and a new one begun.
   */
  async #attach(): Promise<Database> {
    let database: Database | undefined;
    try {
      database = await Database.open(this.#directory);
      if (this.#loaded) await database.rewrite(this.#ledger);
      else await this.#load(database);
    } catch (error) {
      await database?.close();
      await this.#setAside(error);
      database = await Database.open(this.#directory);
      await database.rewrite(this.#ledger);
    }
    this.#loaded = true;
    this.#failures = 0;
    return database;
  }

  async #load(database: Database): Promise<void> {
    const isBehind = !this.#ledger.isEmpty;
    const { records, damage, isCurrent } = await database.read();
    if (damage.records + damage.batches + damage.skips > 0) {
      const message = 'DATA_DIR is damaged: tokens may be missing, and used ones may be live again';
      this.#notify('error', 'records_broken', message, { ...damage });
    }
    this.#ledger.restore(records, this.#clock());
    this.#loaded = true;
    this.#onRestored(records);
    if (isBehind || !isCurrent) await database.rewrite(this.#ledger);
  }

  /** Renames a directory that cannot be read. @throws the given error when the directory may recover */
  async #setAside(error: unknown): Promise<void> {
    if (error instanceof DirectoryInUse) throw error;
    if (!isUnreadable(error)) {
      if (isSuspect(error)) this.#failures += 1;
      if (this.#failures < MAX_FAILURES) throw error;
      await this.#checkDisk();
    }
    const aside = `${this.#directory}.aside-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
    await rename(this.#directory, aside);
    this.#notify('error', 'store_set_aside', `DATA_DIR could not be read and was set aside: ${reasonOf(error)}`, {
      aside,
    });
  }

  /** @throws Error when a new database cannot be made either: then the disk fails, and the directory may be whole */
  async #checkDisk(): Promise<void> {
    const directory = `${this.#directory}.check`;
    const database = await Database.open(directory);
    try {
      await database.rewrite(this.#ledger);
    } finally {
      await database.close();
      await rm(directory, { recursive: true });
    }
  }

  /** Watches over the directory: notices that it is gone, and comes back when it is there again. */
  async #check(): Promise<void> {
    try {
      if (this.#database !== undefined) await access(join(this.#directory, 'CURRENT'));
    } catch (error) {
      await this.#lose(error);
    }
    if (this.#database === undefined) {
      this.#retry = true;
      await this.commit();
    }
  }

  async #comeBack(): Promise<void> {
    this.#retry = false;
    try {
      this.#database = await this.#attach();
      this.#failure = undefined;
      this.#notify('info', 'disk_back', 'DATA_DIR can be written again, and all that is kept has been', {});
    } catch (error) {
      this.#failure = reasonOf(error);
    }
  }

  async #lose(error: unknown): Promise<void> {
    const database = this.#database;
    if (database === undefined) return;
    this.#database = undefined;
    this.#fail(error);
    await database.close().catch(() => {});
  }

  #fail(error: unknown): void {
    this.#failure = reasonOf(error);
    this.#notify(
      'error',
      'disk_failed',
      `DATA_DIR cannot be written, tokens are kept in memory only: ${this.#failure}`,
      {},
    );
  }

  #notify(level: Notice['level'], code: string, message: string, facts: Record<string, string | number>): void {
    this.#onNotice({ level, code, message, facts: { directory: this.#directory, ...facts } });
  }
}

function endOfTick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
