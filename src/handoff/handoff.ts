/**
 * The one read path: gives a worker the token it asks for, at once or as soon as it comes. Every wait is *park, read,
 * sleep, read again*. An arrival between reading and sleeping wakes the sleeper, so that nothing is missed. A hint that
 * carries the token may replace the second read.
 */
import type { ClaimAnswer, ClaimRequest, ReadAnswer, TokenStore } from '../store/contract.ts';
import { type Claim, type TokenQuery, type TokenRecord, topicOf } from '../token.ts';
import { ClaimQueue, isElsewhere, isPending } from './claim-queue.ts';
import type { Arrival, GoneSignal, Sleeper, Waiter, Waiters, WakeReason } from './waiters.ts';

export type Handed =
  | { outcome: 'token'; token: TokenRecord; distinct: number; claim: Claim | null }
  | { outcome: 'nothing' }
  | { outcome: 'disconnected' }
  | { outcome: 'used' | 'cancelled' | 'lease_lost' | 'store_away' | 'draining' | 'too_many_waiters' }
  | { outcome: 'claimed'; claim: Claim }
  | { outcome: 'conflict'; distinct: number };

/** How long a worker waits, and the signal that its client went away. */
export interface WaitOptions {
  waitMs: number;
  signal: GoneSignal;
}

export interface HandoffOptions {
  store: TokenStore;
  waiters: Waiters;
  /** `refuse`: different live values under one query are a conflict; `newest`: the newest is handed over. */
  onConflict: 'newest' | 'refuse';
}

export class Handoff {
  readonly #options: HandoffOptions;
  /** Those who wait to claim the same thing, by what it is. */
  readonly #lines = new Map<string, ClaimQueue>();
  readonly #unreceived = new Unreceived();

  constructor(options: HandoffOptions) {
    this.#options = options;
  }

