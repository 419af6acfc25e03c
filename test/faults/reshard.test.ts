/** A slot of a Redis Cluster moves to another master under load of its merchants. */
import { afterEach, expect, it } from 'vitest';
import { Actor } from '../chaos/actors.ts';
import { MERCHANTS } from '../chaos/cast.ts';
import { check } from '../chaos/checker.ts';
import { newHistory, type Posted } from '../chaos/history.ts';
import { look } from '../chaos/run.ts';
import { Instance } from '../support/instance.ts';
import { Random } from '../support/random.ts';
import type { RedisServer } from '../support/redis.ts';
import { startCluster } from '../support/redis-cluster.ts';
import { until } from '../support/until.ts';

const SEED = 5;
const ACTORS = 6;
const MOVES = 4;
/** Operations between two moves, so that each moves what came since the one before. */
const OPERATIONS = 60;

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

it('loses no token and hands none out twice when slots move under load', async () => {
  const cluster = await startCluster();
  stops.push(() => cluster.stop());
  const paths = MERCHANTS.map((merchant) => `${merchant}=/${merchant}`).join(',');
  const players: { api: Instance }[] = [];
  for (const _ of [0, 1]) {
    const api = await Instance.start(cluster.url, { AUTHENTICITY_PATHS: paths });
    stops.push(() => api.stop());
    players.push({ api });
  }
  const history = newHistory();
  const over = new AbortController();
  const recent: Posted[] = [];
  const cast = Array.from({ length: ACTORS }, (_, at) =>
    new Actor(`x${at}`, players, history, new Random(SEED * 1000 + at), recent).act(over.signal),
  );
  const operations = (): number => [...history.counts.values()].reduce((sum, one) => sum + one, 0);
  try {
    for (let move = 0; move < MOVES; move++) {
      const before = operations();
      await until('the merchants are busy', () => operations() >= before + OPERATIONS, 30_000);
      for (const merchant of MERCHANTS) {
        const key = `{${merchant}}`;
        const owner = await cluster.masterOf(key);
        const others = cluster.nodes.slice(0, 3).filter((node) => node !== owner);
        await cluster.moveSlot(key, others[move % 2] as RedisServer);
      }
    }
  } finally {
    over.abort();
    await Promise.all(cast);
  }
  const violations = check(history, await look(players, history));
  expect(violations, `seed ${SEED}`).toEqual([]);
  expect(history.posted.size).toBeGreaterThan(20);
}, 120_000);

it('answers `store_away`, never `204`, for tokens of a moving slot, and serves them after the move', async () => {
  const cluster = await startCluster();
  stops.push(() => cluster.stop());
  const [a, b] = [await Instance.start(cluster.url), await Instance.start(cluster.url)];
  stops.push(
    () => a.stop(),
    () => b.stop(),
  );
  await a.settled();
  await b.settled();
  const seid = 's'.repeat(64);
  await a.post({ seid, merchant_data: 'before' });
  expect((await b.claim('held', { merchant_data: 'before', lease: 600 })).body).toMatchObject({ value: seid });
  const source = await cluster.masterOf('{default}');
  const target = cluster.nodes.slice(0, 3).find((node) => node !== source) as RedisServer;
  const slot = String(await source.command('CLUSTER', 'KEYSLOT', '{default}'));
  await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(await source.command('CLUSTER', 'MYID')));
  await source.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(await target.command('CLUSTER', 'MYID')));

  expect((await b.used('held')).body).toMatchObject({ code: 'store_away' });
  expect((await a.claim('other', { merchant_data: 'before' })).body).toMatchObject({ code: 'store_away' });
  expect((await a.ready()).store).toMatchObject({ state: 'away', detail: expect.stringContaining('slot') });
  const during = 'd'.repeat(64);
  expect((await a.post({ seid: during, merchant_data: 'during' })).status).toBe(200);
  expect((await a.read({ merchant_data: 'during' })).body).toMatchObject({ value: during });
  expect(await target.command('CLUSTER', 'COUNTKEYSINSLOT', slot)).toBe(0);

  await cluster.moveSlot('{default}', target);
  await a.settled();
  await b.settled();
  expect((await b.read({ merchant_data: 'during' })).body).toMatchObject({ value: during });
  expect((await a.claim('other', { merchant_data: 'before' })).body).toMatchObject({ code: 'claimed' });
  expect((await b.used('held')).status).toBe(204);
  expect((await a.read({ merchant_data: 'before' })).status).toBe(410);
}, 60_000);
