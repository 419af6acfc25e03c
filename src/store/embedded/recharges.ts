/**
 * Owed recharges in a LevelDB of this process. One change at a time; each is synced before it takes
 * effect.
 */
import { ClassicLevel } from 'classic-level';
import { tokenId } from '../../token.ts';
import { StoreAway } from '../contract.ts';
import {
  type NewRecharge,
  type NitCipher,
  type OwedRecharge,
  openedNit,
  REMEMBERED_MS,
  type RechargeDecision,
  type RechargeEnd,
  type RechargeStore,
  type TakenRecharge,
} from '../recharges.ts';
import { makeDirectory } from './level.ts';

/** A recharge on disk. Times are milliseconds since 1970. */
interface Entry extends Omit<OwedRecharge, 'nit'> {
  sealedNit: string;
  /**
   * When it may be taken: `settleBy`, the end of a lease, or the time of the next attempt. After
   * its end: when to remove it.
   */
  due: number;
}

export class EmbeddedRecharges implements RechargeStore {
  readonly #directory: string;
  readonly #cipher: NitCipher;
  readonly #clock: () => number;
  /** By merchant and id. */
  readonly #entries = new Map<string, Entry>();
  #level: ClassicLevel<string, Entry> | undefined;
  #closed = false;
  /** The last change: changes run one after the other. Never rejects. */
  #last: Promise<unknown> = Promise.resolve();

  /** @param clock milliseconds since 1970, monotonic within the process */
  constructor(directory: string, cipher: NitCipher, clock = () => performance.timeOrigin + performance.now()) {
    this.#directory = directory;
    this.#cipher = cipher;
    this.#clock = clock;
  }

  /** Opens the directory. If that fails, each operation retries. */
  async open(): Promise<void> {
    await this.#exclusively(async () => {}).catch(() => {});
  }

