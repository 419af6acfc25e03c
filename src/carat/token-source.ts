/**
 * Where the flows get the tokens from that Carat posts. The receiver's worker client fits this interface; so does
 * anything else that sees the authenticity posts of the store.
 */

/** `seid` for schedule edits, `nit` for recharges and cancellations, `token` for generic operations. */
export type TokenKind = 'seid' | 'nit' | 'token';

/** By what the post will be told from others. Without one, a `seid` gets a fresh `merchant_data`, a `token` comes from the pool. */
export interface TokenSelector {
  merchant_data?: string;
  merchant_usn?: string;
  order_id?: string;
}

/** What was announced, and under what it will be found. */
export interface Announced {
  id: string;
  kind: TokenKind;
  selector: TokenSelector;
}

/** A token, held exclusively until it is used or released, or its lease ends. */
export interface HeldToken {
  id: string;
  value: string;
  /** The claim that holds it, as it was given to `take`. */
  claimId: string;
}

export interface TakeOptions {
  /** 1 to 64 of `A-Za-z0-9_-`; the same one again gets the same token again. */
  claimId: string;
  /** Milliseconds to wait for the post. */
  timeoutMs: number;
  /** Ends the wait early. What was taken in that very moment goes back when its lease ends. */
  signal: AbortSignal;
}

/** Every function rejects when the receiver cannot be used; the flows then fail with `token_source` and that error as cause. */
export interface TokenSource<T extends HeldToken = HeldToken> {
  /** Says which post is about to come. Called before the call to Carat that triggers it. */
  announce(request: { kind: TokenKind; selector?: TokenSelector | undefined; ttlSeconds: number }): Promise<Announced>;
  /** Waits for the announced token and takes it exclusively; nothing when it did not come in time. */
  take(announced: Announced, options: TakeOptions): Promise<T | undefined>;
  /** The token is about to be spent: it must never be handed out again. Rejects when it is no longer held. */
  used(token: T): Promise<void>;
  /** Puts a token back, unspent. */
  release(token: T): Promise<void>;
  /** The call to Carat failed: nothing is expected any more. */
  cancel(announced: Announced): Promise<void>;
}
