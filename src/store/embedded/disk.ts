/**
 * The ledger's home on disk: a LevelDB in one directory, for one process. Loads what is there, writes what changed, in
 * synced batches, one at a time. What it cannot read it sets aside under another name; what it cannot write it keeps,
 * and tries again.
 */
import { access, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClassicLevel } from 'classic-level';
import type { Notice } from '../notice.ts';
import { operationsOf, readRecord } from './changes.ts';
import { NOBODY } from './decoy.ts';
import type { Ledger } from './ledger.ts';
import {
  DirectoryInUse,
  FORMAT,
  FORMAT_KEY,
  isUnreadable,
  openLevel,
  reasonOf,
  rewrite,
  Unreadable,
  write,
} from './level.ts';
import type { Change } from './records.ts';

const RETRY_EVERY_MS = 1000;
const LATER_MS = 100;

export class Disk {
  readonly #directory: string;
  readonly #ledger: Ledger;
  #onNotice: (notice: Notice) => void = () => {};
  #onRestored: (records: readonly Change[]) => void = () => {};
  #level: ClassicLevel | undefined;
  /** What is going to disk now, and what will go after it. */
  #writing: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #failure: string | undefined;
  #checker: NodeJS.Timeout | undefined;
  #later: NodeJS.Timeout | undefined;
  #retry = false;
  /** True once what was in the directory is in the ledger: until then, nothing there may be overwritten. */
  #loaded = false;

  constructor(directory: string, ledger: Ledger) {
    this.#directory = directory;
    this.#ledger = ledger;
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
      this.#level = await this.#load();
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
    await this.#level?.close();
  }

  #catchUp(): void {
    this.#later = undefined;
    this.commitSoon();
  }

  async #write(): Promise<void> {
    const changes = this.#ledger.changes.take();
    if (this.#level === undefined) {
      // Nothing is written piecemeal to a disk that has failed: when it is back, everything is written anew.
      if (this.#retry) await this.#comeBack();
      return;
    }
    if (changes.length === 0) return;
    try {
      await write(this.#level, operationsOf(changes));
    } catch (error) {
      await this.#lose(error);
    }
  }

  /**
   * Reads the directory into the ledger, beside what came while it could not be read; a directory that makes no sense is
   * set aside and a new one begun.
   */
  async #load(): Promise<ClassicLevel> {
    const isBehind = !this.#ledger.isEmpty;
    let level: ClassicLevel | undefined;
    try {
      level = await openLevel(this.#directory);
      const format = await level.get(FORMAT_KEY);
      const restored: Change[] = [];
      let broken = 0;
      let records = 0;
      for await (const [key, value] of level.iterator()) {
        if (key === FORMAT_KEY) continue;
        records += 1;
        if (format !== FORMAT) break;
        const record = readRecord(key, value);
        if (record === undefined) broken += 1;
        else if (record.merchant === NOBODY) this.#ledger.changes.gone(record.of, NOBODY, record.id);
        else restored.push(record);
      }
      if (format !== FORMAT && records > 0) throw new Unreadable(`its format is ${format ?? 'unknown'}, not ${FORMAT}`);
      if (broken > 0)
        this.#tell('error', 'records_broken', 'records in DATA_DIR could not be read', { records: broken });
      this.#ledger.restore(restored);
      if (isBehind) await rewrite(level, this.#ledger);
      else await level.put(FORMAT_KEY, FORMAT);
      this.#loaded = true;
      this.#onRestored(restored);
      return level;
    } catch (error) {
      await level?.close();
      level = await this.#beginAnew(error);
      await rewrite(level, this.#ledger);
      this.#loaded = true;
      return level;
    }
  }

  /** Sets a directory aside that makes no sense, and begins a new one. @throws what was wrong with any other */
  async #beginAnew(error: unknown): Promise<ClassicLevel> {
    if (!isUnreadable(error)) throw error;
    const aside = `${this.#directory}.aside-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
    await rename(this.#directory, aside);
    this.#tell('error', 'store_set_aside', `DATA_DIR could not be read and was set aside: ${reasonOf(error)}`, {
      aside,
    });
    const level = await openLevel(this.#directory);
    await level.put(FORMAT_KEY, FORMAT);
    return level;
  }

  /** Watches over the directory: notices that it is gone, and comes back when it is there again. */
  async #check(): Promise<void> {
    try {
      if (this.#level !== undefined) await access(join(this.#directory, 'CURRENT'));
    } catch (error) {
      await this.#lose(error);
    }
    if (this.#level === undefined) {
      this.#retry = true;
      await this.commit();
    }
  }

  async #comeBack(): Promise<void> {
    this.#retry = false;
    try {
      this.#level = this.#loaded ? await this.#takeOver() : await this.#load();
      this.#failure = undefined;
      this.#tell('info', 'disk_back', 'DATA_DIR can be written again, and all that is kept has been', {});
    } catch (error) {
      this.#failure = reasonOf(error);
    }
  }

  /** A directory that is there again: what is in it is older than what is in memory. */
  async #takeOver(): Promise<ClassicLevel> {
    const level = await openLevel(this.#directory).catch((error) => this.#beginAnew(error));
    try {
      await rewrite(level, this.#ledger);
      return level;
    } catch (error) {
      await level.close();
      throw error;
    }
  }

  async #lose(error: unknown): Promise<void> {
    const level = this.#level;
    if (level === undefined) return;
    this.#level = undefined;
    this.#fail(error);
    await level?.close().catch(() => {});
  }

  #fail(error: unknown): void {
    this.#failure = reasonOf(error);
    this.#tell(
      'error',
      'disk_failed',
      `DATA_DIR cannot be written, tokens are kept in memory only: ${this.#failure}`,
      {},
    );
  }

  #tell(level: Notice['level'], code: string, message: string, facts: Record<string, string | number>): void {
    this.#onNotice({ level, code, message, facts: { directory: this.#directory, ...facts } });
  }
}

function endOfTick(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
