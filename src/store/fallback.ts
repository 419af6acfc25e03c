/**
 * The fallback store: a store around a shared one. While that takes its writes, it only keeps a copy of each token on
 * the local disk. When it does not, tokens are kept here, and workers of this process get them from here; when it is
 * back, the two are brought together, and what it may have lost is put back from the copies.
 *
 * What keeps a token from being handed out twice: only a token that the shared store surely never saw is given to a
 * claim here, and it is fenced on disk before it is sent there.
 */
import { Breaker } from './breaker.ts';
import type { LocalStore } from './local.ts';
import { Merging } from './merging.ts';
import type { SharedStore } from './shared.ts';
import {
  type Claim,
  type ClaimAnswer,
  type ClaimRequest,
  type Expectation,
  type Lead,
  type NewToken,
  type PutAnswer,
  type ReadAnswer,
  type SettleAnswer,
  StoreAway,
  type StoreEvents,
  type StoreHealth,
  type TokenStore,
} from './store.ts';

export interface FallbackOptions {
  shared: SharedStore;
  local: LocalStore;
  merchants: readonly string[];
}

export class FallbackStore implements TokenStore {
  readonly #shared: SharedStore;
  readonly #local: LocalStore;
  /** One for each domain: what fails together. */
  readonly #breakers = new Map<string, Breaker>();
  readonly #merging = new Map<string, Merging>();
  #events: StoreEvents | undefined;

  constructor({ shared, local, merchants }: FallbackOptions) {
    this.#shared = shared;
    this.#local = local;
    const domains = new Map<string, string[]>();
    for (const merchant of merchants) {
      const domain = shared.domainOf(merchant);
      domains.set(domain, [...(domains.get(domain) ?? []), merchant]);
    }
    for (const [domain, members] of domains) this.#watch(domain, members);
  }