  owe({ merchant, nit, merchantUsn, settleWithinMs }: NewRecharge): Promise<OwedRecharge> {
    const id = tokenId(merchant, 'nit', nit);
    return this.#exclusively(async () => {
      const known = this.#entries.get(keyOf(merchant, id));
      if (known !== undefined) return this.#shown(known);
      const settleBy = this.#clock() + settleWithinMs;
      const sealedNit = this.#cipher.seal(nit, merchant, id);
      return this.#keep({ merchant, id, sealedNit, merchantUsn, settleBy, attempts: 0, due: settleBy });
    });
  }

  decide(merchant: string, id: string, decision: RechargeDecision): Promise<OwedRecharge | undefined> {
    return this.#exclusively(async () => {
      const entry = this.#entries.get(keyOf(merchant, id));
      if (entry === undefined) return undefined;
      if (entry.decided !== undefined) return this.#shown(entry);
      return this.#keep({ ...entry, decided: { decision, by: 'worker' }, due: this.#clock() });
    });
  }

  find(merchant: string, id: string): Promise<OwedRecharge | undefined> {
    return this.#exclusively(async () => {
      const entry = this.#entries.get(keyOf(merchant, id));
      return entry && this.#shown(entry);
    });
  }

  due(merchant: string, most: number): Promise<{ ids: string[]; owed: number }> {
    return this.#exclusively(async () => {
      const now = this.#clock();
      const owed: Entry[] = [];
      for (const entry of this.#entries.values()) {
        if (entry.merchant !== merchant) continue;
        if (entry.ended === undefined) owed.push(entry);
        else if (entry.due <= now) await this.#forget(entry);
      }
      const due = owed.filter((entry) => entry.due <= now).sort((a, b) => a.due - b.due);
      return { ids: due.slice(0, most).map(({ id }) => id), owed: owed.length };
    });
  }

  take(merchant: string, id: string, leaseMs: number): Promise<TakenRecharge | undefined> {
    return this.#exclusively(async () => {
      const entry = this.#entries.get(keyOf(merchant, id));
      const now = this.#clock();
      if (entry === undefined || entry.ended !== undefined || entry.due > now) return undefined;
      const decided = entry.decided ?? { decision: 'undo', by: 'guard' };
      const taken = await this.#keep({ ...entry, decided, attempts: entry.attempts + 1, due: now + leaseMs });
      return { ...taken, decided };
    });
  }

  postpone({ merchant, id, attempts }: TakenRecharge, ms: number): Promise<void> {
    return this.#exclusively(async () => {
      const entry = this.#entries.get(keyOf(merchant, id));
      if (entry === undefined || entry.ended !== undefined || entry.attempts !== attempts) return;
      await this.#keep({ ...entry, due: this.#clock() + ms });
    });
  }

  finish({ merchant, id }: OwedRecharge, ended: RechargeEnd): Promise<void> {
    return this.#exclusively(async () => {
      const entry = this.#entries.get(keyOf(merchant, id));
      if (entry === undefined || entry.ended !== undefined) return;
      await this.#keep({ ...entry, ended, due: this.#clock() + REMEMBERED_MS });
    });
  }

  /**
   * Keeps a copy of a recharge of the shared store. Removes the copy once the recharge has ended.
   */
  keepCopy({ nit, ...recharge }: OwedRecharge): Promise<void> {
    return this.#exclusively(async () => {
      const { merchant, id } = recharge;
      const known = this.#entries.get(keyOf(merchant, id));
      if (recharge.ended !== undefined) return known && this.#forget(known);
      const sealedNit = nit === undefined ? known?.sealedNit : this.#cipher.seal(nit, merchant, id);
      if (sealedNit !== undefined) await this.#keep({ ...recharge, sealedNit, due: recharge.settleBy });
    });
  }

  /** Returns the copies of recharges that have not ended. */
  copies(): Promise<OwedRecharge[]> {
    return this.#exclusively(async () =>
      [...this.#entries.values()].filter(({ ended }) => ended === undefined).map((entry) => this.#shown(entry)),
    );
  }

  async close(): Promise<void> {
    await this.#last;
    this.#closed = true;
    await this.#level?.close();
    this.#level = undefined;
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(async () => {
      await this.#opened();
      return work();
    });
    this.#last = done.catch(() => {});
    return done;
  }

  async #opened(): Promise<ClassicLevel<string, Entry>> {
    if (this.#level !== undefined) return this.#level;
    if (this.#closed) throw new StoreAway('closed', true);
    try {
      await makeDirectory(this.#directory);
      const level = new ClassicLevel<string, Entry>(this.#directory, { valueEncoding: 'json' });
      await level.open();
      for await (const [key, entry] of level.iterator()) this.#entries.set(key, entry);
      // The leases belonged to a process that has ended.
      for (const entry of this.#entries.values()) if (entry.decided && !entry.ended) entry.due = this.#clock();
      this.#level = level;
      return level;
    } catch {
      throw new StoreAway('the directory of owed recharges cannot be used', true);
    }
  }

  /** Writes to disk before memory: an answer from memory is durable. */
  async #keep(entry: Entry): Promise<OwedRecharge> {
    const level = await this.#opened();
    const key = keyOf(entry.merchant, entry.id);
    await level.put(key, entry, { sync: true }).catch(() => {
      throw new StoreAway('an owed recharge could not be written', false);
    });
    this.#entries.set(key, entry);
    return this.#shown(entry);
  }

  async #forget({ merchant, id }: Entry): Promise<void> {
    const key = keyOf(merchant, id);
    await this.#level?.del(key).catch(() => {});
    this.#entries.delete(key);
  }

  #shown({ sealedNit, due: _, ...entry }: Entry): OwedRecharge {
    return { ...entry, nit: openedNit(this.#cipher, sealedNit, entry.merchant, entry.id) };
  }
}

function keyOf(merchant: string, id: string): string {
  return `${merchant}\n${id}`;
}
