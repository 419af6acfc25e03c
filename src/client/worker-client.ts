/** The public types of the worker's client. */
import type { Asks } from './asks.ts';
import type { ClaimedToken, Expectation, HeldClaim, Kind, Lead, Selector, Token } from './wire.ts';

export interface CallOptions {
  /** Milliseconds to go on trying while the service cannot be reached; default 10 000. */
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface RenewOptions extends CallOptions {
  /** Milliseconds from now for which the token is held, 1000 to 600 000; default 60 000. */
  lease?: number | undefined;
}

export interface WaitOptions {
  /** Milliseconds to wait for the token, default 60 000; 0 asks once. Every wait longer than one request is asked for again. */
  timeout?: number | undefined;
  /** Ends the wait; the promise rejects with the signal's reason, and no token is taken. */
  signal?: AbortSignal | undefined;
}

export type ClaimRequest = Lead & {
  /** 1 to 64 of `A-Za-z0-9_-`; the same one again gets the same token again. Default: a random one. */
  claimId?: string | undefined;
  /** Milliseconds for which the token is held, 1000 to 600 000; default 60 000. */
  lease?: number | undefined;
};

export type ExpectRequest = { kind: Kind } & Lead & {
    /** Milliseconds for which the post is expected, 1000 to 3 600 000; default 120 000. */
    ttl?: number | undefined;
  };

/** All functions reject with a `WorkerError`, or with the reason of the signal that they were given. */
export interface WorkerClient extends Asks {
  readonly merchant: string;
  /** The newest live token under a selector, as soon as it is there; undefined when none came in time. Takes nothing away. */
  waitForToken(selector: Selector, options?: WaitOptions): Promise<Token | undefined>;
  /** The same, held exclusively: the newest under a selector, or the oldest of a kind's pool. */
  claim(request: ClaimRequest, options?: WaitOptions): Promise<ClaimedToken | undefined>;
  /** Holds the claim's token for longer, and takes nothing new. Rejects with `lease_lost` when the claim holds nothing. */
  renew(claimed: HeldClaim, options?: RenewOptions): Promise<ClaimedToken>;
  /** The claim's token was used: it is never handed out again. */
  used(claimed: HeldClaim, options?: CallOptions): Promise<void>;
  /** Puts the claim's token back. */
  release(claimed: HeldClaim, options?: CallOptions): Promise<void>;
  /** A token that was only read was used. */
  useToken(token: Pick<Token, 'id' | 'merchant'>, options?: CallOptions): Promise<void>;
  /**
   * Announces a post that Carat is about to be asked for. Without a selector a `seid` gets a fresh `merchantData`. When
   * an answer is lost it is announced again: the first announcement then runs out as a no-show.
   */
  expect(request: ExpectRequest, options?: CallOptions): Promise<Expectation>;
  /** The call to Carat failed: workers that wait under it get `cancelled`. */
  cancelExpectation(expectation: Pick<Expectation, 'id' | 'merchant'>, options?: CallOptions): Promise<void>;
  /** Announces, waits, calls Carat, claims, works, settles; see `WithTokenOptions`. */
  withToken<T>(options: WithTokenOptions, ask: Ask, work: Work<T>): Promise<T>;
}

/** Without a selector a `seid` gets a fresh `merchantData`, and a `token` comes from the pool. A `nit` needs a selector. */
export type WithTokenOptions = { kind: Kind } & Lead & {
    /** Milliseconds from the announcement until the token must be there; default 60 000. */
    timeout?: number | undefined;
    /** Milliseconds to go on waiting when Carat has answered; default 10 000. Normally the token is there by then. */
    grace?: number | undefined;
    /** Milliseconds for which the token is held without a renewal; default 60 000. */
    lease?: number | undefined;
    /** Ends the wait, and is passed on to both functions. */
    signal?: AbortSignal | undefined;
    /** The work is done, but the service could not be told so: the token may be handed out again when its lease ends. */
    onUnsettled?: ((error: unknown) => void) | undefined;
  };

/** Calls Carat, which posts the token while it does. A rejection means that the call failed. */
export type Ask = (announced: Expectation, signal: AbortSignal) => Promise<unknown>;
/** Goes on with the token. A rejection puts it back, unless it was spent. */
export type Work<T> = (token: ClaimedToken, hold: Hold) => Promise<T>;

export interface Hold {
  /**
   * Aborts when the token is lost, when its lease is about to end and could not be renewed, or when the caller aborts.
   * Whatever uses the token has to stop then.
   */
  signal: AbortSignal;
  /** Says that the token is about to be spent: from here on it is never handed out again, even when the work rejects. */
  spend(): Promise<void>;
}
