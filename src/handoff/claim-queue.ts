/**
 * The workers who wait to claim the same thing, first come first served. A round tries the first
 * one. After each success it tries twice as many at once, so that a full pool is shared out in few
 * commits. The round ends with the first answer that a later member would get, too. A member whose
 * own claim id is the obstacle is passed over. A new member that a round did not reach only renews
 * what it holds. The queue tries again when a lease ends.
 */
import type { ClaimAnswer, ReadAnswer } from '../store/contract.ts';
import type { Waiter } from './waiters.ts';

export interface Attempts {
  /** Claims what the queue is for. */
  claim(): Promise<ClaimAnswer>;
  /** Renews what the claim id holds, and takes nothing. */
  renew(): Promise<ClaimAnswer>;
}

export interface Member {
  claimId: string;
  attempts: Attempts;
  waiter: Waiter;
  /** The attempt that is under way, or the last one. */
  trying?: Promise<ClaimAnswer | Error>;
  /** What came of it, once that is settled: a token, or an answer that no waiting will change. */
  answer?: ClaimAnswer | Error;
}

/** How many are tried at once at most: what one commit or one call to Redis can take without delaying others. */
const MOST_AT_ONCE = 64;

export class ClaimQueue {
  /** First come, first served. */
  readonly #members = new Set<Member>();
  /** Those that were not tried yet. */
  readonly #untried = new Set<Member>();
  /** The round that is under way, or the last one; and the one that comes after it. */
  #round: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #last: ClaimAnswer | undefined;
  /** How many are tried at once; kept between rounds, for a pool stays full or empty for a while. */
  #atOnce = 1;
  /** Ends with the first lease that could change the answer. */
  #lease: NodeJS.Timeout | undefined;

  join(claimId: string, attempts: Attempts, waiter: Waiter): Member {
    const member: Member = { claimId, attempts, waiter };
    this.#members.add(member);
    this.#untried.add(member);
    return member;
  }

  /** Takes a member out of the line. Resolves when no attempt of it is under way, and none will be. */
  async leave(member: Member): Promise<void> {
    this.#members.delete(member);
    this.#untried.delete(member);
    if (this.isEmpty) clearTimeout(this.#lease);
    await member.trying;
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  /** What the last attempt found that was worth waiting on. */
  get last(): ClaimAnswer | undefined {
    return this.#last;
  }

  /** Serves the line as far as there is something to serve it with. Resolves after a round that began after this call. */
  advance(): Promise<void> {
    this.#next ??= this.#round.then(() => {
      this.#next = undefined;
      this.#round = this.#serve();
      return this.#round;
    });
    return this.#next;
  }

  async #serve(): Promise<void> {
    clearTimeout(this.#lease);
    const members = this.#members[Symbol.iterator]();
    let isOver = false;
    while (!isOver) {
      const tried: { member: Member; answer: Promise<ClaimAnswer | Error> }[] = [];
      for (let next = members.next(); !next.done; next = members.next()) {
        tried.push({ member: next.value, answer: this.#try(next.value) });
        if (tried.length === this.#atOnce) break;
      }
      if (tried.length === 0) return;
      // Also after an answer that ends the round: those behind it may have got a token that came between.
      for (const { member, answer: coming } of tried) {
        const answer = await coming;
        if (answer instanceof Error || isElsewhere(answer)) continue;
        if (isPending(answer)) {
          isOver = true;
          this.#atOnce = 1;
          this.#last = answer;
          if ('retryInMs' in answer) this.#lookIn(answer.retryInMs);
        } else if (answer.state === 'held') {
          // Each request with the same claim id is owed the same token, wherever it is in the queue.
          for (const other of this.#members) if (other.claimId === member.claimId) await this.#try(other);
        }
      }
      if (!isOver) this.#atOnce = Math.min(2 * this.#atOnce, MOST_AT_ONCE);
    }
    await Promise.all([...this.#untried].map((member) => this.#try(member, 'renew')));
  }

  async #try(member: Member, how: keyof Attempts = 'claim'): Promise<ClaimAnswer | Error> {
    this.#untried.delete(member);
    member.trying = member.attempts[how]().catch((error: Error) => error);
    const answer = await member.trying;
    if (!(answer instanceof Error) && isPending(answer)) return answer;
    member.answer = answer;
    this.#members.delete(member);
    member.waiter.wake('notified');
    return answer;
  }

  #lookIn(ms = Number.POSITIVE_INFINITY): void {
    clearTimeout(this.#lease);
    if (this.isEmpty || ms === Number.POSITIVE_INFINITY) return;
    this.#lease = setTimeout(() => void this.advance(), Math.max(ms, 1));
  }
}

/** True when only this claim id cannot be served: the others under the same lead may be. */
export function isElsewhere(answer: ClaimAnswer): boolean {
  return answer.state === 'none' && answer.elsewhere === true;
}

/** True for an answer that may still turn into a token. */
export function isPending({ state }: { state: ClaimAnswer['state'] | ReadAnswer['state'] }): boolean {
  return state === 'none' || state === 'used' || state === 'claimed';
}
