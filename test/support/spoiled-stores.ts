/** Stores that fail in one way, around one that works: what is not spoiled goes through. */

import { setTimeout as delay } from 'node:timers/promises';
import type { NewToken, PutAnswer, TokenStore } from '../../src/store/store.ts';

/** A store whose `put` is another one. */
export function withPut(store: TokenStore, put: (token: NewToken) => Promise<PutAnswer>): TokenStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === 'put') return put;
      const found = Reflect.get(target, name) as unknown;
      return typeof found === 'function' ? found.bind(target) : found;
    },
  });
}

export function slow(store: TokenStore, byMs: number): TokenStore {
  return withPut(store, async (token) => {
    await delay(byMs);
    return store.put(token);
  });
}
