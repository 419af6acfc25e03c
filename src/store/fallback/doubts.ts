/**
 * Claim ids in doubt: the shared store was asked for a token and has not answered. It may have given one, so that a token
 * from here would be a second one under the same id. A doubt ends when the shared store has spoken of the claim id, or
 * when no token lives any more that it can have given.
 */

interface Doubt {
  /** The calls that have no answer yet, oldest first; true for those whose answer nobody waits for. */
  calls: Map<string, boolean>;
  /** When it ends at the latest, in milliseconds of `performance.now()`. */
  endsAt: number;
}

export class Doubts {
  readonly #ttlMs: number;
  /** By merchant, then by claim id. */
  readonly #doubts = new Map<string, Map<string, Doubt>>();

  /** @param ttlMs how long a token lives */
  constructor(ttlMs: number) {
    this.#ttlMs = ttlMs;
  }

  has(merchant: string, claimId: string): boolean {
    return this.#doubts.get(merchant)?.has(claimId) === true;
  }

  /** A call that asks the shared store for a token goes out. */
  asked(merchant: string, claimId: string, call: string): void {
    const doubts = this.#doubts.get(merchant) ?? new Map<string, Doubt>();
    const doubt = doubts.get(claimId) ?? { calls: new Map(), endsAt: 0 };
    doubt.endsAt = performance.now() + this.#ttlMs;
    doubt.calls.set(call, false);
    this.#doubts.set(merchant, doubts.set(claimId, doubt));
  }

  /** Nobody waits for the answer to a call any more. */
  unanswered(merchant: string, claimId: string, call: string): void {
    this.#doubts.get(merchant)?.get(claimId)?.calls.set(call, true);
  }

  /** The shared store has answered a call, and so the calls before it; or it surely never saw this one. */
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

  /** The claims of a merchant, with the calls whose answers nobody waits for. */
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
