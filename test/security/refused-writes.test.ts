/** A flood of posts that are not kept must be cheap: it is answered like any other post, and nothing is written for it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { RunningService } from '../support/service.ts';

const POSTS = 200;
const VALUE = 'qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjklzxcvbnm02';
const REFUSED: Record<string, Record<string, string>> = {
  'without a token': { sid: 'x' },
  'with a bad value': { seid: 'two words' },
  'with several tokens': { seid: VALUE, nit: VALUE },
  'that are status notifications': { nit: VALUE, status: '3' },
};

let folder: GuardedFolder;
let redis: RedisServer | undefined;
let running: RunningService;
beforeEach(async () => {
  folder = await GuardedFolder.make('refused-');
});
afterEach(async () => {
  await running.stop();
  await redis?.stop();
  redis = undefined;
  await folder.remove();
});

async function postAll(form: Record<string, string>): Promise<void> {
  for (let at = 0; at < POSTS; at++) {
    expect(await running.post(form)).toMatchObject({ status: 200, text: 'OK' });
  }
}

test.each(Object.entries(REFUSED))('posts %s write nothing to disk', async (_what, form) => {
  running = await RunningService.start({ dataDir: folder.path });
  await running.post({ seid: VALUE });
  const lastBatch = (): Promise<string> => readFile(join(folder.path, 'tokens', 'LAST-BATCH'), 'utf8');
  const before = await lastBatch();
  await postAll(form);
  expect(await lastBatch()).toBe(before);
});

test('posts from an address that is not allowed send nothing to Redis', async () => {
  redis = await startRedis();
  const env = { STORE_URL: redis.url, ALLOWED_SOURCES: '192.0.2.0/24' };
  running = await RunningService.start({ dataDir: folder.path, env });
  const before = await scriptCalls(redis);
  await postAll({ seid: VALUE });
  // The periodic calls of the service are far fewer than one per post.
  expect((await scriptCalls(redis)) - before).toBeLessThan(POSTS / 2);
});

async function scriptCalls(server: RedisServer): Promise<number> {
  const stats = String(await server.command('INFO', 'commandstats'));
  return [...stats.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)].reduce((sum, [, calls]) => sum + Number(calls), 0);
}
