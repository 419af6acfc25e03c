/**
 * The fallback store wraps a shared store. While that store accepts writes, this one only keeps a
 * copy of each token on the local disk. While it does not, this store keeps the tokens, and hands
 * them out to the workers of this process. After a reconnect, it reconciles the two, and restores
 * lost tokens from the copies.
 *
 * No token is handed out twice: a local claim gets only a token that the shared store certainly did
 * not receive. Such a token is fenced on disk before it is sent.
 */
import { randomBytes } from 'node:crypto';
import { type Claim, MOST_DISTINCT, type NewToken, type TokenQuery, type TokenRecord } from '../../token.ts';
import {
  type ClaimAnswer,
  type ClaimRequest,
  type Expectation,
  type PutAnswer,
  type ReadAnswer,
  type SettleAnswer,
  StoreAway,
  type StoreEvents,
  type StoreHealth,
  type TokenStore,
} from '../contract.ts';
import { FailureDomain } from './failure-domain.ts';
import type { LocalStore } from './local-store.ts';
import type { SharedStore } from './shared-store.ts';

export interface FallbackOptions {
  shared: SharedStore;
  local: LocalStore;
  merchants: readonly string[];
}

export class FallbackStore implements TokenStore {
  readonly #shared: SharedStore;
  readonly #local: LocalStore;
  readonly #domains = new Map<string, FailureDomain>();
  /**
   * Pending puts, by token. A second put of the same token waits for the first and answers `known`.
   */
  readonly #puts = new Map<string, Promise<PutAnswer>>();
  #events: StoreEvents | undefined;
  /** Prefix of the names of this process's calls that ask the shared store for a token. */
  readonly #callPrefix = randomBytes(6).toString('hex');
  #calls = 0;

