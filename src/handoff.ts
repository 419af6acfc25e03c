/**
 * The one read path: gives a worker the token it asks for, at once or as soon as it comes. Every wait is *park, read,
 * sleep, read again*: what arrives between reading and sleeping wakes the sleeper, so nothing is missed.
 */
import { isPending, Line } from './line.ts';
import type { Claim, ClaimAnswer, ClaimRequest, Lead, ReadAnswer, TokenRecord, TokenStore } from './store/store.ts';
import { topicOf } from './store/store.ts';
import type { GoneSignal, Waiters } from './waiters.ts';

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
  readonly #store: TokenStore;
  readonly #waiters: Waiters;
  readonly #onConflict: 'newest' | 'refuse';
  /** Those who wait to claim the same thing, by what it is. */
  readonly #lines = new Map<string, Line>();

  constructor({ store, waiters, onConflict }: HandoffOptions) {
    this.#store = store;
    this.#waiters = waiters;
    this.#onConflict = onConflict;
  }

  /** Hands over the newest live token under a lead, taking nothing away. */
  async read(lead: Lead, { waitMs, signal }: Patience): Promise<Handed> {
    if (this.#waiters.draining) return { outcome: 'draining' };
    if (waitMs <= 0) return this.#handed(await this.#store.read(lead));
    const waiter = this.#waiters.park(lead.merchant, topicOf(lead), performance.now() + waitMs, signal);
    if (waiter === 'full') {
      const answer = await this.#store.read(lead);
      return isPending(answer) ? { outcome: 'too_many_waiters' } : this.#handed(answer);
    }
    try {
      for (;;) {
        const answer = await this.#store.read(lead);
        if (!isPending(answer)) return this.#handed(answer);
        const woken = await waiter.sleep();
        if (woken === 'over') return this.#handed(await this.#store.read(lead));
        if (woken !== 'look') return { outcome: woken };
      }
    } finally {
      waiter.leave();
    }
  }

  /** Hands over a token exclusively. Those who wait for the same are served in the order in which they came. */
  async claim(request: Omit<ClaimRequest, 'refuseConflict'> & { lead: Lead }, patience: Patience): Promise<Handed> {
    if (this.#waiters.draining) return { outcome: 'draining' };
    const attempt = { ...request, refuseConflict: this.#onConflict === 'refuse' };
    const { merchant, lead } = request;
    const endsAt = performance.now() + patience.waitMs;
    const waiter = patience.waitMs > 0 ? this.#waiters.park(merchant, topicOf(lead), endsAt, patience.signal) : 'none';
    if (waiter === 'none' || waiter === 'full') {
      const answer = await this.#store.claim(attempt);
      if (waiter === 'full' && isPending(answer)) return { outcome: 'too_many_waiters' };
      return this.#claimed(answer, attempt, patience.signal);
    }
    const line = this.#lineFor(lead);
    const member = line.join(request.claimId, () => this.#store.claim(attempt), waiter);
    try {
      // A claim that holds a token already need not stand in line for it.
      if (!line.isFirst(member)) {
        const { lead: _, ...onlyHeld } = attempt;
        const answer = await this.#store.claim(onlyHeld);
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

  #lineFor(lead: Lead): Line {
    const line = this.#lines.get(nameOf(lead)) ?? new Line();
    this.#lines.set(nameOf(lead), line);
    return line;
  }

  /** A claim's answer for a client that is still there; a token that nobody is left to take is put back. */
  async #claimed(answer: ClaimAnswer, { merchant }: ClaimRequest, signal: GoneSignal): Promise<Handed> {
    if (answer.state !== 'held' || !signal.aborted) return this.#handed(answer);
    await this.#store.undo(merchant, answer.claim);
    return { outcome: 'gone' };
  }

  /** The answer when the wait is over: whoever waited for another's lease to end simply got nothing. */
  #patiently(last: ClaimAnswer | undefined): Handed {
    return last === undefined || last.state === 'claimed' ? { outcome: 'nothing' } : this.#handed(last);
  }

  #handed(answer: ReadAnswer | ClaimAnswer): Handed {
    switch (answer.state) {
      case 'live':
        if (answer.distinct > 1 && this.#onConflict === 'refuse')
          return { outcome: 'conflict', distinct: answer.distinct };
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
}

/** Those who wait for the same kind of the same thing stand in one line. */
function nameOf(lead: Lead): string {
  return [lead.merchant, lead.kind, topicOf(lead)].join('\n');
}
