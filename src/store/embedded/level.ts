/** A LevelDB in a directory: opened, written in synced batches, and what its errors mean. */
import { mkdir } from 'node:fs/promises';
import { ClassicLevel } from 'classic-level';
import { type Operation, operationsOf } from './changes.ts';
import type { Ledger } from './ledger.ts';

/** Raised with every change of the records' shape; a directory of another format is set aside. */
export const FORMAT = '1';
export const FORMAT_KEY = 'format';

export class DirectoryInUse extends Error {
  constructor(directory: string, cause: unknown) {
    super(`DATA_DIR is in use by another process: ${directory}`, { cause });
    this.name = 'DirectoryInUse';
  }
}

/** What is in a directory is not ours, or of another time. */
export class Unreadable extends Error {}

export function isUnreadable(error: unknown): boolean {
  return error instanceof Unreadable || /corrupt|MANIFEST-\d+: No such file/i.test(reasonOf(error));
}

export function reasonOf(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message : message;
}

/** Opens the database of a directory, which is made if need be. @throws DirectoryInUse */
export async function openLevel(directory: string): Promise<ClassicLevel> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const level = new ClassicLevel(directory, { keyEncoding: 'utf8', valueEncoding: 'utf8' });
  try {
    await level.open();
    return level;
  } catch (error) {
    const cause = (error as Error).cause as { code?: string } | undefined;
    if (cause?.code === 'LEVEL_LOCKED') throw new DirectoryInUse(directory, error);
    throw error;
  }
}

/** Resolves when all of it is on disk. A chained batch costs a third of an array of operations. */
export async function write(level: ClassicLevel, operations: readonly Operation[]): Promise<void> {
  const batch = level.batch();
  for (const operation of operations) {
    if (operation.type === 'put') batch.put(operation.key, operation.value);
    else batch.del(operation.key);
  }
  await batch.write({ sync: true });
}

/** Makes a directory hold what the ledger does, in one batch: if it cannot be written, what was there stays there. */
export async function rewrite(level: ClassicLevel, ledger: Ledger): Promise<void> {
  const puts = operationsOf(ledger.everything());
  const kept = new Set(puts.map(({ key }) => key)).add(FORMAT_KEY);
  const all: Operation[] = [{ type: 'put', key: FORMAT_KEY, value: FORMAT }, ...puts];
  for await (const key of level.keys()) if (!kept.has(key)) all.push({ type: 'del', key });
  await write(level, all);
}
