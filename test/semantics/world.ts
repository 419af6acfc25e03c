/** The service of the rows: on Redis like in production, but with deadlines for a busy machine. */
import { join } from 'node:path';
import { readConfig } from '../../src/config/config.ts';
import { parseStoreUrl } from '../../src/config/store-url.ts';
import { FallbackStore } from '../../src/store/fallback/fallback-store.ts';
import { LocalStore } from '../../src/store/fallback/local-store.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { RunningService } from '../support/service.ts';
import { scaled } from '../support/time-scale.ts';
import { until } from '../support/until.ts';

const MAX_UNEXPECTED = 10_000;
const PATIENT_MS = scaled(5000);

export interface Playing {
  running: RunningService;
  stop(): Promise<void>;
}

export interface WorldOptions {
  env: Record<string, string>;
  /** Undefined: the embedded store. */
  redisUrl?: string | undefined;
  /** With the production deadline of Redis, for rows that test it. */
  impatient?: boolean | undefined;
}

export async function play({ env, redisUrl, impatient }: WorldOptions): Promise<Playing> {
  if (redisUrl === undefined || impatient) {
    const store = redisUrl === undefined ? {} : { STORE_URL: redisUrl };
    const running = await RunningService.start({ env: { ...env, ...store } });
    await reconciled(running);
    return { running, stop: () => running.stop() };
  }
  const folder = await GuardedFolder.make('semantics-');
  const { tokenTtlMs: ttlMs, accept, merchants } = readConfig(env);
  const options = { ttlMs, accept, maxUnexpected: MAX_UNEXPECTED };
  const address = parseStoreUrl(redisUrl);
  const shared = new RedisStore({ ...options, address, merchants, deadlineMs: PATIENT_MS });
  const local = new LocalStore({ ...options, directory: join(folder.path, 'tokens') });
  const running = await RunningService.start({ env, store: new FallbackStore({ shared, local, merchants }) });
  await reconciled(running);
  return {
    running,
    async stop() {
      await running.stop();
      await folder.remove();
    },
  };
}

/** Until then, a verdict on a post is deferred: an announcement may still come. */
async function reconciled({ service }: RunningService): Promise<void> {
  await until('the stores are reconciled', () => (service.store.health().fallback?.state ?? 'idle') === 'idle');
}
