/**
 * The fallback store keeps the contract for the workers of its own process while Redis is away.
 * Three things differ: answers say `away`, verdicts on expected posts are deferred, and there is no
 * arrival counter.
 */
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import type { TokenStore } from '../../../src/store/contract.ts';
import { FallbackStore } from '../../../src/store/fallback/fallback-store.ts';
import { LocalStore } from '../../../src/store/fallback/local-store.ts';
import { RedisStore } from '../../../src/store/redis/redis-store.ts';
import { GuardedFolder } from '../../support/guarded-folder.ts';
import { LOOPBACK } from '../../support/ports.ts';
import { type RedisServer, startRedis } from '../../support/redis.ts';
import { startProxy } from '../../support/tcp-proxy.ts';
import type { Mode } from '../../support/tcp-proxy-mode.ts';
import { scaled } from '../../support/time-scale.ts';
import { describeStoreContract, type Implementation, type Part } from '../contract.ts';

/** The parts that a process can promise alone. */
const ALONE: Part[] = ['tokens', 'claims', 'leases', 'settling', 'expiry', 'concurrency'];
/**
 * Kinds of absence. Redis is available when the first store opens, and not after that. A slow Redis
 * executes timed-out calls and answers too late: an answer that comes while this process stalls is
 * in time for it. The others differ in how a call fails.
 */
const ABSENCES: { name: string; mode: Mode; parts: Part[] }[] = [
  { name: 'slow', mode: { kind: 'slow', toServer: 300, toClient: scaled(1000) }, parts: ALONE },
  { name: 'refused', mode: { kind: 'refuse' }, parts: ['tokens', 'claims'] },
  { name: 'black-holed', mode: { kind: 'blackhole', direction: 'both' }, parts: ['tokens', 'claims'] },
];

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

/**
 * Cases that settle an ended claim. It may have taken another token since, which only Redis can
 * know.
 */
const UNDECIDED = new Set([
  'use after a release is lease_lost, and release after a use is used',
  'use is done after the lease if nobody took the token',
  'release is done after the lease if nobody took the token',
  'a lease that is lost to another claim stays lost after that one ended, released or used it',
  'concurrent settles get the same answers as consecutive ones',
]);

const implementationWhile = (mode: Mode): Implementation => ({
  instances: 1,
  async setup(options) {
    const folder = await GuardedFolder.make('fallback-');
    const proxy = await startProxy({ host: redis.host, port: redis.port });
    return {
      async open(events) {
        const address = parseStoreUrl(`redis://${LOOPBACK}:${proxy.port}`);
        const shared = new RedisStore({ address, ...options });
        const directory = join(folder.path, 'tokens');
        const local = new LocalStore({ ...options, directory });
        const store = new FallbackStore({ shared, local, merchants: options.merchants });
        await store.open(events);
        await proxy.mode(mode);
        if (mode.kind === 'refuse') proxy.cut();
        // The first read detects the absence.
        const [merchant] = options.merchants;
        await store.read({ merchant: merchant as string, by: 'sid', is: 'nobody' });
        return sayingItIsAway(store);
      },
      async remove() {
        await proxy.stop();
        await folder.remove();
      },
    };
  },
});

/** Fails when an answer without `away` needs it, and removes it for the comparison of the cases. */
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
      // Redis may know what is unknown here: this store answers "away" where another answers
      // "unknown".
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

for (const { name, mode, parts } of ABSENCES) {
  describeStoreContract(`the fallback store, while Redis is ${name},`, implementationWhile(mode), parts, UNDECIDED);
}
