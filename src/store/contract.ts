/**
 * The contract of a token store. A store keeps the tokens that arrived, who holds them and what is expected; it decides
 * every transition atomically and acknowledges it only when it will outlive the process. Every implementation behaves
 * alike, and one suite of tests runs against all of them.
 *
 * Words. A token is *live* from its arrival until it is used or expires. A live token can be *claimed*: then one claim
 * holds it exclusively until its lease ends, it is released, or it is used. A *used* token is remembered as used until it
 * expires. A *query* is what a worker knows of the token it is after: a correlator's value, or nothing but the kind (the
 * *pool* of tokens that came without any correlator).
 */
import type { Claim, Kind, NewToken, TokenQuery, TokenRecord } from '../token.ts';
import type { Notice } from './notice.ts';

/**
 * `kept`: new, and live. `known`: it was here already, nothing changed. `unexpected`: new, matches no open expectation
 * although one is demanded, never handed out. `deferred`: kept, but whether it was expected cannot be known yet.
 */
export type PutAnswer = 'kept' | 'known' | 'unexpected' | 'deferred';

/** `away` is set when the answer comes from what is known locally, while the store itself cannot be asked. */
export interface Away {
  away?: true;
}

/** A live token was passed over: the fingerprint of the key that sealed it, which this instance does not have. */
export interface PassedOver {
  unknownKey?: string | undefined;
}

/** What a store needs to know of sealed values, so that it gives none that its caller cannot open. */
export interface KeyOptions {
  /** The fingerprints of the keys that the caller has; every value is given when this is left out. */
  openable?: ReadonlySet<string> | undefined;
}

/** The fingerprint of the key that sealed a value; none if it is in clear. */
export function sealKeyOf(value: string): string | undefined {
  return /^sealed ([0-9a-f]+) /.exec(value)?.[1];
}

/** The merchant's arrival counter when the store was asked: every later arrival is announced with a higher one. */
export interface Sequenced {
  sequence?: number | undefined;
}

export type ReadAnswer = Away &
  PassedOver &
  Sequenced &
  (
    | { state: 'live'; token: TokenRecord; distinct: number; claim: Claim | null }
    | { state: 'used' }
    | { state: 'cancelled' }
    | { state: 'none' }
  );

export type ClaimAnswer = Away &
  PassedOver &
  (
    | { state: 'held'; token: TokenRecord; distinct: number; claim: Claim }
    | { state: 'claimed'; claim: Claim; retryInMs: number }
    | { state: 'conflict'; distinct: number }
    | { state: 'used' }
    | { state: 'cancelled' }
    /**
     * `retryInMs`: when the first lease ends that could make the answer another one. `elsewhere`: this claim id holds, or
     * may hold, a token that only an unreachable store knows. Another claim id may get a token.
     */
    | { state: 'none'; retryInMs?: number; elsewhere?: true }
  );

export interface ClaimRequest {
  merchant: string;
  claimId: string;
  leaseMs: number;
  /** What to take; without it only a token that the claim holds already is answered, its lease renewed. */
  query?: TokenQuery | undefined;
  /** Without a query: `none` must mean that no instance knows of anything that the claim holds. */
  isRenewal?: boolean;
  /** Names this call, for a shared store that may have to take back what a call took whose answer was lost. */
  call?: string;
  /** Answer `conflict`, and take nothing, when there are different live values under the query. */
  refuseConflict: boolean;
}

/** `lease_lost`: released, or since claimed by another. `away`: only a store that is away knows the claim. */
export type SettleAnswer = 'done' | 'lease_lost' | 'used' | 'unknown' | 'away';

export interface Expectation {
  id: string;
  merchant: string;
  kind: Kind;
  /** What the post will carry; `pool` for a place for one token without correlator. */
  topic: string;
  ttlMs: number;
}

