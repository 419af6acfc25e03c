/**
 * Keeps the ledger on disk: a LevelDB in one directory, for one process. Loads the records, and
 * writes changes in synced batches, one at a time. Reports damage. Renames an unreadable directory
 * and starts a new one. Keeps unwritten changes in memory and retries.
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
/** After this many consecutive failures to open or read a database, its directory is set aside. */
const MAX_FAILURES = 5;

export class Disk {
  readonly #directory: string;
  readonly #ledger: Ledger;
  readonly #clock: () => number;
  #onNotice: (notice: Notice) => void = () => {};
  #onRestored: (records: readonly Change[]) => void = () => {};
  #database: Database | undefined;
  /** The current or last write, and the one after it. */
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #failure: string | undefined;
  #checker: NodeJS.Timeout | undefined;
  #later: NodeJS.Timeout | undefined;
  #retry = false;
  /** Consecutive failures to open or read the database. */
  #failures = 0;
  /**
   * True once the records of the directory are in the ledger. Until then, nothing may overwrite
   * them.
   */
  #loaded = false;

  constructor(directory: string, ledger: Ledger, clock: () => number) {
    this.#directory = directory;
    this.#ledger = ledger;
    this.#clock = clock;
  }

  /** Why changes are in memory only. Undefined while the disk works. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /**
   * Loads the directory. If that fails now, loads it as soon as it can be read.
   *
   * @param onRestored called with the records when the directory is loaded after the start
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

  /**
   * Resolves when all changes so far are on disk. If the disk failed, it resolves too: see
   * `failure`.
   */
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

  /** Writes changes that no answer waits for. */
  commitSoon(): void {
    if (this.#ledger.changes.any) void this.commit();
  }

  /** Writes minor changes with the next batch, or after `LATER_MS`. */
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
      // After a failure, skip partial writes. Recovery rewrites the whole ledger.
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
   * Opens the directory and makes it hold the ledger. The first time, loads its records before
   * that. Sets an unreadable directory aside and starts a new one.
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

  /**
   * Renames a directory that cannot be read.
   *
   * @throws the given error when the directory may recover
   */
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

  /**
   * @throws Error when a new database cannot be created either: then the disk fails, and the
   *   directory may be intact
   */
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

  /** Detects that the directory is gone. While the disk fails, retries. */
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
      this.#notify('info', 'disk_back', 'DATA_DIR is writable again; all records were written', {});
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
