/** What a process remembers of its own, in memory and on disk: tokens, claim ids and expectations. */
import type { Claim, NewToken, TokenRecord } from '../../token.ts';
import type { Expectation } from '../contract.ts';

/**
 * Whether a shared store has a record. `local`: only this process has it. `in_doubt`: it was sent, and
 * the answer is missing. `replicated`: the shared store has it, and this is the copy that survives its
 * loss. In an embedded store everything is `local`.
 */
export type Replication = 'local' | 'in_doubt' | 'replicated';

export interface TokenEntry {
  token: TokenRecord;
  /** `deferred`: whether it was expected cannot be known yet; until then nobody gets it. */
  state: 'live' | 'used' | 'unexpected' | 'deferred';
  replication: Replication;
  /** Position among the merchant's tokens: later ones have a higher one. */
  order: number;
  /** The last claim that took it, also after its lease; none once it was released. */
  claim?: Claim;
  deliveries: number;
  /** True once anybody read it. */
  seen: boolean;
  /** When the token expires by the clock of a shared store, once that has it: milliseconds since 1970. */
  ends?: number;
}

/** A claim id, and the token it took last. */
export interface ClaimEntry {
  merchant: string;
  id: string;
  token: string;
  released: boolean;
  /** When it took the token: milliseconds since 1970 by this process, or microseconds by the clock of a shared store. */
  takenAt?: number;
  taken?: number;
}

export interface ExpectationEntry extends Omit<Expectation, 'ttlMs'> {
  replication: Replication;
  openedAt: number;
  expiresAt: number;
  cancelledAt?: number;
  /** True once a later one was opened under its topic and kind. A cancellation of this one is no longer answered then. */
  replaced?: true;
  /** The id of the one token it admitted. */
  token?: string;
  /** True once it was reported that it ended without its post. */
  reported?: true;
}

/** A record as it is now, or without an entry: that it is gone. */
export type Change =
  | { of: 'token'; merchant: string; id: string; entry?: TokenEntry }
  | { of: 'claim'; merchant: string; id: string; entry?: ClaimEntry }
  | { of: 'expectation'; merchant: string; id: string; entry?: ExpectationEntry };

/** The claim that holds a token now. */
export function holderOf(entry: TokenEntry, now: number): Claim | null {
  return entry.claim !== undefined && entry.claim.leaseExpiresAt > now ? entry.claim : null;
}

/** Whether this record says more than the arrival of its token. */
export function isUsedOrHeld(entry: TokenEntry, now: number): boolean {
  return entry.state === 'used' || holderOf(entry, now) !== null;
}

/** Written out, so that all records have one shape: to copy the fields of one into another takes far longer. */
export function recordOf(token: NewToken, receivedAt: number, expiresAt: number): TokenRecord {
  const { id, merchant, kind, value, correlators, pooled } = token;
  return { id, merchant, kind, value, correlators, pooled, receivedAt, expiresAt };
}

/** Moves the times of a token, and of the claim that took it. */
export function shiftToken({ token, claim }: TokenEntry, byMs: number): void {
  token.receivedAt += byMs;
  token.expiresAt += byMs;
  if (claim !== undefined) claim.leaseExpiresAt += byMs;
}

export function shiftExpectation(entry: ExpectationEntry, byMs: number): void {
  entry.openedAt += byMs;
  entry.expiresAt += byMs;
  if (entry.cancelledAt !== undefined) entry.cancelledAt += byMs;
}
