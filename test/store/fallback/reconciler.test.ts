/** Reconciliation of a claim that took one token here and another one in Redis. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import type { TokenEntry } from '../../../src/store/embedded/records.ts';
import { Membership } from '../../../src/store/fallback/membership.ts';
import type { MergeResult } from '../../../src/store/fallback/shared-store.ts';
import { RedisStore } from '../../../src/store/redis/redis-store.ts';
import { type NewToken, type TokenQuery, tokenId } from '../../../src/token.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';
import { scaled } from '../../support/time-scale.ts';
import { until } from '../../support/until.ts';
import { LONG_MS, TTL_MS } from '../contract/bench.ts';

const LEAD = { merchant: 'm', by: 'pool', kind: 'token' } as const;

let redis: RedisServer;
let store: RedisStore;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());
beforeEach(async () => {
  await redis.command('FLUSHALL');
  store = await open();
});
afterEach(() => store.close());

async function open(ttlMs = TTL_MS): Promise<RedisStore> {
  const options = { merchants: ['m'], ttlMs, accept: 'any', maxUnexpected: 10, deadlineMs: scaled(5000) } as const;
  const opened = new RedisStore({ address: parseStoreUrl(redis.url), ...options });
  await opened.open({ onHint: () => {}, onGap: () => {}, onExpiry: () => {}, onNotice: () => {} });
  return opened;
}

function token(value: string): NewToken {
  return { id: tokenId('m', 'token', value), merchant: 'm', kind: 'token', value, correlators: {}, pooled: true };
}

/** A token that was given to a claim while Redis was away. */
function given(value: string, claimId: string): TokenEntry {
  const now = Date.now();
  const claim = { id: claimId, leaseExpiresAt: now + LONG_MS, deliveries: 1, renewals: 0 };
  const times = { receivedAt: now, expiresAt: now + TTL_MS };
  return {
    token: { ...token(value), ...times },
    replication: 'local',
    state: 'live',
    order: now,
    claim,
    deliveries: 1,
    seen: false,
  };
}

function claim(
  claimId: string,
  { leaseMs = LONG_MS, call = claimId, query = LEAD as TokenQuery } = {},
): Promise<string> {
  const request = { merchant: 'm', claimId, leaseMs, query, refuseConflict: false, call };
  return store.claim(request).then((answer) => (answer.state === 'held' ? answer.token.value : answer.state));
}

async function merge(entry: TokenEntry, state: MergeResult['state'] = 'live', takenAt = Date.now()): Promise<void> {
  const { merchant, id } = entry.token;
  const claimEntry = entry.claim && { merchant, id: entry.claim.id, token: id, released: false, takenAt };
  const [result] = await store.merge('m', [{ entry, claimEntry, formerClaims: [] }], Date.now());
  expect(result?.state).toBe(state);
}

/** The claim holds `mine`, and the token that it had in Redis is free. */
async function expectItHolds(mine: string, freed: string): Promise<void> {
  expect(await claim('c')).toBe(mine);
  expect(await store.settle('m', 'c', 'use')).toBe('done');
  expect(await store.use('m', token(mine).id)).toBe('done');
  expect(await claim('another')).toBe(freed);
}

test.each([1, 2])('a claim that took a token by %i unanswered calls puts it back', async (count) => {
  await store.put(token('there'));
  const calls = ['first', 'second'].slice(0, count);
  for (const call of calls) expect(await claim('c', { call })).toBe('there');
  await store.revoke('m', [{ claimId: 'c', calls }]);
  expect(await store.settle('m', 'c', 'use')).toBe('unknown');
  await merge(given('here', 'c'));
  await expectItHolds('here', 'there');
});

test('a claim keeps its token when one of the calls that took or renewed it was answered', async () => {
  await store.put(token('there'));
  for (const call of ['unanswered', 'answered']) expect(await claim('c', { call })).toBe('there');
  await store.revoke('m', [{ claimId: 'c', calls: ['unanswered'] }]);
  expect(await claim('another')).toBe('none');
  expect(await store.settle('m', 'c', 'use')).toBe('done');
});

