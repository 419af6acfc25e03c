import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ClaimQueue, type Member } from '../../src/handoff/claim-queue.ts';
import { Waiters } from '../../src/handoff/waiters.ts';
import type { ClaimAnswer } from '../../src/store/contract.ts';
import { latch } from '../support/latch.ts';
import { until } from '../support/until.ts';

const NONE: ClaimAnswer = { state: 'none' };

/** A source of claimable tokens that the test fills. */
class Tray {
  readonly asked: string[] = [];
  /** Those that asked only for what they hold. */
  readonly renewed: string[] = [];
  readonly #free: string[] = [];
  readonly #heldBy = new Map<string, string>();
  /** The answer without a token. */
  empty: ClaimAnswer = NONE;
  onAsked: (claimId: string) => Promise<void> | void = () => {};

  lay(...tokens: string[]): void {
    this.#free.push(...tokens);
  }

  async claim(claimId: string): Promise<ClaimAnswer> {
    this.asked.push(claimId);
    const id = this.#heldBy.get(claimId) ?? this.#free.shift();
    if (id !== undefined) this.#heldBy.set(claimId, id);
    await this.onAsked(claimId);
    return id === undefined ? this.empty : this.#held(claimId, id);
  }

  async renew(claimId: string): Promise<ClaimAnswer> {
    this.renewed.push(claimId);
    const id = this.#heldBy.get(claimId);
    return id === undefined ? NONE : this.#held(claimId, id);
  }

  #held(claimId: string, id: string): ClaimAnswer {
    const times = { receivedAt: 0, expiresAt: 1 };
    const token = { id, merchant: 'm', kind: 'token', value: id, correlators: {}, pooled: true, ...times } as const;
    const claim = { id: claimId, leaseExpiresAt: 1, deliveries: 1, renewals: 0 };
    return { state: 'held', token, distinct: 1, claim };
  }
}

