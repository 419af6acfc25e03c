/**
 * What is done in the place of keeping a token, so that nobody can tell by the time of an answer what became of a post:
 * the same decisions and the same records, of a merchant that does not exist. They are forgotten soon, and are few.
 */
import { randomBytes } from 'node:crypto';
import { tokenId } from '../../token.ts';
import type { ChangeSet } from './changes.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';

/** Whose tokens on disk are decoys: no merchant has this name. */
const NOBODY = '';

const LIVES_MS = 1000;
/** So many at once: beyond that a flood would cost the disk more than it tells its sender. */
const MOST = 10_000;
const SID = 'decoy';
const WHERE = { merchant: NOBODY, kind: 'seid' } as const;

export class Decoy {
  readonly #ledger: Ledger;
  readonly #accept: LedgerOptions['accept'];

  constructor(options: LedgerOptions, changes: ChangeSet) {
    this.#ledger = new Ledger({ ...options, ttlMs: LIVES_MS, expectationRetentionMs: 0 }, changes);
    this.#accept = options.accept;
  }

  /** Keeps a token that nobody sent; where one must be expected, one that is. */
  keep(now: number): void {
    if (this.#ledger.count >= MOST) return;
    if (this.#accept === 'expected') this.#expect(now);
    const value = randomBytes(32).toString('hex');
    this.#ledger.put({ ...WHERE, id: tokenId(NOBODY, WHERE.kind, value), value, sid: SID, pooled: false }, now);
  }

  /** Fills an expectation that nobody announced. */
  fill(now: number): void {
    this.#expect(now);
    this.#ledger.expectations.fill(NOBODY, `sid=${SID}`, WHERE.kind, SID, now);
  }

  sweep(now: number): void {
    this.#ledger.sweep(now);
  }

  #expect(now: number): void {
    const times = { openedAt: now, expiresAt: now + LIVES_MS, standing: 'here' } as const;
    this.#ledger.expectations.add({ ...WHERE, id: SID, topic: `sid=${SID}`, ...times });
  }
}
