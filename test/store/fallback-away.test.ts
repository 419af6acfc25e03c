/**
 * The fallback store keeps the contract towards the workers of its own process while Redis is away. What differs is
 * that answers say so, that a verdict on what was expected is put off, and that there is no counter to compare.
 */
import { join } from 'node:path';
import { beforeAll, describe } from 'vitest';
import { FallbackStore } from '../../src/store/fallback.ts';
import { LocalStore } from '../../src/store/local.ts';
import { RedisStore } from '../../src/store/redis.ts';
import { parseStoreUrl } from '../../src/store/redis-address.ts';
import type { TokenStore } from '../../src/store/store.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { casesOf } from './contract/bench.ts';
import { describeClaims } from './contract/claims.ts';
import { describeConcurrency } from './contract/concurrency.ts';
import { describeExpiry } from './contract/expiry.ts';
import { describeLeases } from './contract/leases.ts';
import { describeSettling } from './contract/settling.ts';
import { describeTokens } from './contract/tokens.ts';

let port = 0;
beforeAll(async () => {
  port = await freePort();
});

const test = casesOf({
  instances: 1,
  async setup(options) {
    const folder = await GuardedFolder.make('fallback-');
    return {
      async open(events) {
        const address = parseStoreUrl(`redis://${LOOPBACK}:${port}`);
        const shared = new RedisStore({ address, ...options });
        const directory = join(folder.path, 'tokens');
        const local = new LocalStore({ ...options, unmatched: 'deferred', directory });
        const store = new FallbackStore({ shared, local, merchants: options.merchants });
        await store.open(events);
        return sayingItIsAway(store);
      },
      remove: () => folder.remove(),
    };
  },
});

/** Fails where an answer that needs it does not say that Redis is away, and leaves it out of what the cases compare. */
function sayingItIsAway(store: TokenStore): TokenStore {
  const without = <T extends { state: string; away?: true }>({ away, ...answer }: T): T => {
    if (away !== true && answer.state !== 'held') throw new Error(`expected ${answer.state} to say that Redis is away`);
    return answer as unknown as T;
  };
  return new Proxy(store, {
    get(target, name) {
      if (name === 'read')
        return async (...args: Parameters<TokenStore['read']>) => without(await target.read(...args));
      if (name === 'claim')
        return async (...args: Parameters<TokenStore['claim']>) => without(await target.claim(...args));
      // What is not known here may be known there: where a store would say "unknown", this one says "away".
      if (name === 'settle' || name === 'use') {
        return async (...args: [string, string, 'use' | 'release']) => {
          const answer = await target[name](...args);
          if (answer === 'unknown') throw new Error('expected nothing to be said of what only Redis can know');
          return answer === 'away' ? 'unknown' : answer;
        };
      }
      const found = Reflect.get(target, name) as unknown;
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
}

describe('the fallback store without Redis keeps the contract of a store', () => {
  describe('tokens', () => describeTokens(test));
  describe('claims', () => describeClaims(test));
  describe('leases', () => describeLeases(test));
  describe('settling', () => describeSettling(test));
  describe('expiry', () => describeExpiry(test));
  describe('concurrency', () => describeConcurrency(test));
});