/** The end of an expectation or a token, reported once, by the store that notices it. */
export type Expiry =
  | { what: 'no_show'; merchant: string; kind: Kind; expectation: string }
  | { what: 'orphan'; merchant: string; kind: Kind; id: string };

/** Says that something may have changed under these topics. A hint: it may be lost, doubled or late. */
export interface Hint {
  merchant: string;
  topics: string[];
  /** The tokens whose arrival this is, as the store keeps them, by topic: those that are the only ones under it. */
  arrivals?: ReadonlyMap<string, TokenRecord>;
  /** The merchant's arrival counter after this change: a gap means that a hint was lost. None for local news. */
  sequence?: number;
}

/** What a store reports on its own. */
export interface StoreEvents {
  onHint(hint: Hint): void;
  /** Anything may have changed: hints were or may have been lost. */
  onGap(): void;
  onExpiry(expiry: Expiry): void;
  /** Something an operator should know; never holds a value, key or password. */
  onNotice(notice: Notice): void;
}

/** The state of a store, as `readyz` answers it. */
export interface StoreHealth {
  kind: 'embedded' | 'redis' | 'fallback';
  /** `degraded`: it keeps its promise to Carat only in part. */
  state: 'ok' | 'degraded' | 'away';
  detail?: string;
  fallback?: {
    /** `serving`: the shared store is away, and tokens are kept here. `merging`: what was kept here is brought there. */
    state: 'idle' | 'serving' | 'merging';
    disk: 'ok' | 'degraded' | 'away';
    /** Tokens and expectations that are not in the shared store yet. */
    pending: number;
    /** Tokens on local disk, copies of what the shared store has among them. */
    journaled: number;
    /** For how long the oldest pending token has been waiting; 0 when none is. */
    pendingForMs: number;
  };
}

/** A store is away: it could not be reached, or did not answer in time. */
export class StoreAway extends Error {
  /** True when the store surely never saw the request. */
  readonly unseen: boolean;
  /** Resolves when the store answered too late; rejects when it will not. */
  late?: Promise<unknown>;
  constructor(message: string, unseen: boolean) {
    super(message);
    this.name = 'StoreAway';
    this.unseen = unseen;
  }
}

export interface TokenStore {
  /** Starts; a store of other processes starts even when it cannot be reached. */
  open(events: StoreEvents): Promise<void>;
  /** Resolves when the token will outlive the process. */
  put(token: NewToken): Promise<PutAnswer>;
  read(query: TokenQuery): Promise<ReadAnswer>;
  /**
   * What a read answered at the moment of an arrival that a hint carried. Counts as a read: the token is not an orphan.
   * Undefined when only `read` can answer.
   */
  readArrival(arrival: TokenRecord): ReadAnswer | undefined;
  claim(request: ClaimRequest): Promise<ClaimAnswer>;
  /** Ends a claim: `use` marks its token as used, `release` puts it back. */
  settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer>;
  /**
   * Puts a token back that its claim took, when no answer about it was received; answers whether it did. Does nothing
   * if the lease was renewed after `claim`. The caller must know that no earlier renewal was received either.
   */
  undo(merchant: string, claim: Claim): Promise<boolean>;
  /** Marks a token as used, with or without a claim. */
  use(merchant: string, id: string): Promise<SettleAnswer>;
  /** Opens an expectation; answers when it ends. */
  expect(expectation: Expectation): Promise<number>;
  /** Cancels an expectation; `unknown` when it never was or is over. */
  cancel(merchant: string, id: string): Promise<'done' | 'unknown' | 'away'>;
  /** The merchant's arrival counter: it has moved if anything arrived since it was last seen. */
  sequence(merchant: string): Promise<number>;
  health(): StoreHealth;
  close(): Promise<void>;
}

/** Carries texts between instances, as well as it can. */
export interface Channel {
  open(onText: (text: string) => void): void;
  /** False when it cannot be sent now. */
  send(text: string): boolean;
  close(): void;
}