  async open(events: StoreEvents): Promise<void> {
    this.#events = events;
    await this.#local.open({
      ...events,
      // The local counter says nothing of the shared one.
      onHint: ({ merchant, topics }) => events.onHint({ merchant, topics }),
    });
    this.#shared.onReconnect(() => {
      for (const merging of this.#merging.values()) merging.restore();
    });
    await this.#shared.open(events);
  }

  async put(token: NewToken): Promise<PutAnswer> {
    // A token that waits to be merged goes there with all that happened to it, and not without.
    if (this.#local.isPending(token.merchant, token.id)) return 'known';
    const breaker = this.#breakerOf(token.merchant);
    if (breaker.isOpen) return this.#local.keep(token);
    const journaled = this.#local.journal(token);
    try {
      const answer = await this.#shared.put(token);
      const before = await journaled;
      this.#local.taken(token, answer, before);
      if (answer === 'kept' && before === 'known') this.#mergingOf(token.merchant).restore();
      return answer;
    } catch (error) {
      const { unseen } = this.#trip(breaker, error);
      await journaled;
      return this.#local.notTaken(token, unseen ? 'here' : 'unsure');
    }
  }

  async read(lead: Lead): Promise<ReadAnswer> {
    const shared = await this.#ask(lead.merchant, () => this.#shared.read(lead));
    if (shared === 'away') return { ...(await this.#local.read(lead)), away: true };
    return this.#local.hasPending(lead.merchant) ? further(shared, await this.#local.read(lead)) : shared;
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    const { merchant, claimId } = request;
    if (this.#local.isClaimPending(merchant, claimId)) {
      const held = await this.#local.claim({ ...request, lead: undefined });
      if (held.state === 'held') return held;
    }
    const shared = await this.#ask(merchant, () => this.#shared.claim(request));
    if (shared === 'away') return { ...(await this.#local.claim(request)), away: true };
    if (shared.state === 'held') this.#local.mirrorClaim(shared.token, shared.claim);
    return shared;
  }

  async settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    const here = this.#local.isClaimPending(merchant, claimId);
    if (here) {
      const answer = await this.#local.settle(merchant, claimId, how);
      if (answer !== 'away') return answer;
      await this.#mergingOf(merchant).idle();
    }
    const answer = await this.#ask(merchant, () => this.#shared.settle(merchant, claimId, how));
    if (answer === 'done') this.#local.mirrorSettled(merchant, claimId, how);
    return answer === 'unknown' && this.#local.isClaimPending(merchant, claimId) ? 'away' : answer;
  }

  async undo(merchant: string, claim: Claim): Promise<void> {
    if (this.#local.isClaimPending(merchant, claim.id)) return this.#local.undo(merchant, claim);
    // If the store is away, the lease ends by itself.
    await this.#ask(merchant, () => this.#shared.undo(merchant, claim));
    this.#local.mirrorSettled(merchant, claim.id, 'release');
  }

  async use(merchant: string, id: string): Promise<SettleAnswer> {
    if (this.#local.isPending(merchant, id)) {
      const answer = await this.#local.use(merchant, id);
      if (answer !== 'away') return answer;
      await this.#mergingOf(merchant).idle();
    }
    const answer = await this.#ask(merchant, () => this.#shared.use(merchant, id));
    if (answer === 'done') this.#local.mirrorUsed(merchant, id);
    return answer === 'unknown' && this.#local.isPending(merchant, id) ? 'away' : answer;
  }

  async expect(expectation: Expectation): Promise<number> {
    const ends = await this.#ask(expectation.merchant, () => this.#shared.expect(expectation));
    return ends === 'away' ? this.#local.expect(expectation) : ends;
  }

  async cancel(merchant: string, id: string): Promise<'done' | 'unknown' | 'away'> {
    if (this.#local.isExpectationPending(merchant, id)) return this.#local.cancel(merchant, id);
    return this.#ask(merchant, () => this.#shared.cancel(merchant, id));
  }

  async sequence(merchant: string): Promise<number> {
    const sequence = await this.#ask(merchant, () => this.#shared.sequence(merchant));
    if (sequence === 'away') throw new StoreAway('away', true);
    return sequence;
  }

  health(): StoreHealth {
    const shared = this.#shared.health();
    const local = this.#local.health();
    const open = [...this.#breakers.values()].some((breaker) => breaker.isOpen);
    const pending = this.#local.pendingCount;
    const state = open ? 'away' : local.state === 'ok' ? 'ok' : 'degraded';
    const detail = [open ? (shared.detail ?? 'takes no writes') : undefined, local.detail].filter(Boolean).join('; ');
    return {
      kind: shared.kind,
      state,
      ...(detail === '' ? {} : { detail }),
      fallback: {
        state: open ? 'serving' : pending > 0 ? 'merging' : 'idle',
        disk: local.state,
        pending,
        journaled: this.#local.journaledCount,
        pendingForMs: this.#local.pendingForMs,
      },
    };
  }

  async close(): Promise<void> {
    for (const breaker of this.#breakers.values()) breaker.stop();
    for (const merging of this.#merging.values()) merging.stop();
    await this.#shared.close();
    await this.#local.close();
  }

  #watch(domain: string, merchants: string[]): void {
    const tell = (
      level: 'info' | 'warn',
      code: string,
      message: string,
      facts: Record<string, string | number>,
    ): void =>
      this.#events?.onTrouble({ level, code, message, facts: domain === '' ? facts : { ...facts, merchant: domain } });
    const breaker = new Breaker({
      probe: () => this.#shared.probe(merchants[0] as string),
      onOpen: (reason) => {
        tell('warn', 'store_away', `the store is away (${reason}); tokens are kept on local disk`, {});
        this.#events?.onGap();
      },
      onClose: () => {
        tell('info', 'store_back', 'the store is back', { pending: this.#local.pendingCount });
        merging.restore();
        this.#events?.onGap();
      },
    });
    const merging = new Merging({
      merchants,
      shared: this.#shared,
      local: this.#local,
      isAway: () => breaker.isOpen,
      onAway: (error) => void this.#trip(breaker, error),
      onProgress: (what, done, left) =>
        tell('info', what === 'merge' ? 'merging' : 'restoring', `${what}: ${done} tokens brought, ${left} left`, {
          done,
          left,
        }),
      onDone: () => this.#events?.onGap(),
    });
    this.#breakers.set(domain, breaker);
    this.#merging.set(domain, merging);
  }

  /** What the shared store answers, or that it is away: then nobody asks it until it is back. */
  async #ask<T>(merchant: string, question: () => Promise<T>): Promise<T | 'away'> {
    const breaker = this.#breakerOf(merchant);
    if (breaker.isOpen) return 'away';
    try {
      return await question();
    } catch (error) {
      this.#trip(breaker, error);
      return 'away';
    }
  }

  #trip(breaker: Breaker, error: unknown): StoreAway {
    if (!(error instanceof StoreAway)) throw error;
    breaker.trip(error.message);
    return error;
  }

  #breakerOf(merchant: string): Breaker {
    return this.#breakers.get(this.#shared.domainOf(merchant)) as Breaker;
  }

  #mergingOf(merchant: string): Merging {
    return this.#merging.get(this.#shared.domainOf(merchant)) as Merging;
  }
}

/** Of what the shared store and the local one know of the same thing, the one that tells more. */
function further(shared: ReadAnswer, local: ReadAnswer): ReadAnswer {
  if (shared.state === 'live' && local.state === 'live') {
    if (shared.token.id === local.token.id) return shared;
    const newest = shared.token.receivedAt >= local.token.receivedAt ? shared : local;
    return { ...newest, distinct: shared.distinct + local.distinct };
  }
  const rank: ReadAnswer['state'][] = ['none', 'used', 'cancelled', 'live'];
  return rank.indexOf(local.state) > rank.indexOf(shared.state) ? local : shared;
}
