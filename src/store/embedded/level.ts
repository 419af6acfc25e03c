/**
 * A LevelDB in a directory, for one process. LevelDB skips damaged parts of its files without an error, so damage is
 * detected here: each record carries a checksum, each batch a number, and a file beside the database (the witness) names
 * the last batch that was synced.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open as openFile, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { type Operation, operationsOf, readRecord } from './encoding.ts';
import type { Ledger } from './ledger.ts';
import type { Change } from './records.ts';

/** Raised with every change of the records' shape. Version 1.0.0 wrote format 1: the same records without a checksum. */
const FORMAT = '2';
const FORMAT_WITHOUT_CHECKSUMS = '1';
const FORMAT_KEY = 'format';
const BATCH_PREFIX = 'batch\n';
const BATCH_PREFIX_END = 'batch\u000b';
const WITNESS = 'LAST-BATCH';
const WITNESS_DIGITS = 16;
/** Version 1.0.0 wrote dummy records, of a merchant without a name. */
const NOBODY = '';

export class DirectoryInUse extends Error {
  constructor(directory: string, cause: unknown) {
    super(`DATA_DIR is in use by another process: ${directory}`, { cause });
    this.name = 'DirectoryInUse';
  }
}

/** The directory holds a database of another program, or of a later version. */
class Unreadable extends Error {}

/** True when the database can never be opened or read again. */
export function isUnreadable(error: unknown): boolean {
  const damaged = /corrupt|(MANIFEST-\d+|\.ldb|\.sst): (No such file|Invalid argument)/i;
  return error instanceof Unreadable || damaged.test(reasonOf(error));
}

/** True when LevelDB failed, and not for lack of space: if the failure repeats, the database is probably damaged. */
export function isSuspect(error: unknown): boolean {
  const { code = '' } = error as { code?: string };
  return code.startsWith('LEVEL_') && !/no space|quota|too large/i.test(reasonOf(error));
}

export function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message : message;
}

/** What was found missing or broken when a database was read; all zero when nothing was. */
export interface Damage {
  /** Records that make no sense, or whose checksum or id is wrong. */
  records: number;
  /** Batches that were synced and are missing. A gap counts as one batch, however long it is. */
  batches: number;
  /** Parts of its files that LevelDB skipped, by its own log. */
  skips: number;
}

export class Database {
  readonly #directory: string;
  readonly #level: ClassicLevel;
  #witness: FileHandle | undefined;
  #witnessing: Promise<void> | undefined;
  /** The number of the last synced batch; 0 before the first. */
  #batch = 0;
  /** How many batches were found missing. */
  #missing = 0;

  private constructor(directory: string, level: ClassicLevel) {
    this.#directory = directory;
    this.#level = level;
  }

  /** Opens the database of a directory, which is created if missing. @throws DirectoryInUse */
  static async open(directory: string): Promise<Database> {
    await makeDirectory(directory);
    const database = new Database(
      directory,
      new ClassicLevel(directory, { keyEncoding: 'utf8', valueEncoding: 'utf8' }),
    );
    try {
      await database.#level.open();
      await database.#countBatches();
      return database;
    } catch (error) {
      await database.close();
      const cause = (error as Error).cause as { code?: string } | undefined;
      if (cause?.code === 'LEVEL_LOCKED') throw new DirectoryInUse(directory, error);
      throw error;
    }
  }