  constructor({ shared, local, merchants }: FallbackOptions) {
    this.#shared = shared;
    this.#local = local;
    const membersOf = new Map<string, string[]>();
    for (const merchant of merchants) {
      const name = shared.domainOf(merchant);
      membersOf.set(name, [...(membersOf.get(name) ?? []), merchant]);
    }
    for (const [name, members] of membersOf) {
      this.#domains.set(
        name,
        new FailureDomain({ name, merchants: members, shared, local, events: () => this.#events }),
      );
    }
  }

  async open(events: StoreEvents): Promise<void> {
    this.#events = events;
    const restore = (): void => {
      for (const domain of this.#domains.values()) domain.restore();
    };
    // The local arrival counter is unrelated to the shared one.
    const onHint: StoreEvents['onHint'] = ({ merchant, topics }) => events.onHint({ merchant, topics });
    await this.#local.open({ ...events, onHint }, restore);
    this.#shared.onReconnect(restore);
    this.#shared.onTokenChange((change) => this.#local.changed(change));
    for (const domain of this.#domains.values()) domain.start();
    await this.#shared.open(events);
    await Promise.all([...this.#domains.values()].map((domain) => domain.check()));
  }

  async put(token: NewToken): Promise<PutAnswer> {
    const key = `${token.merchant}\n${token.id}`;
    const same = this.#puts.get(key);
    if (same !== undefined) {
      await same;
      return 'known';
    }
    const put = this.#put(token).finally(() => this.#puts.delete(key));
    this.#puts.set(key, put);
    return put;
  }

  async #put(token: NewToken): Promise<PutAnswer> {
    const { merchant, id } = token;
    // The reconciler sends a pending token with its claims and uses. A plain put would lose them.
    if (this.#local.tokens.isPending(merchant, id)) {
      await this.#local.written();
      return 'known';
    }
    const domain = this.#domainOf(merchant);
    const isPutOff = this.#local.isStrict && domain.isAnnouncing;
    if (domain.isAway || isPutOff) return this.#local.tokens.keep(token);
    const copy = this.#local.copies.find(merchant, id);
    if (copy !== undefined) {
      // Send the full copy again. If the shared store lost the token, a used one must not come back
      // as new.
      await domain.ask(() => this.#shared.merge(merchant, [copy], this.#local.now(), this.#local.name));
      await this.#local.written();
      return 'known';
    }
    const begun = this.#local.tokens.begin(token);
    try {
      const put = await this.#shared.putAndReport(token);
      await this.#local.tokens.taken(token, put, begun);
      return put.answer;
    } catch (error) {
      const { unseen } = domain.trip(error);
      return this.#local.tokens.notTaken(token, unseen ? 'local' : 'in_doubt');
    }
  }

  async read(query: TokenQuery): Promise<ReadAnswer> {
    const domain = this.#domainOf(query.merchant);
    // Until reconciliation ends, the shared store may lack tokens that this or another instance
    // has.
    const isIncomplete = domain.isReconciling;
    const shared = await domain.askAsserted(() => this.#shared.read(query));
    if (shared === 'away') return { ...(await this.#local.read(query)), away: true };
    if (shared.state === 'none' && isIncomplete) return { ...(await this.#local.read(query)), away: true };
    return this.#local.tokens.hasPending(query.merchant) ? mergeAnswers(shared, await this.#local.read(query)) : shared;
  }

  readArrival(arrival: TokenRecord): ReadAnswer | undefined {
    const { merchant } = arrival;
    const domain = this.#domainOf(merchant);
    // A pending token here may be newer. A store that lost its data may announce a used token as
    // new.
    if (domain.isAway || domain.isReconciling || this.#local.tokens.hasPending(merchant)) return undefined;
    return this.#shared.readArrival(arrival);
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    const { merchant, claimId, leaseMs } = request;
    const domain = this.#domainOf(merchant);
    if (this.#local.isClaimPending(merchant, claimId)) {
      const held = await this.#local.claim({ ...request, query: undefined });
      if (held.state === 'held') return held;
    }
    const shared = await domain.askSteady(() => this.#claimShared(request));
    if (shared === 'away') return { ...(await this.#local.claim(request)), away: true };
    if (shared.state === 'held') this.#local.copies.claimed(shared.token, shared.claim, leaseMs);
    if (shared.state !== 'none' || request.query !== undefined) return shared;
    // The token of this claim may be pending here or at another instance.
    const isPending = this.#local.isClaimPending(merchant, claimId);
    const isKnown = isPending || (request.isRenewal && !(await domain.areOthersWhole(merchant)));
    return isKnown ? { ...shared, away: true } : shared;
  }

  /** Claims from the shared store. Until it answers, the claim id is in doubt. */
  async #claimShared(request: ClaimRequest): Promise<ClaimAnswer> {
    const { merchant, claimId } = request;
    const { doubts } = this.#local;
    this.#calls += 1;
    const call = `${this.#callPrefix}-${this.#calls}`;
    // A renewal takes no token. Without an answer, it leaves no doubt.
    if (request.query !== undefined) doubts.asked(merchant, claimId, call);
    try {
      const answer = await this.#shared.claim({ ...request, call, instance: this.#local.name });
      doubts.ended(merchant, claimId, call, 'answered');
      return answer;
    } catch (error) {
      if (error instanceof StoreAway && error.unseen) doubts.ended(merchant, claimId, call, 'unseen');
      else doubts.unanswered(merchant, claimId, call);
      if (error instanceof StoreAway)
        void error.late?.then(() => this.#answeredLate(merchant, claimId, call)).catch(() => {});
      throw error;
    }
  }

  /** Handles an answer after the deadline: puts the given token back, and then ends the doubt. */
  async #answeredLate(merchant: string, claimId: string, call: string): Promise<void> {
    const { doubts } = this.#local;
    const calls = doubts.unansweredCalls(merchant, claimId);
    if (!calls.includes(call)) return;
    await this.#shared.revoke(merchant, [{ claimId, calls }]);
    doubts.ended(merchant, claimId, call, 'answered');
  }

  async settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    if (this.#local.decides(merchant, claimId, how)) return this.#local.settle(merchant, claimId, how);
    const domain = this.#domainOf(merchant);
    const settled = await domain.askSteady(() => this.#shared.settleAndReport(merchant, claimId, how));
    if (settled === 'away') return 'away';
    const { answer, used } = settled;
    if (used !== undefined) this.#local.copies.used(used);
    else if (answer === 'done') this.#local.copies.released(merchant, claimId);
    if (answer !== 'unknown') return answer;
    return (await this.#isKnownNowhere(domain, merchant, this.#local.knowsClaim(merchant, claimId)))
      ? 'unknown'
      : 'away';
  }

  /**
   * Returns whether no instance has the record. One that the shared store lacks may be local or
   * pending.
   */
  async #isKnownNowhere(domain: FailureDomain, merchant: string, isKnownHere: boolean): Promise<boolean> {
    // The shared store lost the record, or does not have it yet.
    if (isKnownHere) domain.restore();
    return !isKnownHere && (await domain.areOthersWhole(merchant));
  }

  async undo(merchant: string, claim: Claim): Promise<boolean> {
    if (this.#local.decides(merchant, claim.id, 'use')) return this.#local.undo(merchant, claim);
    // The claim may be in the shared store since. By that clock, its lease has another end.
    const there = this.#local.isClaimPending(merchant, claim.id) ? { ...claim, leaseExpiresAt: 0 } : claim;
    // If the store is away, the lease ends automatically.
    const undone = await this.#domainOf(merchant).askSteady(() => this.#shared.undo(merchant, there));
    if (undone !== true) return false;
    this.#local.copies.released(merchant, claim.id);
    return true;
  }

  async use(merchant: string, id: string): Promise<SettleAnswer> {
    if (this.#local.tokens.isPending(merchant, id)) {
      const answer = await this.#local.use(merchant, id);
      if (answer !== 'away') return answer;
    }
    const domain = this.#domainOf(merchant);
    const settled = await domain.askSteady(() => this.#shared.useAndReport(merchant, id));
    if (settled === 'away') return 'away';
    if (settled.used !== undefined) this.#local.copies.used(settled.used);
    if (settled.answer !== 'unknown') return settled.answer;
    return (await this.#isKnownNowhere(domain, merchant, this.#local.knowsToken(merchant, id))) ? 'unknown' : 'away';
  }

  async expect(expectation: Expectation): Promise<number> {
    const announcedAt = this.#local.now();
    let replication: 'local' | 'in_doubt' = 'local';
    const ends = await this.#domainOf(expectation.merchant).ask(
      () => this.#shared.expect(expectation),
      () => {
        replication = 'in_doubt';
      },
    );
    if (ends === 'away') return this.#local.expectations.keep(expectation, announcedAt, replication);
    await this.#local.expectations.keep(expectation, announcedAt, 'replicated');
    return ends;
  }

  async cancel(merchant: string, id: string): Promise<'done' | 'unknown' | 'away'> {
    if (this.#local.expectations.isPending(merchant, id)) return this.#local.cancel(merchant, id);
    const domain = this.#domainOf(merchant);
    const cancelled = await domain.ask(() => this.#shared.cancelAndReport(merchant, id, () => this.#local.now()));
    if (cancelled === 'away') return 'away';
    if (cancelled !== undefined) {
      await this.#local.expectations.keepCancelled(cancelled);
      return 'done';
    }
    // The shared store may have lost the expectation.
    const answer = await this.#local.cancel(merchant, id);
    if (answer === 'done') domain.restore();
    else if (!(await domain.areOthersWhole(merchant))) return 'away';
    return answer;
  }

  async sequence(merchant: string): Promise<number> {
    const sequence = await this.#domainOf(merchant).ask(() => this.#shared.sequence(merchant));
    if (sequence === 'away') throw new StoreAway('away', true);
    return sequence;
  }

  health(): StoreHealth {
    const shared = this.#shared.health();
    const local = this.#local.health();
    // The shared store may report a lost connection before an operation opens the breaker.
    const away = [...this.#domains.values()].find((domain) => domain.isAway);
    const open = shared.state === 'away' || away !== undefined;
    const pending = this.#local.pendingCount;
    const isMerging = pending > 0 || [...this.#domains.values()].some((domain) => domain.isReconciling);
    const state = open ? 'away' : local.state === 'ok' ? 'ok' : 'degraded';
    const detail = [open ? (shared.detail ?? away?.reason) : undefined, local.detail].filter(Boolean).join('; ');
    return {
      kind: shared.kind,
      state,
      ...(detail === '' ? {} : { detail }),
      fallback: {
        state: open ? 'serving' : isMerging ? 'merging' : 'idle',
        disk: local.state,
        pending,
        journaled: this.#local.journaledCount,
        pendingForMs: this.#local.tokens.pendingForMs,
      },
    };
  }

  async close(): Promise<void> {
    for (const domain of this.#domains.values()) await domain.leave();
    for (const domain of this.#domains.values()) domain.stop();
    await this.#shared.close();
    for (const domain of this.#domains.values()) await domain.idle();
    await this.#local.close();
  }

  #domainOf(merchant: string): FailureDomain {
    return this.#domains.get(this.#shared.domainOf(merchant)) as FailureDomain;
  }
}

/**
 * Combines a shared and a local answer. The more advanced state wins: live, cancelled, used, none.
 */
function mergeAnswers(shared: ReadAnswer, local: ReadAnswer): ReadAnswer {
  if (shared.state === 'live' && local.state === 'live') {
    if (shared.token.id === local.token.id) return shared;
    const newest = shared.token.receivedAt >= local.token.receivedAt ? shared : local;
    return { ...newest, distinct: Math.min(shared.distinct + local.distinct, MOST_DISTINCT) };
  }
  const rank: ReadAnswer['state'][] = ['none', 'used', 'cancelled', 'live'];
  return rank.indexOf(local.state) > rank.indexOf(shared.state) ? local : shared;
}
