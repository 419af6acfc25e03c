/**
 * Claim ids in doubt: the shared store received a claim, and the answer is missing. It may have
 * given a token. A local token would be a second one under the same claim id. A doubt ends when the
 * shared store answers for the claim id, or when the token that it may have given has expired.
 */

interface Doubt {
  /**
   * Calls without an answer, oldest first. True: the call was abandoned, nobody waits for its
   * answer.
   */
  calls: Map<string, boolean>;
  /** The latest end, in milliseconds of `performance.now()`. */
  endsAt: number;
}

export class Doubts {
  readonly #ttlMs: number;
  /** By merchant, then by claim id. */
  readonly #doubts = new Map<string, Map<string, Doubt>>();

  /** @param ttlMs lifetime of a token */
  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
  }

  has(merchant: string, claimId: string): boolean {
    return this.#doubts.get(merchant)?.has(claimId) === true;
  }

  /** Records a call that asks the shared store for a token, before it is sent. */
  asked(merchant: string, claimId: string, call: string): void {
    const doubts = this.#doubts.get(merchant) ?? new Map<string, Doubt>();
    const doubt = doubts.get(claimId) ?? { calls: new Map(), endsAt: 0 };
    doubt.endsAt = performance.now() + this.#ttlMs;
    doubt.calls.set(call, false);
    this.#doubts.set(merchant, doubts.set(claimId, doubt));
  }

  /** Records that nobody waits for the answer of a call any more. */
  unanswered(merchant: string, claimId: string, call: string): void {
    this.#doubts.get(merchant)?.get(claimId)?.calls.set(call, true);
  }

  /**
   * Ends a call. `answered`: the shared store answered it, and so has processed the calls before
   * it. `unseen`: it certainly did not receive this one.
   */
  ended(merchant: string, claimId: string, call: string, how: 'answered' | 'unseen'): void {
    const calls = this.#doubts.get(merchant)?.get(claimId)?.calls;
    if (calls === undefined) return;
    if (how === 'unseen') calls.delete(call);
    else {
      for (const before of [...calls.keys()]) {
        calls.delete(before);
        if (before === call) break;
      }
    }
    if (calls.size === 0) this.#forget(merchant, claimId);
  }

  /** The claims of a merchant that have abandoned calls, with these calls. */
  unansweredOf(merchant: string): { claimId: string; calls: string[] }[] {
    return [...(this.#doubts.get(merchant)?.keys() ?? [])]
      .map((claimId) => ({ claimId, calls: this.unansweredCalls(merchant, claimId) }))
      .filter(({ calls }) => calls.length > 0);
  }

  unansweredCalls(merchant: string, claimId: string): string[] {
    const calls = this.#doubts.get(merchant)?.get(claimId)?.calls ?? [];
    return [...calls].filter(([, isUnanswered]) => isUnanswered).map(([call]) => call);
  }

  sweep(): void {
    const now = performance.now();
    for (const [merchant, doubts] of this.#doubts) {
      for (const [claimId, { endsAt }] of doubts) if (endsAt <= now) this.#forget(merchant, claimId);
    }
  }

  #forget(merchant: string, claimId: string): void {
    const doubts = this.#doubts.get(merchant);
    doubts?.delete(claimId);
    if (doubts?.size === 0) this.#doubts.delete(merchant);
  }
}
