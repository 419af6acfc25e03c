/** Thousands of workers that wait at once. */
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { createWorkerClient } from '../../src/client/index.ts';
import { Instance } from '../support/instance.ts';
import { startRedis } from '../support/redis.ts';
import { RunningService } from '../support/service.ts';
import { until } from '../support/until.ts';

const AT_ONCE = 100;
/** The longest wait that a worker may ask for, in seconds. */
const LONGEST_S = 60;

const values = (count: number): string[] => Array.from({ length: count }, () => randomBytes(32).toString('hex'));

/** Posts each value under its own name, several at a time. */
async function postAll(
  seids: string[],
  post: (seid: string, at: number) => Promise<{ status: number }>,
): Promise<void> {
  for (let from = 0; from < seids.length; from += AT_ONCE) {
    const some = seids.slice(from, from + AT_ONCE).map((seid, of) => post(seid, from + of));
    for (const { status } of await Promise.all(some)) expect(status).toBe(200);
  }
}

test('serves 2,000 waiters of one instance, and frees their memory', async () => {
  const running = await RunningService.start();
  try {
    const seids = values(2000);
    const waits = seids.map((_, at) => running.worker('GET', `/v1/tokens?sid=w${at}&wait=${LONGEST_S}`));
    await until('all wait', () => running.service.waiters.count === seids.length);
    await postAll(seids, (seid, at) => running.post({ seid, sid: `w${at}` }));
    expect((await Promise.all(waits)).map(({ json }) => json?.value)).toEqual(seids);
    await until('nobody waits', () => running.service.waiters.count === 0);
    expect(running.service.wakeups.missed).toBe(0);
  } finally {
    await running.stop();
  }
});

test('serves 1,000 waits of one client process', async () => {
  const running = await RunningService.start();
  try {
    const client = createWorkerClient({ url: running.service.workerUrl });
    const seids = values(1000);
    const waits = seids.map((_, at) => client.waitForToken({ sid: `w${at}` }, { timeout: 3_600_000 }));
    await until('all wait', () => running.service.waiters.count === seids.length);
    await postAll(seids, (seid, at) => running.post({ seid, sid: `w${at}` }));
    expect((await Promise.all(waits)).map((token) => token?.value)).toEqual(seids);
  } finally {
    await running.stop();
  }
});

test('serves 2,000 waiters of one instance from posts at another, with the same number of Redis connections', async () => {
  const redis = await startRedis();
  const [a, b] = [await Instance.start(redis.url), await Instance.start(redis.url)];
  const connections = async (): Promise<number> =>
    String(await redis.command('CLIENT', 'LIST')).split('name=carat-authenticity-').length - 1;
  try {
    await a.settled();
    await b.settled();
    // Each instance has two of the store, and two for what instances report to each other.
    expect(await connections()).toBe(8);
    const seids = values(2000);
    const waits = seids.map((_, at) => a.read({ merchant_data: `w${at}`, wait: LONGEST_S }));
    await until('all wait', () => a.service.waiters.count === seids.length);
    await redis.command('CONFIG', 'RESETSTAT');
    await postAll(seids, (seid, at) => b.post({ seid, merchant_data: `w${at}` }));
    const answers = await Promise.all(waits);
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(answers.map(({ body }) => body?.['value'])).toEqual(seids);
    expect(await connections()).toBe(8);
    const stats = await redis.info('commandstats');
    for (const name of stats.keys()) {
      expect(name).not.toMatch(/^cmdstat_(blpop|brpop|bzpopmin|blmove|xread|wait|bzmpop)/);
    }
    const calls = Number(/calls=(\d+)/.exec(stats.get('cmdstat_evalsha') ?? '')?.[1]);
    // One call for a post and one for a served read. Sweeps and late hints cause more, but nobody polls.
    expect(calls).toBeLessThan(4 * seids.length);
    expect(calls).toBeGreaterThan(seids.length);
  } finally {
    await a.stop();
    await b.stop();
    await redis.stop();
  }
});
