/** The public types of the worker's client. */
import type { Asks } from './asks.ts';
import type { ClaimedToken, Expectation, HeldClaim, Kind, Lead, Selector, Token } from './wire.ts';

export interface CallOptions {
  /** Milliseconds to retry while the service cannot be reached; default 10 000. */
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface RenewOptions extends CallOptions {
  /** Milliseconds from now for which the token is held, 1000 to 600 000; default 60 000. */
  lease?: number | undefined;
}

export interface WaitOptions {
  /** Milliseconds to wait for the token, default 60 000. 0 sends one request. A longer wait takes several requests. */
  timeout?: number | undefined;
  /** Ends the wait. The promise rejects with the signal's reason, and no token is taken. */
  signal?: AbortSignal | undefined;
}

export type ClaimRequest = Lead & {
  /** 1 to 64 of `A-Za-z0-9_-`. A repeated id gets the same token again. Default: a random one. */
  claimId?: string | undefined;
  /** Milliseconds for which the token is held, 1000 to 600 000; default 60 000. */
  lease?: number | undefined;
};

export type ExpectRequest = { kind: Kind } & Lead & {
    /** Milliseconds for which the post is expected, 1000 to 3 600 000; default 120 000. */
    ttl?: number | undefined;
  };

/** All functions reject with a `WorkerError`, or with the reason of the given signal. */
export interface WorkerClient extends Asks {
  readonly merchant: string;
  /** Waits for the newest live token under a selector. Undefined if none came in time. A read changes nothing. */
  waitForToken(selector: Selector, options?: WaitOptions): Promise<Token | undefined>;
  /** Takes a token exclusively: the newest under a selector, or the oldest of a kind's pool. */
  claim(request: ClaimRequest, options?: WaitOptions): Promise<ClaimedToken | undefined>;
  /** Extends the lease of the claim's token. Rejects with `lease_lost` if the claim holds no token. */
  renew(claimed: HeldClaim, options?: RenewOptions): Promise<ClaimedToken>;
  /** Marks the claim's token as used: it is never handed out again. */
  used(claimed: HeldClaim, options?: CallOptions): Promise<void>;
  /** Puts the claim's token back. */
  release(claimed: HeldClaim, options?: CallOptions): Promise<void>;
  /** Marks a token as used that was read without a claim. */
  useToken(token: Pick<Token, 'id' | 'merchant'>, options?: CallOptions): Promise<void>;
  /**
   * Announces a post before Carat is asked for it. Without a selector, a `seid` gets a new `merchantData`. If an answer is
   * lost, the post is announced again, and the first announcement expires as a no-show.
   */
  expect(request: ExpectRequest, options?: CallOptions): Promise<Expectation>;
  /** Cancels an announcement, because the call to Carat failed. Waiting workers get `cancelled`. */
  cancelExpectation(expectation: Pick<Expectation, 'id' | 'merchant'>, options?: CallOptions): Promise<void>;
  /** Announces, waits, calls Carat, claims, works, settles; see `WithTokenOptions`. */
  withToken<T>(options: WithTokenOptions, ask: Ask, work: Work<T>): Promise<T>;
}

/** Without a selector, a `seid` gets a new `merchantData`, and a `token` comes from the pool. A `nit` needs a selector. */
export type WithTokenOptions = { kind: Kind } & Lead & {
    /** Milliseconds from the announcement in which the token must arrive; default 60 000. */
    timeout?: number | undefined;
    /** Milliseconds to wait after Carat has answered; default 10 000. Normally the token comes before. */
    grace?: number | undefined;
    /** Milliseconds for which the token is held without a renewal; default 60 000. */
    lease?: number | undefined;
    /** Ends the wait. It is passed to both functions. */
    signal?: AbortSignal | undefined;
    /** Called if the work is done but the token could not be marked as used: it may be handed out again after its lease. */
    onUnsettled?: ((error: unknown) => void) | undefined;
  };

/** Calls Carat, which posts the token during the call. A rejection means that the call failed. */
export type Ask = (announced: Expectation, signal: AbortSignal) => Promise<unknown>;
/** Works with the token. A rejection puts the token back, unless it was spent. */
export type Work<T> = (token: ClaimedToken, hold: Hold) => Promise<T>;

export interface Hold {
  /**
   * Aborts when the token is lost, when its lease is about to end and could not be renewed, or when the caller aborts. Then
   * the work must stop using the token.
   */
  signal: AbortSignal;
  /** Marks the token as used before it is spent. It is never handed out again, even if the work rejects. */
  spend(): Promise<void>;
}
