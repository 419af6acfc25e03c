/** What becomes of a claim that took a token here and another one in Redis, when both are brought together. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import type { TokenEntry } from '../../../src/store/embedded/records.ts';
import { RedisStore } from '../../../src/store/redis/redis-store.ts';
import { type NewToken, tokenId } from '../../../src/token.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';
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
  const options = { merchants: ['m'], ttlMs: TTL_MS, accept: 'any', maxUnexpected: 10, deadlineMs: 5000 } as const;
  store = new RedisStore({ address: parseStoreUrl(redis.url), ...options });
  await store.open({ onHint: () => {}, onGap: () => {}, onExpiry: () => {}, onNotice: () => {} });
});
afterEach(() => store.close());

function token(value: string): NewToken {
  return { id: tokenId('m', 'token', value), merchant: 'm', kind: 'token', value, pooled: true };
}

/** A token that was given to a claim while Redis was away. */
function given(value: string, claimId: string): TokenEntry {
  const now = Date.now();
  const claim = { id: claimId, leaseExpiresAt: now + LONG_MS, deliveries: 1, renewals: 0 };
  const times = { receivedAt: now, expiresAt: now + TTL_MS };
  return {
    token: { ...token(value), ...times },
    standing: 'here',
    state: 'live',
    order: now,
    claim,
    deliveries: 1,
    seen: false,
  };
}

function claim(claimId: string, leaseMs = LONG_MS): Promise<string> {
  const request = { merchant: 'm', claimId, leaseMs, query: LEAD, refuseConflict: false };
  return store.claim(request).then((answer) => (answer.state === 'held' ? answer.token.value : answer.state));
}

async function merge(entry: TokenEntry, doubtful: boolean): Promise<void> {
  expect(await store.merge('m', [{ entry, formerClaims: [], doubtful }], Date.now())).toEqual(['live']);
}

/** The claim holds `mine`, and the token that it had in Redis is free. */
async function expectItHolds(mine: string, freed: string): Promise<void> {
  expect(await claim('c')).toBe(mine);
  expect(await store.settle('m', 'c', 'use')).toBe('done');
  expect(await store.use('m', token(mine).id)).toBe('done');
  expect(await claim('another')).toBe(freed);
}

test.each([1, 2])('one that took a token by %i calls that went unanswered gives it back', async (calls) => {
  await store.put(token('there'));
  for (let call = 0; call < calls; call += 1) expect(await claim('c')).toBe('there');
  await merge(given('here', 'c'), true);
  await expectItHolds('here', 'there');
});

test('one whose lease is over there holds what it took here', async () => {
  await store.put(token('there'));
  expect(await claim('c', 1)).toBe('there');
  const endsAt = await redis.command('HGET', `carat:{m}:t:${token('there').id}`, 'le');
  await until('the lease is over', () => Date.now() > Number(endsAt));
  await merge(given('here', 'c'), false);
  await expectItHolds('here', 'there');
});

test('one that lost its token to another hears so', async () => {
  await store.put(token('both'));
  expect(await claim('another')).toBe('both');
  await merge(given('both', 'c'), false);
  expect(await store.settle('m', 'c', 'use')).toBe('lease_lost');
  expect(await store.settle('m', 'another', 'use')).toBe('done');
});
