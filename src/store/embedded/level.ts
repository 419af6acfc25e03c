/**
 * A LevelDB in a directory, for one process. LevelDB skips damaged parts of its files without an
 * error, so this module detects damage: each record has a checksum, each batch has a number, and a
 * file in the directory (the witness) names the last synced batch.
 */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open as openFile, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { type Operation, operationsOf, readRecord } from './encoding.ts';
import type { Ledger } from './ledger.ts';
import type { Change } from './records.ts';

/**
 * A change of the records' shape raises it. Version 1.0.0 wrote format 1: the same records without
 * checksums.
 */
const FORMAT = '2';
const FORMAT_WITHOUT_CHECKSUMS = '1';
const FORMAT_KEY = 'format';
const BATCH_PREFIX = 'batch\n';
const BATCH_PREFIX_END = 'batch\u000b';
const WITNESS = 'LAST-BATCH';
const WITNESS_DIGITS = 16;
/** Version 1.0.0 wrote dummy records under an empty merchant name. */
const NOBODY = '';

export class DirectoryInUse extends Error {
  constructor(directory: string, cause: unknown) {
    super(`DATA_DIR is in use by another process: ${directory}`, { cause });
    this.name = 'DirectoryInUse';
  }
}

/** The directory has a database of another program, or of a later version. */
class Unreadable extends Error {}

/** True when no retry can open or read the database. */
export function isUnreadable(error: unknown): boolean {
  const damaged = /corrupt|(MANIFEST-\d+|\.ldb|\.sst): (No such file|Invalid argument)/i;
  return error instanceof Unreadable || damaged.test(reasonOf(error));
}

/**
 * True when LevelDB failed for another reason than lack of space. If it repeats, the database is
 * probably damaged.
 */
export function isSuspect(error: unknown): boolean {
  const { code = '' } = error as { code?: string };
  return code.startsWith('LEVEL_') && !/no space|quota|too large/i.test(reasonOf(error));
}

export function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message : message;
}

/** Damage that was found when a database was read. All zero: none. */
export interface Damage {
  /** Records with a wrong shape, checksum or id. */
  records: number;
  /** Synced batches that are missing. A gap of any length counts as one batch. */
  batches: number;
  /** Parts of its files that LevelDB skipped, according to its log. */
  skips: number;
}

export class Database {
  readonly #directory: string;
  readonly #level: ClassicLevel;
  #witness: FileHandle | undefined;
  #witnessing: Promise<void> | undefined;
  /** The number of the last synced batch; 0 before the first. */
  #batch = 0;
  /** Number of missing batches. */
  #missing = 0;

  private constructor(directory: string, level: ClassicLevel) {
    this.#directory = directory;
    this.#level = level;
  }

  /** Opens the database of a directory. Creates a missing directory. @throws DirectoryInUse */
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
   * Reads all records that are not broken.
   *
   * @returns `isCurrent` is false when the directory must be rewritten: it is new, damaged, or of
   *   an older format
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
    // The first batch wrote the format: it is missing.
    if (format === undefined && records.length > 0) damage.batches += 1;
    const isWhole = damage.records + damage.batches + damage.skips === 0;
    return { records, damage, isCurrent: isWhole && format === FORMAT };
  }

  /**
   * Writes one synced batch. A chained batch costs a third of the CPU time of an array of
   * operations.
   */
  async write(operations: readonly Operation[]): Promise<void> {
    const number = this.#batch + 1;
    const batch = this.#level.batch();
    // Each batch removes the number of the previous one. If a batch is lost, the number before it
    // stays.
    batch.del(BATCH_PREFIX + this.#batch).put(BATCH_PREFIX + number, '');
    for (const operation of operations) {
      if (operation.type === 'put') batch.put(operation.key, operation.value);
      else batch.del(operation.key);
    }
    await batch.write({ sync: true });
    this.#batch = number;
    this.#witnessing ??= this.#writeWitness();
  }

  /**
   * Makes the directory hold exactly the ledger, in one batch. If the write fails, the old records
   * stay.
   */
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
    // Without a witness, only a loss of the last batches stays undetected.
    const flags = constants.O_RDWR | constants.O_CREAT;
    this.#witness = await openFile(join(this.#directory, WITNESS), flags, 0o600).catch(() => undefined);
    const witnessed = Number(await this.#witness?.readFile('utf8').catch(() => '')) || 0;
    const last = Math.max(0, ...batches);
    this.#batch = Math.max(last, witnessed);
    this.#missing = Math.max(0, batches.length - 1) + this.#batch - last;
  }

  /** Needs no sync, and nothing waits for it: a witness that is behind can only miss a loss. */
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

/**
 * Creates a directory and its parents. Node's recursive `mkdir` loops forever in places like /proc.
 */
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
