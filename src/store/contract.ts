/**
 * The contract of a token store. A store keeps tokens, claims and expectations. Every transition is
 * atomic. A store acknowledges a transition only when the change survives the process. All
 * implementations behave alike: one suite of tests runs against each of them.
 *
 * Terms. A token is *live* from its arrival until it is used or expires. A *claim* holds a live
 * token exclusively, until its lease ends, a worker releases it, or the token is used. A *used*
 * token stays known as used until it expires. A *query* is what a worker knows of its token: the
 * value of a correlator, or only the kind (the *pool* of tokens that came without any correlator).
 */
import type { Claim, Kind, NewToken, TokenQuery, TokenRecord } from '../token.ts';
import type { Notice } from './notice.ts';

/**
 * The outcome of a put. `kept`: the token is new, and live. `known`: the store has it already,
 * nothing changed. `unexpected`: new, but it matches no open expectation, and `ACCEPT=expected`
 * requires one. Nobody gets it. `deferred`: stored, but the store cannot know yet whether it was
 * expected.
 */
export type PutAnswer = 'kept' | 'known' | 'unexpected' | 'deferred';

/** `away` is set when the shared store is unavailable and the answer uses only local records. */
export interface Away {
  away?: true;
}

/**
 * Set when the store skipped a live token that this instance cannot open: the fingerprint of the
 * key that sealed it.
 */
export interface PassedOver {
  unknownKey?: string | undefined;
}

/** Which sealed values a store may hand out: only those that its caller can open. */
export interface KeyOptions {
  /** Fingerprints of the keys that the caller has. Without it, the store hands out every value. */
  openable?: ReadonlySet<string> | undefined;
}

/** Returns the fingerprint of the key that sealed a value; undefined if the value is in clear. */
export function sealKeyOf(value: string): string | undefined {
  return /^sealed ([0-9a-f]+) /.exec(value)?.[1];
}

/**
 * The merchant's arrival counter at the time of the answer. A later arrival has a higher one in its
 * hint.
 */
export interface Sequenced {
  sequence?: number | undefined;
}

/** `distinct`: the number of different live values under the query. */
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
     * `retryInMs`: the time until a lease ends and a new claim can succeed. `elsewhere`: this claim
     * id holds, or may hold, a token that only an unreachable store has. Another claim id may get a
     * token.
     */
    | { state: 'none'; retryInMs?: number; elsewhere?: true }
  );

export interface ClaimRequest {
  merchant: string;
  claimId: string;
  leaseMs: number;
  /**
   * Which token to take. Without it, the claim only renews the lease of the token that it holds.
   */
  query?: TokenQuery | undefined;
  /** Without a query: answer `none` only if no instance has a token that the claim holds. */
  isRenewal?: boolean;
  /**
   * Names this call. If its answer is lost, the shared store can put back the token that it took.
   */
  call?: string;
  /** The instance that must have asserted its claims to a shared store. If it has not there, that store lost its data. */
  instance?: string;
  /** Answers `conflict`, and takes nothing, when the query has different live values. */
  refuseConflict: boolean;
}

/**
 * The outcome of a settle. `lease_lost`: the claim was released, or another claim has the token.
 * `away`: only an unavailable store knows the claim.
 */
export type SettleAnswer = 'done' | 'lease_lost' | 'used' | 'unknown' | 'away';

export interface Expectation {
  id: string;
  merchant: string;
  kind: Kind;
  /** The topic of the announced post. `pool`: the post carries no correlator. */
  topic: string;
  ttlMs: number;
}

/**
 * An expectation without its post, or a token that nobody read or claimed. Reported once, at its
 * end.
 */
export type Expiry =
  | { what: 'no_show'; merchant: string; kind: Kind; expectation: string }
  | { what: 'orphan'; merchant: string; kind: Kind; id: string };

