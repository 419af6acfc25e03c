/**
 * Replicates tokens to the shared store. After a put that the shared store did not acknowledge, the
 * token is pending: `local` if that store certainly did not receive it, `in_doubt` otherwise. The
 * reconciler fences pending tokens and sends them again in batches. Then they are `replicated`.
 */
import { type NewToken, topicsOf } from '../../token.ts';
import type { PutAnswer } from '../contract.ts';
import type { DurableLedger } from '../embedded/durable-ledger.ts';
import { type Change, isUsedOrHeld, type TokenEntry } from '../embedded/records.ts';
import { PendingTokens } from './pending-tokens.ts';
import type { MergedToken, MergeResult } from './shared-store.ts';

export interface FencedTokens {
  tokens: MergedToken[];
  wereLocal: TokenEntry[];
}

export class TokenReplication {
  readonly #durable: DurableLedger;
  readonly #ttlMs: number;
  #pending = new PendingTokens();

  constructor(durable: DurableLedger, ttlMs: number) {
    this.#durable = durable;
    this.#ttlMs = ttlMs;
  }

  /** Adds the pending tokens among records from disk. */
  load(records: Iterable<Change>): void {
    const { ledger } = this.#durable;
    const entries = new Set(this.#pending.all());
    for (const { of, merchant, id } of records) {
      const entry = of === 'token' ? ledger.get(merchant, id) : undefined;
      if (entry !== undefined && entry.replication !== 'replicated') entries.add(entry);
    }
    this.#pending = new PendingTokens();
    for (const entry of [...entries].sort((a, b) => a.order - b.order)) this.#pending.add(entry);
  }

  isPending(merchant: string, id: string): boolean {
    const entry = this.#durable.ledger.get(merchant, id);
    return entry !== undefined && entry.token.expiresAt > this.#durable.now() && this.#pending.has(entry);
  }

  hasPending(merchant: string): boolean {
    return this.#pending.hasAny(merchant);
  }

  get pendingCount(): number {
    return this.#pending.count;
  }

  /** Age of the oldest pending token, in ms; 0 without one. */
  get pendingForMs(): number {
    const now = this.#durable.now();
    return now - Math.min(now, this.#pending.since ?? now);
  }

  /** Stores a token only locally. */
  async keep(token: NewToken): Promise<PutAnswer> {
    const { ledger, disk, now } = this.#durable;
    const answer = ledger.put(token, now(), 'local');
    if (answer !== 'known') return this.notTaken(token, 'local');
    await disk.commit();
    return answer;
  }

  /**
   * Records a token in memory before it is sent. `taken` and `notTaken` write the outcome to disk.
   */
  begin(token: NewToken): PutAnswer {
    const { ledger, now } = this.#durable;
    return ledger.put(token, now(), 'in_doubt');
  }

  /**
   * Records that the shared store did not accept the token: certainly (`local`) or perhaps
   * (`in_doubt`).
   */
  async notTaken(token: NewToken, replication: 'local' | 'in_doubt'): Promise<PutAnswer> {
    const { ledger, disk } = this.#durable;
    const entry = ledger.get(token.merchant, token.id);
    if (entry === undefined || entry.replication === 'replicated') return 'known';
    // Only an answer from the shared store ends a doubt.
    const isInDoubt = entry.replication === 'in_doubt' && this.isPending(token.merchant, token.id);
    const isExpected = entry.state === 'deferred' && ledger.isExpected(token, entry.token.receivedAt);
    ledger.update(entry, {
      replication: isInDoubt ? 'in_doubt' : replication,
      ...(isExpected ? { state: 'live' } : {}),
    });
    this.#pending.add(entry);
    const committed = disk.commit();
    if (entry.state !== 'deferred') this.#durable.announce(token.merchant, topicsOf(token));
    await committed;
    return entry.state === 'deferred' ? 'deferred' : 'kept';
  }

  /**
   * Records that the shared store has the token. If that store had it already, another instance
   * keeps the copy.
   *
   * @param begun the result of `begin`
   */
  async taken(
    token: NewToken,
    { answer, arrivedAt }: { answer: PutAnswer; arrivedAt: number },
    begun: PutAnswer,
  ): Promise<void> {
    const { ledger, disk } = this.#durable;
    const entry = ledger.get(token.merchant, token.id);
    const ends = arrivedAt + this.#ttlMs;
    if (entry !== undefined && answer === 'kept') {
      ledger.update(entry, { replication: 'replicated', state: usedOr('live', entry), ends });
    } else if (entry?.replication === 'in_doubt' && begun !== 'known' && !this.#pending.has(entry)) {
      // Keep a refused token: a later announcement may admit it, even if the shared store lost it.
      if (answer === 'unexpected') ledger.update(entry, { replication: 'replicated', state: 'unexpected', ends });
      else ledger.forget(entry);
    }
    await disk.commit();
  }

  /**
   * Fences up to `most` pending tokens of a merchant: from now on, only the shared store hands them
   * out.
   *
   * @param which `certain`: only tokens about which no other instance can know more
   */
  async fence(merchant: string, which: 'certain' | 'all', most: number): Promise<FencedTokens> {
    const { ledger, disk, now } = this.#durable;
    const batch: TokenEntry[] = [];
    for (const entry of this.#pending.of(merchant)) {
      if (entry.token.expiresAt <= now()) this.#pending.delete(entry);
      else if (which === 'certain' && entry.replication !== 'local' && !isUsedOrHeld(entry, now())) continue;
      else if (batch.push(entry) === most) break;
    }
    const wereLocal = batch.filter((entry) => entry.replication === 'local');
    for (const entry of wereLocal) ledger.update(entry, { replication: 'in_doubt' });
    if (wereLocal.length > 0) await disk.commit();
    return { tokens: batch.map((entry) => ({ entry, ...ledger.claimsOf(entry) })), wereLocal };
  }

  /** Reverts a fence: the shared store certainly did not receive the tokens. */
  unfence({ wereLocal }: FencedTokens): void {
    const { ledger, disk } = this.#durable;
    for (const entry of wereLocal) ledger.update(entry, { replication: 'local' });
    disk.commitSoon();
  }

  /** Records that the shared store has the tokens, in these states. */
  merged(tokens: readonly MergedToken[], results: readonly MergeResult[]): void {
    const { ledger, disk } = this.#durable;
    for (const [i, { entry }] of tokens.entries()) {
      this.#pending.delete(entry);
      const { state, ends } = results[i] as MergeResult;
      if (state === 'over') ledger.forget(entry);
      else ledger.update(entry, { replication: 'replicated', state: usedOr(state, entry), ends });
    }
    disk.commitSoon();
  }

  sweep(now: number): void {
    this.#pending.sweep(now);
  }
}

/** Keeps a use that happened here after the token was sent. */
function usedOr(state: TokenEntry['state'], entry: TokenEntry): TokenEntry['state'] {
  return entry.state === 'used' ? 'used' : state;
}
