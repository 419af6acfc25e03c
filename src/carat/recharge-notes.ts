/**
 * The durable notes of recharges under way: written before a recharge is effected, removed when the answer to its
 * confirmation or undoing was seen. What is found here at start was interrupted and has to be finished.
 *
 * Their home is a LevelDB in a folder of the worker's own. It is on the worker's disk, not with the receiver or in
 * Redis, because the note must be there exactly when the process is, and depend on nothing that may be away when a
 * recharge is effected or undone. It is LevelDB rather than one file per note because every write is synced and checked
 * (a torn one is ignored), and because the operating system locks the folder for as long as the process lives, and no
 * longer: a second process cannot mistake the open recharges of the first for interrupted ones and undo them,
 * and after `kill -9` the lock is gone automatically, which no lock file with a process id achieves.
 *
 * A note holds the NIT, which is worthless without the merchant's key; never the key, never card data. The folder is
 * readable by its owner only. One folder belongs to one worker process and one merchant.
 */
import { createHash } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { ClassicLevel } from 'classic-level';
import { CaratError } from './errors.ts';

export interface RechargeNote {
  nit: string;
  merchant_usn: string;
  /** What is to become of the recharge: `undo` until the caller has decided to confirm it. */
  decision: 'undo' | 'confirm';
  /** When it was effected, or about to be; RFC 3339. */
  since: string;
}

/** Opens the notes in a folder, made when missing. Throws `notes` when it is in use by another process or cannot be used. */
export function openRechargeNotes(folder: string): Promise<RechargeNotes> {
  return RechargeNotes.open(folder);
}

export class RechargeNotes {
  readonly #level: ClassicLevel<string, RechargeNote>;
  /** NITs that somebody in this process is at work on, a flow or a recovery. */
  readonly #inHand = new Set<string>();

  // Private, so that the published types need none of the package below.
  private constructor(level: ClassicLevel<string, RechargeNote>) {
    this.#level = level;
  }

  static async open(folder: string): Promise<RechargeNotes> {
    const call = 'openRechargeNotes';
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
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

  /** Writes a note; it outlives the process once this resolves. */
  async keep(note: RechargeNote): Promise<void> {
    await this.#level.put(keyOf(note.nit), note, { sync: true });
  }

  /** The note about a recharge as it is written now; undefined when there is none. */
  find(nit: string): Promise<RechargeNote | undefined> {
    return this.#level.get(keyOf(nit));
  }

  /** Removes a note; it is gone for good once this resolves. */
  async forget(nit: string): Promise<void> {
    await this.#level.del(keyOf(nit), { sync: true });
  }

  /** All notes. */
  async all(): Promise<RechargeNote[]> {
    return this.#level.values().all();
  }

  /** Takes a recharge in hand; false when somebody else has it. `letGo` ends it. */
  takeInHand(nit: string): boolean {
    if (this.#inHand.has(nit)) return false;
    this.#inHand.add(nit);
    return true;
  }

  letGo(nit: string): void {
    this.#inHand.delete(nit);
  }

  /** Closes the folder; another process may open it then. */
  async close(): Promise<void> {
    await this.#level.close();
  }
}

function keyOf(nit: string): string {
  return createHash('sha256').update(nit).digest('hex');
}