describe('a claim queue', () => {
  let tray: Tray;
  let line: ClaimQueue;
  let waiters: Waiters;
  const members: Member[] = [];
  beforeEach(() => {
    tray = new Tray();
    line = new ClaimQueue();
    waiters = new Waiters({ max: 100 });
  });
  afterEach(async () => {
    for (const member of members.splice(0)) await line.leave(member);
    expect(line.isEmpty).toBe(true);
  });

  function join(claimId: string): Member {
    const waiter = waiters.park('m', 'pool=token', performance.now() + 60_000, new AbortController().signal);
    if (waiter === 'full') throw new Error('expected a place');
    const attempts = { claim: () => tray.claim(claimId), renew: () => tray.renew(claimId) };
    const member = line.join(claimId, attempts, waiter);
    members.push(member);
    return member;
  }
  const got = ({ answer }: Member): string | undefined =>
    answer instanceof Error ? answer.message : answer?.state === 'held' ? answer.token.id : answer?.state;

  it('serves in order of arrival, and tries nobody behind a member that gets nothing', async () => {
    const [a, b, c] = [join('a'), join('b'), join('c')];
    tray.lay('1', '2');
    await line.advance();
    expect([a, b, c].map(got)).toEqual(['1', '2', undefined]);
    expect(tray.asked).toEqual(['a', 'b', 'c']);
    const d = join('d');
    await line.advance();
    expect(tray.asked.slice(3)).toEqual(['c']);
    tray.lay('3', '4');
    await line.advance();
    expect([c, d].map(got)).toEqual(['3', '4']);
  });

  it('tries twice as many at once after each success, in the order of arrival', async () => {
    const ids = Array.from({ length: 20 }, (_, i) => `claim-${i}`);
    const all = ids.map(join);
    tray.lay(...ids.map((_, i) => `token-${i}`));
    let open = 0;
    const atOnce: number[] = [];
    tray.onAsked = async () => {
      open += 1;
      await Promise.resolve();
      if (open > 0) atOnce.push(open);
      open = 0;
    };
    await line.advance();
    expect(tray.asked).toEqual(ids);
    expect(all.map(got)).toEqual(ids.map((_, i) => `token-${i}`));
    expect(atOnce).toEqual([1, 2, 4, 8, 5]);
  });

  it('serves those behind a member whose own claim id is the obstacle', async () => {
    const [a, b] = [join('a'), join('b')];
    const claim = tray.claim.bind(tray);
    tray.claim = (claimId) =>
      claimId === 'a' ? Promise.resolve({ state: 'none', elsewhere: true, away: true }) : claim(claimId);
    tray.lay('1');
    await line.advance();
    expect([a, b].map(got)).toEqual([undefined, '1']);
    expect(line.last).toBeUndefined();
  });

  it('renews a token that a new member holds, if no round reaches the member', async () => {
    tray.lay('1');
    await tray.claim('holder');
    const [first, holder, other] = [join('first'), join('holder'), join('other')];
    await line.advance();
    expect([first, holder, other].map(got)).toEqual([undefined, '1', undefined]);
    expect(tray.renewed).toEqual(['holder', 'other']);
    await line.advance();
    expect(tray.renewed).toHaveLength(2);
    expect(tray.asked).toEqual(['holder', 'first', 'first']);
  });

  it('wakes each served member', async () => {
    const member = join('a');
    const asleep = member.waiter.sleep();
    tray.lay('1');
    await line.advance();
    expect(await asleep).toBe('notified');
  });

  it('runs one more round for all members that ask during a round', async () => {
    const { opened, open } = latch();
    const a = join('a');
    tray.onAsked = () => opened;
    const first = line.advance();
    await until('the round is under way', () => tray.asked.length === 1);
    // The first round has read already: a new token is for the next one.
    tray.lay('1');
    const [second, third] = [line.advance(), line.advance()];
    open();
    await first;
    await Promise.all([second, third]);
    expect(got(a)).toBe('1');
    expect(tray.asked).toEqual(['a', 'a']);
  });

  it('gives the same token to all members with one claim id, at any position', async () => {
    const [a, b, again] = [join('a'), join('b'), join('a')];
    tray.lay('1');
    await line.advance();
    expect([a, b, again].map(got)).toEqual(['1', undefined, '1']);
  });

  it('continues behind a member whose attempt failed or got a final answer', async () => {
    const renew = async (): Promise<ClaimAnswer> => NONE;
    const claims = { claim: () => Promise.reject(new Error('away')), renew };
    const failing = line.join('x', claims, join('unused').waiter);
    const cancels = { claim: async (): Promise<ClaimAnswer> => ({ state: 'cancelled' }), renew };
    const cancelled = line.join('y', cancels, join('unused too').waiter);
    for (const member of members.splice(0)) await line.leave(member);
    const c = join('c');
    tray.lay('1');
    await line.advance();
    expect([failing, cancelled, c].map(got)).toEqual(['away', 'cancelled', '1']);
  });

  it('gives a leaving member the result of its pending attempt, and does not try it again', async () => {
    const { opened, open } = latch();
    const [a, b] = [join('a'), join('b')];
    tray.lay('1', '2');
    tray.onAsked = () => opened;
    const advanced = line.advance();
    await until('the first is tried', () => tray.asked.length === 1);
    const left = [line.leave(a), line.leave(b)];
    open();
    await Promise.all(left);
    expect([a, b].map(got)).toEqual(['1', undefined]);
    await advanced;
    expect(tray.asked).toEqual(['a']);
  });

  it('tries again when the first lease ends, but not once all members have left', async () => {
    const a = join('a');
    tray.empty = { state: 'none', retryInMs: 30 };
    await line.advance();
    await until('it looked twice by itself', () => tray.asked.length >= 3);
    tray.lay('1');
    await until('it is served', () => got(a) === '1');
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const b = join('b');
    await line.advance();
    expect(timers()).toBe(before + 1);
    await line.leave(b);
    expect(timers()).toBe(before);
  });

  it('remembers the last answer', async () => {
    join('a');
    expect(line.last).toBeUndefined();
    tray.empty = { state: 'used' };
    await line.advance();
    expect(line.last).toEqual({ state: 'used' });
  });
});
