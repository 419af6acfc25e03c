/**
 * A line of workers who wait to claim the same thing. They are tried one at a time, first come first served: what the
 * first one does not get, the others would not get either.
 */
import type { ClaimAnswer, ReadAnswer } from './store/store.ts';
import type { Waiter } from './waiters.ts';

export interface Member {
  attempt(): Promise<ClaimAnswer>;
  waiter: Waiter;
  /** What came of it, once that is settled: a token, or an answer that no waiting will change. */
  answer?: ClaimAnswer | Error;
}

export class Line {
  readonly #members = new Set<Member>();
  #advancing: Promise<void> | undefined;
  #again = false;
  #last: ClaimAnswer | undefined;
  #lookAt = Number.POSITIVE_INFINITY;

  join(attempt: () => Promise<ClaimAnswer>, waiter: Waiter): Member {
    const member: Member = { attempt, waiter };
    this.#members.add(member);
    return member;
  }

  leave(member: Member): void {
    this.#members.delete(member);
  }

  get isEmpty(): boolean {
    return this.#members.size === 0;
  }

  isFirst(member: Member): boolean {
    const [first] = this.#members;
    return first === member;
  }

  /** What the last attempt found that was worth waiting on. */
  get last(): ClaimAnswer | undefined {
    return this.#last;
  }

  /** In how many milliseconds a lease ends that could change the answer. */
  get lookInMs(): number {
    return this.#lookAt - performance.now();
  }

  /** Resolves when no attempt is under way. */
  async idle(): Promise<void> {
    await this.#advancing;
  }

  /** Serves the line as far as there is something to serve it with. Resolves when it was looked at after this call. */
  advance(): Promise<void> {
    this.#again = true;
    this.#advancing ??= this.#serve().finally(() => {
      this.#advancing = undefined;
    });
    return this.#advancing;
  }

  async #serve(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      for (const member of this.#members) {
        const answer = await member.attempt().catch((error: Error) => error);
        if (!(answer instanceof Error) && isPending(answer)) {
          this.#last = answer;
          const retryInMs = 'retryInMs' in answer ? answer.retryInMs : undefined;
          this.#lookAt = retryInMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + retryInMs;
          break;
        }
        member.answer = answer;
        this.#members.delete(member);
        member.waiter.wake('look');
      }
    }
  }
}

/** True for an answer that may still turn into a token. */
export function isPending({ state }: { state: ClaimAnswer['state'] | ReadAnswer['state'] }): boolean {
  return state === 'none' || state === 'used' || state === 'claimed';
}
