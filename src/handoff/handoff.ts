/**
 * The one read path: gives a worker the token it asks for, at once or as soon as it comes. Every wait is *park, read,
 * sleep, read again*: what arrives between reading and sleeping wakes the sleeper, so nothing is missed.
 */
import type { ClaimAnswer, ClaimRequest, ReadAnswer, TokenStore } from '../store/contract.ts';
import { type Claim, type Lead, type TokenRecord, topicOf } from '../token.ts';
import { isPending, Line } from './claim-queue.ts';
import type { GoneSignal, Sleeper, Waiter, Waiters, Woken } from './waiters.ts';

export type Handed =
  | { outcome: 'token'; token: TokenRecord; distinct: number; claim: Claim | null }
  | { outcome: 'nothing' }
  | { outcome: 'gone' }
  | { outcome: 'used' | 'cancelled' | 'store_away' | 'draining' | 'too_many_waiters' }
  | { outcome: 'claimed'; claim: Claim }
  | { outcome: 'conflict'; distinct: number };

/** How long a worker waits, and how it is told that its client went away. */
export interface Patience {
  waitMs: number;
  signal: GoneSignal;
}

export interface HandoffOptions {
  store: TokenStore;
  waiters: Waiters;
  /** `refuse`: different live values under one lead are a conflict; `newest`: the newest is handed over. */
  onConflict: 'newest' | 'refuse';
}

export class Handoff {
  readonly #options: HandoffOptions;
  /** Those who wait to claim the same thing, by what it is. */
  readonly #lines = new Map<string, Line>();

  constructor(options: HandoffOptions) {
    this.#options = options;
  }

  /** Hands over the newest live token under a lead, taking nothing away. */
  read(lead: Lead, { waitMs, signal }: Patience): Promise<Handed> {
    const { waiters } = this.#options;
    if (waiters.draining) return Promise.resolve({ outcome: 'draining' });
    if (waitMs <= 0) return this.#readNow(lead);
    const waiter = waiters.park(lead.merchant, topicOf(lead), performance.now() + waitMs, signal);
    if (waiter === 'full') return this.#readNow(lead, 'too_many_waiters');
    return new Promise((hand, fail) => {
      new PatientRead(this.#options, lead, waiter, hand, fail).look('or sleep');
    });
  }

  /** Hands over a token exclusively. Those who wait for the same are served in the order in which they came. */
  async claim(request: Omit<ClaimRequest, 'refuseConflict'> & { lead: Lead }, patience: Patience): Promise<Handed> {
    const { store, waiters, onConflict } = this.#options;
    if (waiters.draining) return { outcome: 'draining' };
    const attempt = { ...request, refuseConflict: onConflict === 'refuse' };
    const { merchant, lead } = request;
    const endsAt = performance.now() + patience.waitMs;
    const waiter = patience.waitMs > 0 ? waiters.park(merchant, topicOf(lead), endsAt, patience.signal) : 'none';
    if (waiter === 'none' || waiter === 'full') {
      const answer = await store.claim(attempt);
      if (waiter === 'full' && isPending(answer)) return { outcome: 'too_many_waiters' };
      return this.#claimed(answer, attempt, patience.signal);
    }
    const line = this.#lineFor(lead);
    const member = line.join(request.claimId, () => store.claim(attempt), waiter);
    try {
      // A claim that holds a token already need not stand in line for it.
      if (!line.isFirst(member)) {
        const { lead: _, ...onlyHeld } = attempt;
        const answer = await store.claim(onlyHeld);
        if (answer.state === 'held') return await this.#claimed(answer, attempt, patience.signal);
      }
      for (;;) {
        void line.advance();
        const woken = await waiter.sleep();
        if (woken !== 'look') {
          waiter.leave();
          if (woken === 'over') await line.advance();
          // An attempt that is under way may still take a token, and that must not be lost.
          await line.leave(member);
        }
        if (member.answer instanceof Error) throw member.answer;
        if (member.answer !== undefined) return await this.#claimed(member.answer, attempt, patience.signal);
        if (woken === 'over') return this.#patiently(line.last);
        if (woken !== 'look') return { outcome: woken };
      }
    } finally {
      waiter.leave();
      await line.leave(member);
      if (line.isEmpty && this.#lines.get(nameOf(lead)) === line) this.#lines.delete(nameOf(lead));
    }
  }

  async #readNow(lead: Lead, ifPending?: 'too_many_waiters'): Promise<Handed> {
    const answer = await this.#options.store.read(lead);
    if (ifPending !== undefined && isPending(answer)) return { outcome: ifPending };
    return handedOf(answer, this.#options.onConflict);
  }

  #lineFor(lead: Lead): Line {
    const line = this.#lines.get(nameOf(lead)) ?? new Line();
    this.#lines.set(nameOf(lead), line);
    return line;
  }

  /** A claim's answer for a client that is still there; a token that nobody is left to take is put back. */
  async #claimed(answer: ClaimAnswer, { merchant }: ClaimRequest, signal: GoneSignal): Promise<Handed> {
    if (answer.state !== 'held' || !signal.aborted) return handedOf(answer, this.#options.onConflict);
    await this.#options.store.undo(merchant, answer.claim);
    return { outcome: 'gone' };
  }

  /** The answer when the wait is over: whoever waited for another's lease to end simply got nothing. */
  #patiently(last: ClaimAnswer | undefined): Handed {
    return last === undefined || last.state === 'claimed'
      ? { outcome: 'nothing' }
      : handedOf(last, this.#options.onConflict);
  }
}

/**
 * A read that waits. No async function, and no promise a turn: thousands of them sleep at once, and each would keep its
 * frame.
 */
class PatientRead implements Sleeper {
  readonly #options: HandoffOptions;
  readonly #lead: Lead;
  readonly #waiter: Waiter;
  readonly #hand: (handed: Handed) => void;
  readonly #fail: (error: unknown) => void;

  constructor(
    options: HandoffOptions,
    lead: Lead,
    waiter: Waiter,
    hand: (handed: Handed) => void,
    fail: (error: unknown) => void,
  ) {
    this.#options = options;
    this.#lead = lead;
    this.#waiter = waiter;
    this.#hand = hand;
    this.#fail = fail;
  }

  look(what: 'or sleep' | 'for the last time'): void {
    this.#options.store.read(this.#lead).then(
      (answer) => {
        if (what === 'or sleep' && isPending(answer)) this.#waiter.sleepThen(this);
        else this.#end(handedOf(answer, this.#options.onConflict));
      },
      (error) => {
        this.#waiter.leave();
        this.#fail(error);
      },
    );
  }

  woken(why: Woken): void {
    if (why === 'look') this.look('or sleep');
    else if (why === 'over') this.look('for the last time');
    else this.#end({ outcome: why });
  }

  #end(handed: Handed): void {
    this.#waiter.leave();
    this.#hand(handed);
  }
}

/** Those who wait for the same kind of the same thing stand in one line. */
function nameOf(lead: Lead): string {
  return [lead.merchant, lead.kind, topicOf(lead)].join('\n');
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
