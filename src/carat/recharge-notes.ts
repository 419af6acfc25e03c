/**
 * Durable notes of pending recharges. A note is written before a recharge is effected, and removed when Carat has answered
 * its confirmation or undo. A note that exists at start belongs to an interrupted recharge, which must be finished.
 *
 * The notes are a LevelDB in a folder on the worker's own disk. They must not depend on the receiver or on Redis, which may
 * be unavailable when a recharge is effected or undone. LevelDB syncs and checks every write and ignores a torn one. It
 * also holds a lock of the operating system for the lifetime of the process. So a second process cannot undo the open
 * recharges of the first one, and `kill -9` releases the lock. A lock file with a process id does not achieve that.
 *
 * A note contains the NIT, which is worthless without the merchant's key. It never contains the key or card data. Only the
 * folder's owner can read it. One folder belongs to one worker process and one merchant.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { CaratError } from './errors.ts';

export interface RechargeNote {
  nit: string;
  merchant_usn: string;
  /** The decision about the recharge: `undo` until the caller decides to confirm it. */
  decision: 'undo' | 'confirm';
  /** When the note was written, just before the recharge was effected; RFC 3339. */
  since: string;
}

/** Opens the notes in a folder, and creates a missing one. Throws `notes` if another process uses it or it is unusable. */
export function openRechargeNotes(folder: string): Promise<RechargeNotes> {
  return RechargeNotes.open(folder);
}

export class RechargeNotes {
  readonly #level: ClassicLevel<string, RechargeNote>;
  /** NITs that a flow or a recovery of this process is working on. */
  readonly #inHand = new Set<string>();

  // Private, so that the published types do not need the types of `classic-level`.
  private constructor(level: ClassicLevel<string, RechargeNote>) {
    this.#level = level;
  }

  static async open(folder: string): Promise<RechargeNotes> {
    const call = 'openRechargeNotes';
    try {
      await makeFolder(folder);
      await chmod(folder, 0o700);
      const level = new ClassicLevel<string, RechargeNote>(folder, { valueEncoding: 'json' });
      await level.open();
      return new RechargeNotes(level);
    } catch (cause) {
      const locked =
        cause instanceof Error && (cause.cause as NodeJS.ErrnoException | undefined)?.code === 'LEVEL_LOCKED';
      const message = locked ? 'the folder is in use by another process' : 'the folder cannot be used';
      throw new CaratError('notes', message, { call, effect: 'none', cause });
    }
  }

  /** Writes a note. It survives a crash once this resolves. */
  async keep(note: RechargeNote): Promise<void> {
    await this.#level.put(keyOf(note.nit), note, { sync: true });
  }

  /** Reads the current note of a recharge. Undefined if it has none. */
  find(nit: string): Promise<RechargeNote | undefined> {
    return this.#level.get(keyOf(nit));
  }

  /** Removes a note. The removal survives a crash once this resolves. */
  async forget(nit: string): Promise<void> {
    await this.#level.del(keyOf(nit), { sync: true });
  }

  async all(): Promise<RechargeNote[]> {
    return this.#level.values().all();
  }

  /** Reserves a recharge until `letGo`. Returns false if it is already reserved. */
  takeInHand(nit: string): boolean {
    if (this.#inHand.has(nit)) return false;
    this.#inHand.add(nit);
    return true;
  }

  letGo(nit: string): void {
    this.#inHand.delete(nit);
  }

  /** Closes the folder. Another process can then open it. */
  async close(): Promise<void> {
    await this.#level.close();
  }
}

/** Creates a folder and its parents. Node's recursive `mkdir` loops forever if none can be created, as in /proc. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const parent = dirname(folder);
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    if (code !== 'ENOENT' || parent === folder) throw error;
    await makeFolder(parent);
    await mkdir(folder, { mode: 0o700 });
  }
}

function keyOf(nit: string): string {
  return createHash('sha256').update(nit).digest('hex');
}
