/** Anyone who knows a path can post: the effects and limits of planted tokens. */
import { rm } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { RunningService } from '../support/service.ts';
import { until } from '../support/until.ts';

const GENUINE = 'g'.repeat(64);
const PLANTED = 'p'.repeat(64);

let running: RunningService;
afterEach(() => running.stop());

async function start(env: Record<string, string> = {}, dataDir?: string): Promise<void> {
  running = await RunningService.start({ env, ...(dataDir === undefined ? {} : { dataDir }) });
}
const read = (key: string) => running.worker('GET', `/v1/tokens?merchant_data=${key}`);
const claim = (id: string, body: object) => running.worker('PUT', `/v1/claims/${id}`, { body });
const post = async (fields: Record<string, string>): Promise<void> => {
  expect(await running.post(fields)).toMatchObject({ status: 200, text: 'OK' });
};
async function announce(body: object): Promise<string> {
  const answer = await running.worker('POST', '/v1/expectations', { body });
  expect(answer.status).toBe(201);
  return answer.json.merchant_data;
}

describe('blind forgery', () => {
  test('reaches no waiter that announced its own key, which nobody can guess', async () => {
    await start();
    const key = await announce({ kind: 'seid' });
    expect(key).toMatch(/^[0-9a-z]{20}$/);
    const waiting = running.worker('GET', `/v1/tokens?merchant_data=${key}&wait=20`);
    await until('the worker waits', async () => (await running.parked()) === 1);
    for (let guess = 0; guess < 50; guess += 1) {
      await post({ seid: PLANTED + guess, merchant_data: `${guess}`.padStart(20, '0') });
    }
    expect(await running.parked()).toBe(1);
    await post({ seid: GENUINE, merchant_data: key });
    expect((await waiting).json).toMatchObject({ value: GENUINE, distinct: 1 });
  });

  test('into the pool reaches nobody with ACCEPT=expected', async () => {
    await start({ ACCEPT: 'expected' });
    await post({ token: PLANTED });
    await announce({ kind: 'token' });
    await post({ token: GENUINE });
    expect((await claim('c1', { kind: 'token' })).json).toMatchObject({ value: GENUINE });
    expect((await claim('c2', { kind: 'token' })).status).toBe(204);
  });
});

describe.each([
  ['before', [PLANTED, GENUINE]],
  ['after', [GENUINE, PLANTED]],
])('a token planted under a known key %s the genuine one', (_when, values) => {
  test('shows as distinct 2', async () => {
    await start();
    for (const seid of values) await post({ seid, merchant_data: 'known' });
    expect((await read('known')).json).toMatchObject({ distinct: 2, value: values[1] });
  });

  test('is a conflict with ON_CONFLICT=refuse', async () => {
    await start({ ON_CONFLICT: 'refuse' });
    for (const seid of values) await post({ seid, merchant_data: 'known' });
    expect(await read('known')).toMatchObject({ status: 409, json: { code: 'conflict' } });
    expect(await claim('c1', { merchant_data: 'known' })).toMatchObject({ status: 409, json: { code: 'conflict' } });
  });

  test('reaches nobody with ACCEPT=expected when the key is guessed outside of its time', async () => {
    await start({ ACCEPT: 'expected' });
    for (const seid of values) {
      if (seid === GENUINE) await announce({ kind: 'seid', merchant_data: 'known' });
      await post({ seid, merchant_data: 'known' });
    }
    expect((await read('known')).json).toMatchObject({ value: GENUINE, distinct: 1 });
  });
});

test('thousands of planted tokens under one key stay visible as many, and do not slow a read down', async () => {
  await start();
  for (let at = 0; at < 30; at += 1) {
    const batch = Array.from({ length: 50 }, (_, of) =>
      post({ seid: `${PLANTED}${at}-${of}`, merchant_data: 'known' }),
    );
    await Promise.all(batch);
  }
  expect((await read('known')).json).toMatchObject({ distinct: 100 });
});

describe('a replay', () => {
  let redis: RedisServer | undefined;
  let folder: GuardedFolder;
  beforeEach(async () => {
    folder = await GuardedFolder.make('replay-');
  });
  afterEach(async () => {
    await running.stop();
    await redis?.stop();
    redis = undefined;
    await folder.remove();
  });

  test.each(['embedded', 'redis'])(
    'changes nothing: before use, claimed, used, after a restart (%s)',
    async (store) => {
      redis = store === 'redis' ? await startRedis() : undefined;
      const env: Record<string, string> = redis === undefined ? {} : { STORE_URL: redis.url };
      await start(env, folder.path);
      const replay = (): Promise<void> => post({ token: GENUINE });
      await replay();
      await replay();
      expect((await claim('c1', { kind: 'token' })).json).toMatchObject({ value: GENUINE, claim: { deliveries: 1 } });
      await replay();
      expect((await claim('c2', { kind: 'token' })).status).toBe(204);
      expect((await running.worker('DELETE', '/v1/claims/c1')).status).toBe(204);
      await replay();
      expect((await claim('c3', { kind: 'token' })).status).toBe(204);
      await running.stop();
      await start(env, folder.path);
      await replay();
      expect((await claim('c4', { kind: 'token' })).status).toBe(204);
      if (redis === undefined) return;
      // From the local journal: Redis has lost everything, and the journal restores it.
      await redis.command('FLUSHALL');
      await redis.command('CLIENT', 'KILL', 'TYPE', 'normal');
      await until('what was used is there again', async () => Number(await redis?.command('DBSIZE')) > 0);
      await replay();
      expect((await claim('c5', { kind: 'token' })).status).toBe(204);
      // Nor does the disk of an instance that never saw it say otherwise, as long as Redis does.
      await running.stop();
      await rm(folder.path, { recursive: true });
      await start(env, folder.path);
      await replay();
      expect((await claim('c6', { kind: 'token' })).status).toBe(204);
    },
  );
});
