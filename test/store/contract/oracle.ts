/**
 * Invariants of any history of a store, with any interleaving. Operations are recorded with the
 * time span of their effect. The answer of a claim has the exact time by the store's clock, because
 * its lease starts then.
 */
import type { ClaimAnswer, ReadAnswer, SettleAnswer } from '../../../src/store/contract.ts';

interface Span {
  /** A step count, not a time: one operation ended before the other started, or they overlap. */
  begun: number;
  ended: number;
}
interface Hold extends Span {
  token: string;
  claimId: string;
  deliveries: number;
  renewals: number;
  /** By the store's clock. */
  takenAt: number;
  leaseEndsAt: number;
}
interface Settling extends Span {
  claimId: string;
  how: 'use' | 'release' | 'undo';
  answer: SettleAnswer;
}

export class Oracle {
  readonly violations: string[] = [];
  readonly holds: Hold[] = [];
  readonly #settlings: Settling[] = [];
  /** The step at which the use of a token was acknowledged. */
  readonly #usedBy = new Map<string, number>();
  /** How many claims of an id were started, and how many are pending. */
  readonly #begunOf = new Map<string, number>();
  readonly #underWayOf = new Map<string, number>();
  /** Claim ids without an answer in time: the store may have taken a token for them. */
  readonly #unheard = new Set<string>();
  #step = 0;

  async claim(claimId: string, leaseMs: number, query: string, run: () => Promise<ClaimAnswer>): Promise<ClaimAnswer> {
    const begun = this.#begin();
    count(this.#begunOf, claimId, 1);
    count(this.#underWayOf, claimId, 1);
    const answer = await run();
    count(this.#underWayOf, claimId, -1);
    const ended = this.#begin();
    if ('away' in answer && answer.away) this.#unheard.add(claimId);
    if (answer.state !== 'held') return answer;
    const { token, claim } = answer;
    this.#notAfterUse(token.id, begun, `claimed by ${claimId}`);
    if (claim.id !== claimId) this.violations.push(`${claimId} was answered the claim of ${claim.id}`);
    if (claim.renewals === 0 && query !== (token.pooled ? 'pool' : token.correlators.sid)) {
      this.violations.push(
        `${claimId} asked for ${query} and got a token of ${token.pooled ? 'the pool' : token.correlators.sid}`,
      );
    }
    const { deliveries, renewals, leaseExpiresAt } = claim;
    const takenAt = leaseExpiresAt - leaseMs;
    this.holds.push({
      token: token.id,
      claimId,
      deliveries,
      renewals,
      takenAt,
      leaseEndsAt: leaseExpiresAt,
      begun,
      ended,
    });
    return answer;
  }

  async settle(claimId: string, how: 'use' | 'release' | 'undo', run: () => Promise<SettleAnswer>): Promise<void> {
    const begun = this.#begin();
    const claimsBefore = this.#begunOf.get(claimId);
    const isAlone = this.#underWayOf.get(claimId) === 0;
    const answer = await run();
    const ended = this.#begin();
    this.#settlings.push({ claimId, how, answer, begun, ended });
    if (how !== 'use' || answer !== 'done') return;
    // A use applies to the last token of the claim. It is known unless another claim call was
    // pending.
    const taken = this.holds.filter((hold) => hold.claimId === claimId).sort((a, b) => a.takenAt - b.takenAt);
    const last = taken.at(-1);
    // Two claims in the same millisecond have no known order.
    const isTied = taken.some(({ takenAt, token }) => takenAt === last?.takenAt && token !== last.token);
    const isKnown = isAlone && !isTied && !this.#unheard.has(claimId) && this.#begunOf.get(claimId) === claimsBefore;
    if (last === undefined || !isKnown) return;
    this.#usedBy.set(last.token, ended);
  }

  async read(run: () => Promise<ReadAnswer>): Promise<void> {
    const begun = this.#begin();
    const answer = await run();
    if (answer.state === 'live') this.#notAfterUse(answer.token.id, begun, 'read as live');
  }

  /** Checks the whole history: never two holders. */
  check(): void {
    for (const hold of this.holds) {
      for (const other of this.holds) {
        if (other.token === hold.token && other.claimId !== hold.claimId) this.#apart(hold, other);
      }
    }
  }

  #apart(first: Hold, second: Hold): void {
    if (first.takenAt > second.takenAt || second.takenAt >= first.leaseEndsAt) return;
    if (first.takenAt === second.takenAt) {
      if (first.deliveries > second.deliveries) return;
      // Within a millisecond, the next claim may get the number of an undone claim. Their order is
      // unknown.
      if (first.deliveries === second.deliveries && this.#gaveUp(second, first)) return;
    }
    if (this.#gaveUp(first, second)) return;
    this.violations.push(
      `${first.token} was held by ${first.claimId} from ${first.takenAt} to ${first.leaseEndsAt}, ` +
        `and taken by ${second.claimId} at ${second.takenAt}`,
    );
  }

  /**
   * Whether the first holder may have released the token, or shortened its lease, before the second
   * one took it.
   */
  #gaveUp(first: Hold, second: Hold): boolean {
    const putBack = this.#settlings.some(
      ({ claimId, how, answer, begun, ended }) =>
        claimId === first.claimId &&
        (how === 'undo' || (how === 'release' && answer === 'done')) &&
        begun <= second.ended &&
        ended >= first.begun,
    );
    const shortened = this.holds.some(
      ({ token, claimId, renewals, takenAt, leaseEndsAt }) =>
        token === first.token &&
        claimId === first.claimId &&
        renewals > first.renewals &&
        takenAt >= first.takenAt &&
        leaseEndsAt <= second.takenAt,
    );
    return putBack || shortened;
  }

  #notAfterUse(token: string, begun: number, what: string): void {
    const used = this.#usedBy.get(token);
    if (used !== undefined && used < begun) this.violations.push(`${token} was used, and then ${what}`);
  }

  #begin(): number {
    this.#step += 1;
    return this.#step;
  }
}

function count(counts: Map<string, number>, of: string, by: number): void {
  counts.set(of, (counts.get(of) ?? 0) + by);
}