  /** Hands over the newest live token under a query, taking nothing away. */
  read(query: TokenQuery, { waitMs, signal }: WaitOptions): Promise<Handed> {
    const { waiters } = this.#options;
    if (waiters.draining) return Promise.resolve({ outcome: 'draining' });
    if (waitMs <= 0) return this.#readNow(query);
    const waiter = waiters.park(query.merchant, topicOf(query), performance.now() + waitMs, signal);
    if (waiter === 'full') return this.#readNow(query, 'too_many_waiters');
    return new Promise((hand, fail) => {
      new PatientRead(this.#options, query, waiter, hand, fail).look('or sleep');
    });
  }

  /** Hands over a token exclusively. Those who wait for the same are served in the order in which they came. */
  async claim(
    request: Omit<ClaimRequest, 'refuseConflict'> & { query: TokenQuery },
    patience: WaitOptions,
  ): Promise<Handed> {
    const { store, waiters, onConflict } = this.#options;
    if (waiters.draining) return { outcome: 'draining' };
    const attempt = { ...request, refuseConflict: onConflict === 'refuse' };
    const { merchant, query } = request;
    const endsAt = performance.now() + patience.waitMs;
    const waiter = patience.waitMs > 0 ? waiters.park(merchant, topicOf(query), endsAt, patience.signal) : 'none';
    if (waiter === 'none' || waiter === 'full') {
      const answer = await store.claim(attempt);
      if (waiter === 'full' && isPending(answer)) return { outcome: 'too_many_waiters' };
      return this.#claimed(answer, attempt, patience.signal);
    }
    const line = this.#lineFor(query);
    const attempts = { claim: () => store.claim(attempt), renew: () => store.claim(onlyHeld(attempt)) };
    const member = line.join(request.claimId, attempts, waiter);
    try {
      for (;;) {
        void line.advance();
        const woken = await waiter.sleep();
        if (woken !== 'notified') {
          waiter.leave();
          if (woken === 'timeout') await line.advance();
          // A pending attempt may still take a token, and that must not be lost.
          await line.leave(member);
        }
        if (member.answer instanceof Error) throw member.answer;
        if (member.answer !== undefined) return await this.#claimed(member.answer, attempt, patience.signal);
        if (woken === 'timeout') return await this.#lastAnswer(line, attempt, patience.signal);
        if (woken !== 'notified') return { outcome: woken };
      }
    } finally {
      waiter.leave();
      await line.leave(member);
      if (line.isEmpty && this.#lines.get(nameOf(query)) === line) this.#lines.delete(nameOf(query));
    }
  }

  /**
   * Gives the token that a claim holds a fresh lease, and takes nothing: `lease_lost` when it holds none. Also while the
   * process drains: a worker must not lose its token because an instance stops.
   */
  async renew(request: Omit<ClaimRequest, 'query' | 'refuseConflict'>): Promise<Handed> {
    const { store, onConflict } = this.#options;
    const answer = await store.claim({ ...request, refuseConflict: false, isRenewal: true });
    if (answer.state === 'none' && !answer.away) return { outcome: 'lease_lost' };
    return handedOf(answer, onConflict);
  }

  async #readNow(query: TokenQuery, ifPending?: 'too_many_waiters'): Promise<Handed> {
    const answer = await this.#options.store.read(query);
    if (ifPending !== undefined && isPending(answer)) return { outcome: ifPending };
    return handedOf(answer, this.#options.onConflict);
  }

  #lineFor(query: TokenQuery): ClaimQueue {
    const line = this.#lines.get(nameOf(query)) ?? new ClaimQueue();
    this.#lines.set(nameOf(query), line);
    return line;
  }

  /** A claim's answer for a client that is still there; a token that nobody is left to take is put back. */
  async #claimed(answer: ClaimAnswer, { merchant }: ClaimRequest, signal: GoneSignal): Promise<Handed> {
    if (answer.state !== 'held' || !signal.aborted) return handedOf(answer, this.#options.onConflict);
    const { token, claim } = answer;
    const hold = this.#unreceived.add([merchant, claim.id, token.id, claim.deliveries].join('\n'), claim);
    if (hold !== undefined && (await this.#options.store.undo(merchant, hold.last))) this.#unreceived.end(hold);
    return { outcome: 'disconnected' };
  }

  /**
   * The answer when the wait is over. The claim id may have got a token elsewhere while it waited. A wait for
   * another's lease to end is answered with nothing.
   */
  async #lastAnswer(line: ClaimQueue, attempt: ClaimRequest, signal: GoneSignal): Promise<Handed> {
    const own = await this.#options.store.claim(onlyHeld(attempt));
    if (own.state === 'held') return this.#claimed(own, attempt, signal);
    const last = isElsewhere(own) ? own : (line.last ?? own);
    return last.state === 'claimed' ? { outcome: 'nothing' } : handedOf(last, this.#options.onConflict);
  }
}

function onlyHeld({ query: _, ...request }: ClaimRequest): ClaimRequest {
  return request;
}

/** How many holds with an unreceived renewal are remembered; the lease of an older one ends by time. */
const MAX_UNRECEIVED = 1000;

/**
 * Answers of claims that no client received. Several requests of one claim id share a token, each as a renewal of the one
 * before: the token goes back only when nobody received any of them.
 */
class Unreceived {
  readonly #holds = new Map<string, Hold>();

  /** Records one of a hold; answers the hold when all of its answers are recorded, and the token is to be put back. */
  add(key: string, claim: Claim): Hold | undefined {
    const hold = this.#holds.get(key) ?? { key, renewals: new Set(), last: claim };
    hold.renewals.add(claim.renewals);
    if (claim.renewals > hold.last.renewals) hold.last = claim;
    this.#holds.delete(key);
    this.#holds.set(key, hold);
    const [oldest] = this.#holds.keys();
    if (this.#holds.size > MAX_UNRECEIVED && oldest !== undefined) this.#holds.delete(oldest);
    return hold.renewals.size > hold.last.renewals ? hold : undefined;
  }

  /** The token was put back. */
  end(hold: Hold): void {
    this.#holds.delete(hold.key);
  }
}

/** One take of a token by a claim, with the renewals whose answers no client received. */
interface Hold {
  key: string;
  renewals: Set<number>;
  last: Claim;
}

/**
 * A read that waits. No async function, and no promise a turn: thousands of them sleep at once, and each would keep its
 * frame.
 */
class PatientRead implements Sleeper {
  readonly #options: HandoffOptions;
  readonly #query: TokenQuery;
  readonly #waiter: Waiter;
  readonly #hand: (handed: Handed) => void;
  readonly #fail: (error: unknown) => void;
  /** The merchant's arrival counter that the last read saw. Infinite when the store did not answer it. */
  #sequence = Number.POSITIVE_INFINITY;

  constructor(
    options: HandoffOptions,
    query: TokenQuery,
    waiter: Waiter,
    hand: (handed: Handed) => void,
    fail: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#query = query;
    this.#waiter = waiter;
    this.#hand = hand;
    this.#fail = fail;
  }

  look(what: 'or sleep' | 'for the last time'): void {
    this.#options.store.read(this.#query).then(
      (answer) => {
        this.#sequence = answer.sequence ?? Number.POSITIVE_INFINITY;
        if (what === 'or sleep' && isPending(answer)) this.#waiter.sleepThen(this);
        else this.#end(handedOf(answer, this.#options.onConflict));
      },
      (error) => {
        this.#waiter.leave();
        this.#fail(error);
      },
    );
  }

  woken(why: WakeReason, arrival?: Arrival): void {
    if (why === 'timeout') this.look('for the last time');
    else if (why === 'notified') this.#notified(arrival);
    else this.#end({ outcome: why });
  }

  #notified(arrival: Arrival | undefined): void {
    const answer = arrival && this.#answerOf(arrival);
    if (answer === undefined) this.look('or sleep');
    else this.#end(handedOf(answer, this.#options.onConflict));
  }

  /**
   * The answer of a read at the moment of an arrival. That moment is within this wait only if it comes after the last
   * read, as a higher counter shows: an announcement that is late or doubled may be of a token that is used by now.
   */
  #answerOf({ token, sequence }: Arrival): ReadAnswer | undefined {
    const { kind } = this.#query;
    if (sequence <= this.#sequence || (kind !== undefined && kind !== token.kind)) return undefined;
    return this.#options.store.readArrival(token);
  }

  #end(handed: Handed): void {
    this.#waiter.leave();
    this.#hand(handed);
  }
}

/** Claims of the same kind and topic wait in one queue. */
function nameOf(query: TokenQuery): string {
  return [query.merchant, query.kind, topicOf(query)].join('\n');
}

function handedOf(answer: ReadAnswer | ClaimAnswer, onConflict: HandoffOptions['onConflict']): Handed {
  switch (answer.state) {
    case 'live':
      if (answer.distinct > 1 && onConflict === 'refuse') return { outcome: 'conflict', distinct: answer.distinct };
      return { outcome: 'token', token: answer.token, distinct: answer.distinct, claim: answer.claim };
    case 'held':
      return { outcome: 'token', token: answer.token, distinct: answer.distinct, claim: answer.claim };
    case 'claimed':
      return { outcome: 'claimed', claim: answer.claim };
    case 'conflict':
      return { outcome: 'conflict', distinct: answer.distinct };
    case 'cancelled':
      return { outcome: 'cancelled' };
    case 'used':
      return { outcome: 'used' };
    case 'none':
      return { outcome: answer.away ? 'store_away' : 'nothing' };
  }
}
