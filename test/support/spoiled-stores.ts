/** Stores that fail in one way. They wrap a working store and forward everything else. */
import { setTimeout as delay } from 'node:timers/promises';
import type { PutAnswer, StoreEvents, TokenStore } from '../../src/store/contract.ts';
import type { NewToken } from '../../src/token.ts';

/** A store with another `put`. */
export function withPut(store: TokenStore, put: (token: NewToken) => Promise<PutAnswer>): TokenStore {
  return changed(store, { put });
}

/** A store that also emits notices of the test. */
export function telling(store: TokenStore): { store: TokenStore; tell: (message: string) => void } {
  let told: StoreEvents | undefined;
  const open = (events: StoreEvents): Promise<void> => {
    told = events;
    return store.open(events);
  };
  const tell = (message: string): void => told?.onNotice({ level: 'info', code: 'told', message });
  return { store: changed(store, { open }), tell };
}

function changed(store: TokenStore, changes: Partial<TokenStore>): TokenStore {
  return new Proxy(store, {
    get(target, name) {
      if (name in changes) return changes[name as keyof TokenStore];
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