  /**
   * Reads all records that are whole.
   * @returns `isCurrent` is false when the directory must be rewritten: it is new, damaged, or of an older format
   * @throws Error when the database is of another format, or LevelDB cannot read it
   */
  async read(): Promise<{ records: Change[]; damage: Damage; isCurrent: boolean }> {
    const format = await this.#level.get(FORMAT_KEY);
    if (format !== undefined && format !== FORMAT && format !== FORMAT_WITHOUT_CHECKSUMS) {
      throw new Unreadable(`its format is ${format}, not ${FORMAT}`);
    }
    const records: Change[] = [];
    const damage: Damage = { records: 0, batches: this.#missing, skips: await this.#skips() };
    for await (const [key, value] of this.#level.iterator()) {
      if (key === FORMAT_KEY || key.startsWith(BATCH_PREFIX)) continue;
      const record = readRecord(key, value, format !== FORMAT_WITHOUT_CHECKSUMS);
      if (record === undefined) damage.records += 1;
      else if (record.merchant !== NOBODY) records.push(record);
    }
    if (format === undefined && records.length === 0 && damage.records > 0)
      throw new Unreadable('its format is unknown');
    // The first batch wrote the format, and is missing.
    if (format === undefined && records.length > 0) damage.batches += 1;
    const isWhole = damage.records + damage.batches + damage.skips === 0;
    return { records, damage, isCurrent: isWhole && format === FORMAT };
  }

  /** Resolves when all of it is on disk. A chained batch costs a third of an array of operations. */
  async write(operations: readonly Operation[]): Promise<void> {
    const number = this.#batch + 1;
    const batch = this.#level.batch();
    // Each batch removes the number of the one before. If a batch is lost, the number before it stays.
    batch.del(BATCH_PREFIX + this.#batch).put(BATCH_PREFIX + number, '');
    for (const operation of operations) {
      if (operation.type === 'put') batch.put(operation.key, operation.value);
      else batch.del(operation.key);
    }
    await batch.write({ sync: true });
    this.#batch = number;
    this.#witnessing ??= this.#writeWitness();
  }

  /** Makes a directory hold what the ledger does, in one batch: if it cannot be written, what was there stays there. */
  async rewrite(ledger: Ledger): Promise<void> {
    const operations = operationsOf(ledger.everything());
    const kept = new Set(operations.map(({ key }) => key)).add(FORMAT_KEY);
    operations.push({ type: 'put', key: FORMAT_KEY, value: FORMAT });
    for await (const key of this.#level.keys()) if (!kept.has(key)) operations.push({ type: 'del', key });
    await this.write(operations);
  }

  async close(): Promise<void> {
    await this.#witnessing;
    await this.#witness?.close();
    await this.#level.close();
  }

  async #countBatches(): Promise<void> {
    const batches: number[] = [];
    for await (const key of this.#level.keys({ gte: BATCH_PREFIX, lt: BATCH_PREFIX_END })) {
      batches.push(Number(key.slice(BATCH_PREFIX.length)));
    }
    // Without a witness, only the loss of the last batches goes unnoticed.
    const flags = constants.O_RDWR | constants.O_CREAT;
    this.#witness = await openFile(join(this.#directory, WITNESS), flags, 0o600).catch(() => undefined);
    const witnessed = Number(await this.#witness?.readFile('utf8').catch(() => '')) || 0;
    const last = Math.max(0, ...batches);
    this.#batch = Math.max(last, witnessed);
    this.#missing = Math.max(0, batches.length - 1) + this.#batch - last;
  }

  /** Needs no sync, and nothing waits for it: a witness that is behind only misses a loss. */
  async #writeWitness(): Promise<void> {
    for (let written = 0; written < this.#batch; ) {
      written = this.#batch;
      await this.#witness?.write(String(written).padStart(WITNESS_DIGITS, '0'), 0).catch(() => undefined);
    }
    this.#witnessing = undefined;
  }

  async #skips(): Promise<number> {
    const log = await readFile(join(this.#directory, 'LOG'), 'utf8').catch(() => '');
    return log.split('\n').filter((line) => /dropping|Corruption/.test(line)).length;
  }
}

/** Creates a directory and its parents. Node's own recursive `mkdir` loops forever where none can be created, as in /proc. */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = dirname(path);
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || parent === path) throw error;
    await makeDirectory(parent);
    await mkdir(path, { mode: 0o700 });
  }
}