test('a claim whose lease ended in Redis holds the token that it took here', async () => {
  await store.put(token('there'));
  expect(await claim('c', { leaseMs: 1 })).toBe('there');
  const endsAt = await redis.command('HGET', `carat:{m}:t:${token('there').id}`, 'le');
  await until('the lease is over', () => Date.now() > Number(endsAt));
  await merge(given('here', 'c'));
  await expectItHolds('here', 'there');
});

test('a claim that lost its token to another gets lease_lost', async () => {
  await store.put(token('both'));
  expect(await claim('another')).toBe('both');
  await merge(given('both', 'c'));
  expect(await store.settle('m', 'c', 'use')).toBe('lease_lost');
  expect(await store.settle('m', 'another', 'use')).toBe('done');
});

test('a claim id stands for its last token, in any order of the merged tokens', async () => {
  // In the past: the store treats a claim time in the future as now.
  const now = Date.now() - 5000;
  await merge(given('last', 'c'), 'live', now);
  await merge(given('first', 'c'), 'live', now - 1000);
  expect(await claim('c')).toBe('last');
  await merge(given('later', 'd'), 'live', now);
  await merge(given('latest', 'd'), 'live', now + 1000);
  expect(await claim('d')).toBe('latest');
});

test('a claim whose last token has expired stays unknown when an older token of it is merged', async () => {
  await store.close();
  store = await open(300);
  await store.put(token('soon over'));
  await claim('c', { leaseMs: 1 });
  const key = `carat:{m}:t:${token('soon over').id}`;
  await merge(given('older', 'c'), 'live', Date.now() - 1000);
  await until('it has expired', async () => (await redis.command('EXISTS', key)) === 0);
  await merge(given('older', 'c'), 'live', Date.now() - 60_000);
  expect(await store.settle('m', 'c', 'use')).toBe('unknown');
});

test('a copy that expired by the clock of Redis is not put, and its claim id is not recorded', async () => {
  const entry = given('over', 'c');
  await merge({ ...entry, ends: Date.now() - 1 }, 'over');
  expect(await claim('d')).toBe('none');
  expect(await store.settle('m', 'c', 'use')).toBe('unknown');
});

test.each(['a pooled token', 'a token under a key'])('%s that is half-written is repaired', async (what) => {
  const isPooled = what === 'a pooled token';
  const query = isPooled ? LEAD : ({ merchant: 'm', by: 'sid', is: 'x' } as const);
  const half = { ...token('half'), pooled: isPooled, correlators: isPooled ? {} : { sid: 'x' } };
  await store.put(half);
  await redis.command('DEL', `carat:{m}:${isPooled ? 'f:token' : 'i:token:sid=x'}`);
  expect(await claim('c', { query })).toBe('none');
  const { claim: _, ...rest } = given('half', 'c');
  await merge({ ...rest, token: { ...rest.token, ...half }, deliveries: 0, replication: 'replicated' });
  expect(await claim('c', { query })).toBe('half');
});

test('a put that fails at the index leaves nothing that a merge treats as complete', async () => {
  await redis.command('SET', 'carat:{m}:f:token', 'of another type');
  await expect(store.put(token('half'))).rejects.toThrow();
  await redis.command('DEL', 'carat:{m}:f:token');
  expect(await redis.command('EXISTS', `carat:{m}:t:${token('half').id}`)).toBe(0);
});

test('an instance has not asserted if the data was lost meanwhile', async () => {
  const member = new Membership({ merchant: 'm', instance: () => 'me', shared: store });
  await member.look();
  await member.asserted(false);
  await member.look();
  await redis.command('FLUSHALL');
  await expect(member.asserted(true)).rejects.toThrow('its data was lost');
});

test('copies are not put where the instance has not asserted its uses and claims', async () => {
  const copies = [{ entry: given('copy', 'c'), claimEntry: undefined, formerClaims: [] }];
  await expect(store.merge('m', copies, Date.now(), 'me')).rejects.toThrow('its data was lost');
  await store.attend('m', 'me', 'asserted');
  expect(await store.merge('m', copies, Date.now(), 'me')).toMatchObject([{ state: 'live' }]);
});
