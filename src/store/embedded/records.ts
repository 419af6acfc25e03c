/** The records of a process, in memory and on disk: tokens, claims and expectations. */
import type { Claim, NewToken, TokenRecord } from '../../token.ts';
import type { Expectation } from '../contract.ts';

/**
 * Whether the shared store has a record. `local`: only this process has it. `in_doubt`: it was
 * sent, and the answer is missing. `replicated`: the shared store has it, and this is a copy in
 * case of a loss. In the embedded store, every record is `local`.
 */
export type Replication = 'local' | 'in_doubt' | 'replicated';

export interface TokenEntry {
  token: TokenRecord;
  /** `deferred`: the store cannot know yet whether it was expected. Until then, nobody gets it. */
  state: 'live' | 'used' | 'unexpected' | 'deferred';
  replication: Replication;
  /** Position among the merchant's tokens. A later token has a higher one. */
  order: number;
  /** The last claim of the token, also after its lease. Undefined after a release. */
  claim?: Claim;
  deliveries: number;
  /** True once a worker read it. */
  seen: boolean;
  /** When the token expires in the shared store: milliseconds since 1970, by that store's clock. */
  ends?: number;
}

/** A claim id and its last token. */
export interface ClaimEntry {
  merchant: string;
  id: string;
  token: string;
  released: boolean;
  /** When it took the token here: milliseconds since 1970. */
  takenAt?: number;
  /** When it took the token in the shared store: microseconds since 1970, by that store's clock. */
  taken?: number;
}

export interface ExpectationEntry extends Omit<Expectation, 'ttlMs'> {
  replication: Replication;
  openedAt: number;
  expiresAt: number;
  cancelledAt?: number;
  /**
   * True once a later one was opened under its topic and kind. After that, reads no longer answer
   * `cancelled` for this one.
   */
  replaced?: true;
  /** The id of the token that filled it. */
  token?: string;
  /** True once its no-show was reported. */
  reported?: true;
}

/** The current state of a record. Without an entry: the record was removed. */
export type Change =
  | { of: 'token'; merchant: string; id: string; entry?: TokenEntry }
  | { of: 'claim'; merchant: string; id: string; entry?: ClaimEntry }
  | { of: 'expectation'; merchant: string; id: string; entry?: ExpectationEntry };

/** Returns the claim that holds a token now. */
export function holderOf(entry: TokenEntry, now: number): Claim | null {
  return entry.claim !== undefined && entry.claim.leaseExpiresAt > now ? entry.claim : null;
}

/** Returns whether the token is used or held. Such a record knows more than the arrival. */
export function isUsedOrHeld(entry: TokenEntry, now: number): boolean {
  return entry.state === 'used' || holderOf(entry, now) !== null;
}

/** Names each field, so that all records have one shape. A spread takes far longer. */
export function recordOf(token: NewToken, receivedAt: number, expiresAt: number): TokenRecord {
  const { id, merchant, kind, value, correlators, pooled } = token;
  return { id, merchant, kind, value, correlators, pooled, receivedAt, expiresAt };
}

/** Moves the times of a token and of its claim. */
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
