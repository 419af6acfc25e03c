/**
 * Where the flows get the tokens that Carat posts. The receiver's worker client implements this interface. Anything else
 * that receives the merchant's authenticity posts can implement it too.
 */

/** `seid` for schedule edits, `nit` for recharges and cancellations, `token` for generic operations. */
export type TokenKind = 'seid' | 'nit' | 'token';

/** Identifies the post. Without a selector, a `seid` gets a new `merchant_data`, and a `token` comes from the pool. */
export interface TokenSelector {
  merchant_data?: string;
  merchant_usn?: string;
  order_id?: string;
}

/** An announced post and the selector of its token. */
export interface Announced {
  id: string;
  kind: TokenKind;
  selector: TokenSelector;
}

/** A token, held exclusively until it is used or released, or its lease ends. */
export interface HeldToken {
  id: string;
  value: string;
  /** The claim that holds it: the `claimId` given to `take`. */
  claimId: string;
}

export interface TakeOptions {
  /** 1 to 64 of `A-Za-z0-9_-`. A repeated id gets the same token again. */
  claimId: string;
  /** Milliseconds to wait for the post. */
  timeoutMs: number;
  /** Ends the wait early. A token that was taken at that moment is put back when its lease ends. */
  signal: AbortSignal;
}

/** Every function rejects when the receiver fails. The flows then fail with `token_source` and that error as cause. */
export interface TokenSource<T extends HeldToken = HeldToken> {
  /** Announces a post. Called before the call to Carat that triggers the post. */
  announce(request: { kind: TokenKind; selector?: TokenSelector | undefined; ttlSeconds: number }): Promise<Announced>;
  /** Waits for the announced token and takes it exclusively. Resolves with undefined if it did not come in time. */
  take(announced: Announced, options: TakeOptions): Promise<T | undefined>;
  /** Marks a token as used before it is spent: it must never be handed out again. Rejects if it is no longer held. */
  used(token: T): Promise<void>;
  /** Puts a token back, unspent. */
  release(token: T): Promise<void>;
  /** Cancels an announcement, because the call to Carat failed. */
  cancel(announced: Announced): Promise<void>;
}