/** Reports a possible change under these topics. A hint may be lost, doubled or late. */
export interface Hint {
  merchant: string;
  topics: string[];
  /**
   * Arrived tokens by topic, as the store keeps them (sealed). A token is here only if it is the
   * only one under its topic.
   */
  arrivals?: ReadonlyMap<string, TokenRecord>;
  /**
   * The merchant's arrival counter after this change. A gap shows a lost hint. Unset for local
   * changes.
   */
  sequence?: number;
}

/** Events that a store reports without a request. */
export interface StoreEvents {
  onHint(hint: Hint): void;
  /** Hints may have been lost: anything may have changed. */
  onGap(): void;
  onExpiry(expiry: Expiry): void;
  /** A message for the operator. It never contains a value, key or password. */
  onNotice(notice: Notice): void;
}

/** The state of a store, for `/readyz`. */
export interface StoreHealth {
  kind: 'embedded' | 'redis' | 'fallback';
  /** `degraded`: the store works, but a change may not survive the process. */
  state: 'ok' | 'degraded' | 'away';
  detail?: string;
  fallback?: {
    /**
     * `serving`: the shared store is unavailable, and this instance keeps the tokens. `merging`: it
     * sends them to the shared store.
     */
    state: 'idle' | 'serving' | 'merging';
    disk: 'ok' | 'degraded' | 'away';
    /** Number of tokens and expectations that the shared store does not have yet. */
    pending: number;
    /** Number of tokens on local disk, with the copies of tokens that the shared store has. */
    journaled: number;
    /** Age of the oldest pending token; 0 without one. */
    pendingForMs: number;
  };
}

/** The store is unavailable: not reachable, or its answer exceeded the deadline. */
export class StoreAway extends Error {
  /** True when the store certainly did not receive the request. False when that is in doubt. */
  readonly unseen: boolean;
  /** Resolves when the answer comes after the deadline. Rejects when no answer can come. */
  late?: Promise<unknown>;
  constructor(message: string, unseen: boolean) {
    super(message);
    this.name = 'StoreAway';
    this.unseen = unseen;
  }
}

/**
 * Operations throw `StoreAway` when the store is unavailable and their answer has no word for that.
 * Times are milliseconds since 1970.
 */
export interface TokenStore {
  /** Starts the store. A shared store also starts while it is not reachable. */
  open(events: StoreEvents): Promise<void>;
  /** Stores a token. Resolves when the token survives the process. */
  put(token: NewToken): Promise<PutAnswer>;
  read(query: TokenQuery): Promise<ReadAnswer>;
  /**
   * Answers a read from an arrival that a hint carried: the state right after that arrival. Counts
   * as a read, so the token is not an orphan. Undefined when only `read` can answer.
   */
  readArrival(arrival: TokenRecord): ReadAnswer | undefined;
  claim(request: ClaimRequest): Promise<ClaimAnswer>;
  /** Ends a claim. `use` marks its token as used, `release` puts it back. */
  settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer>;
  /**
   * Puts the token of a claim back when the worker did not receive the answer. Returns whether it
   * did. Does nothing if the lease was renewed after `claim`. The caller must know that the worker
   * received no answer of an earlier renewal either.
   */
  undo(merchant: string, claim: Claim): Promise<boolean>;
  /** Marks a token as used, with or without a claim. */
  use(merchant: string, id: string): Promise<SettleAnswer>;
  /** Opens an expectation. Returns when it ends. */
  expect(expectation: Expectation): Promise<number>;
  /** Cancels an expectation. `unknown`: it never existed, or it has ended. */
  cancel(merchant: string, id: string): Promise<'done' | 'unknown' | 'away'>;
  /** Returns the merchant's arrival counter, which each arrival raises. */
  sequence(merchant: string): Promise<number>;
  health(): StoreHealth;
  close(): Promise<void>;
}

/** Carries texts between instances. Best effort: a text may be lost. */
export interface Channel {
  open(onText: (text: string) => void): void;
  /** Returns false when the text cannot be sent now. */
  send(text: string): boolean;
  close(): void;
}
