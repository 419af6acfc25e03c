/**
 * The current service continues with a DATA_DIR or a Redis of 1.0.0, which may still run on that
 * Redis.
 */
import { randomBytes } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { Actor } from '../chaos/actors.ts';
import { CURRENT_MAIN, Player } from '../chaos/cast.ts';
import { check } from '../chaos/checker.ts';
import { newHistory } from '../chaos/history.ts';
import { look } from '../chaos/run.ts';
import { useDataDir } from '../support/data-dir.ts';
import { EventStream } from '../support/event-stream.ts';
import { Random } from '../support/random.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { releasedMain } from '../support/release.ts';
import type { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';
import { type Answer, Api, untilKnown } from '../support/worker-api.ts';

const OLD = await releasedMain('1.0.0');
const ENCRYPTION_KEYS = randomBytes(32).toString('base64');

const data = useDataDir();
const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function ownRedis(): Promise<RedisServer> {
  const redis = await startRedis({ config: { appendfsync: 'always' } });
  ends.push(() => redis.stop());
  return redis;
}

function startOld(env: Record<string, string> = {}): Promise<ServiceProcess> {
  return data.start({ env, command: [process.execPath, OLD] });
}

function apiOf(service: ServiceProcess): Api {
  const authenticityUrl = `http://127.0.0.1:${service.authenticityPort}`;
  return new Api({ authenticityUrl, workerUrl: service.workerUrl });
}

/** What a worker may rely on across the update: the answer's status and everything in it. */
type Facts = Record<string, { status: number; body: Answer['body'] }>;

/** Copies of what Redis had are kept by the clock of the instance, and not by Redis' own. */
const CLOCKS_APART_MS = 1000;

const SELECTORS: Record<string, Record<string, string>> = {
  plain: { merchant_data: 'plain' },
  'by usn': { merchant_usn: '77' },
  'by order': { order_id: 'order', kind: 'nit' },
  two: { sid: 'two' },
  claimed: { sid: 'claimed' },
  renewed: { sid: 'renewed' },
  released: { sid: 'released' },
  lost: { sid: 'lost' },
  'used by claim': { sid: 'used-by-claim' },
  'used by id': { sid: 'used-by-id' },
  open: { sid: 'open' },
  cancelled: { sid: 'cancelled' },
  'expected anew': { sid: 'anew' },
  nothing: { sid: 'nothing' },
};

async function factsOf(api: Api): Promise<Facts> {
  const facts: Facts = {};
  for (const [name, selector] of Object.entries(SELECTORS)) {
    const { status, body } = await api.read(selector);
    // A problem is compared by its code; its texts are for people, and may change.
    const { title: _title, detail: _detail, ...fields } = body ?? {};
    facts[name] = { status, body: body && fields };
  }
  return facts;
}

/** Times are compared with a tolerance. What nobody knew while Redis was away is now known to be nothing. */
async function expectFacts(api: Api, before: Facts): Promise<void> {
  await until('the service knows', async () => Object.values(await factsOf(api)).every(({ status }) => status !== 503));
  const apart: unknown[] = [];
  const isTime = (text: unknown): text is string => typeof text === 'string' && /^\d{4}-.*T.*Z$/.test(text);
  const withTimesOf = (now: unknown, then: unknown): unknown => {
    if (isTime(now) && isTime(then)) {
      if (Math.abs(Date.parse(now) - Date.parse(then)) > CLOCKS_APART_MS) apart.push([then, now]);
      return then;
    }
    if (typeof now !== 'object' || now === null) return now;
    const model = then as Record<string, unknown> | null | undefined;
    return Object.fromEntries(Object.entries(now).map(([name, value]) => [name, withTimesOf(value, model?.[name])]));
  };
  const known = Object.entries(before).map(([name, fact]) => [
    name,
    fact.status === 503 ? { status: 204, body: undefined } : fact,
  ]);
  expect(withTimesOf(await factsOf(api), before)).toEqual(Object.fromEntries(known));
  expect(apart).toEqual([]);
}

const LEASE = { kind: 'seid', lease: 600 };

interface Left {
  facts: Facts;
  /** Of the expectations, by the name of their selector; `place` is one for a token of the pool. */
  expectations: Record<string, string>;
}

/** Brings tokens, claims and expectations into each state that outlives a process. */
async function leave(api: Api): Promise<Left> {
  const ok = async (status: number, answer: Promise<Answer>): Promise<Answer> => {
    const got = await answer;
    expect(got).toMatchObject({ status });
    return got;
  };
  const expectations: Record<string, string> = {};
  const announce = async (body: Record<string, unknown>): Promise<string> =>
    String((await ok(201, api.expect({ ttl: 3600, ...body }))).body?.['id']);
  expectations['open'] = await announce({ kind: 'seid', sid: 'open' });
  expectations['cancelled'] = await announce({ kind: 'seid', sid: 'cancelled' });
  await ok(204, api.cancel(expectations['cancelled']));
  await ok(204, api.cancel(await announce({ kind: 'seid', sid: 'anew' })));
  expectations['anew'] = await announce({ kind: 'seid', sid: 'anew' });
  expectations['place'] = await announce({ kind: 'token' });

  await ok(200, api.post({ seid: 'plain', merchant_data: 'plain' }));
  await ok(200, api.post({ nit: 'nit', merchant_usn: '77', order_id: 'order' }));
  await ok(200, api.post({ seid: 'two-1', sid: 'two' }));
  await ok(200, api.post({ seid: 'two-2', sid: 'two' }));
  for (const sid of ['claimed', 'renewed', 'released', 'lost', 'used-by-claim', 'used-by-id']) {
    await ok(200, api.post({ seid: `value-of-${sid}`, sid }));
  }
  await ok(200, api.claim('claimed', { ...LEASE, sid: 'claimed' }));
  for (let renewals = 0; renewals < 3; renewals++) await ok(200, api.claim('renewed', { ...LEASE, sid: 'renewed' }));
  await ok(200, api.claim('released', { ...LEASE, sid: 'released' }));
  await ok(204, api.release('released'));
  await ok(200, api.claim('loser', { ...LEASE, sid: 'lost', lease: 1 }));
  await ok(200, api.claim('winner', { ...LEASE, sid: 'lost', wait: 10 }));
  await ok(200, api.claim('user', { ...LEASE, sid: 'used-by-claim' }));
  await ok(204, api.used('user'));
  const { body } = await ok(200, api.read({ sid: 'used-by-id' }));
  await ok(204, api.use(String(body?.['id'])));

  for (const value of ['pool-0', 'pool-1', 'pool-2', 'pool-3']) await ok(200, api.post({ token: value }));
  await ok(200, api.claim('pool-0', { kind: 'token', lease: 600 }));
  await ok(204, api.used('pool-0'));
  await ok(200, api.claim('pool-1', { kind: 'token', lease: 600 }));
  await ok(200, api.claim('pool-2', { kind: 'token', lease: 600 }));
  await ok(204, api.release('pool-2'));
  return { facts: await factsOf(api), expectations };
}

/** 1.0.0 keeps no copy of an announcement that Redis took: it is lost with Redis. */
const WITHOUT_ANNOUNCEMENTS = { cancelled: { status: 204, body: undefined } };

/** Checks that every record is as it was left, and works. */
async function goesOn(api: Api, { facts, expectations }: Left, areAnnouncementsLost = false): Promise<void> {
  expect(facts).toMatchObject({
    plain: { status: 200 },
    two: { status: 200, body: { value: 'two-2', distinct: 2 } },
    renewed: { body: { claim: { id: 'renewed' } } },
    lost: { body: { claim: { id: 'winner', deliveries: 2 } } },
    'used by claim': { status: 410 },
    cancelled: { status: 410, body: { code: 'cancelled' } },
  });
  await expectFacts(api, areAnnouncementsLost ? { ...facts, ...WITHOUT_ANNOUNCEMENTS } : facts);

  const answers = async (expected: Record<string, number>, ask: (name: string) => Promise<Answer>): Promise<void> => {
    const found: Record<string, number> = {};
    for (const name of Object.keys(expected)) found[name] = (await untilKnown(() => ask(name))).status;
    expect(found).toEqual(expected);
  };
  const claimed = (name: string): Promise<Answer> => api.claim(`other-${name}`, { ...LEASE, sid: name });
  await answers({ claimed: 409, renewed: 409, lost: 409, 'used-by-claim': 410, 'used-by-id': 410 }, claimed);
  await answers({ claimed: 200, renewed: 200, winner: 200, released: 409 }, (id) =>
    api.claim(id, { renew: true, lease: 600 }),
  );
  expect((await api.claim('released-2', { ...LEASE, sid: 'released' })).body).toMatchObject({
    claim: { deliveries: 2 },
  });
  await answers({ claimed: 204, user: 204, released: 409, loser: 409, winner: 204, 'pool-0': 204, none: 404 }, (id) =>
    api.used(id),
  );
  await answers({ renewed: 204, loser: 410 }, (id) => api.release(id));

  for (const sid of ['claimed', 'used-by-claim', 'used-by-id']) {
    expect((await api.post({ seid: `value-of-${sid}`, sid })).status).toBe(200);
    expect((await api.read({ sid })).status).toBe(410);
  }
  await poolGoesOn(api);

  if (areAnnouncementsLost) return;
  await answers({ open: 204, cancelled: 204, anew: 204, place: 204 }, (name) =>
    api.cancel(expectations[name] as string),
  );
  await answers({ open: 410, anew: 410, cancelled: 410 }, (sid) => api.read({ sid }));
}

async function poolGoesOn(api: Api): Promise<void> {
  const held: unknown[] = [];
  for (const id of ['pool-1', 'a', 'b', 'c']) {
    const { status, body } = await api.claim(id, { kind: 'token', lease: 600 });
    held.push([status, body?.['value'], (body?.['claim'] as { deliveries: number } | undefined)?.deliveries]);
  }
  expect(held).toEqual([
    [200, 'pool-1', 1],
    [200, 'pool-2', 2],
    [200, 'pool-3', 1],
    [204, undefined, undefined],
  ]);
}

describe.each([
  ['in clear', {}],
  ['sealed', { ENCRYPTION_KEYS }],
])('the current service after 1.0.0, values %s', (_name, env) => {
  test('reads the DATA_DIR of the embedded store after a kill', async () => {
    const old = await startOld(env);
    const left = await leave(apiOf(old));
    await old.kill();
    const next = await data.start({ env });
    await goesOn(apiOf(next), left);
    expect(next.events('trouble')).toEqual([]);
    // And once more, from what the current version wrote.
    await next.kill();
    const again = apiOf(await data.start({ env }));
    expect((await again.read({ sid: 'claimed' })).status).toBe(410);
    expect((await again.read({ sid: 'two' })).body).toMatchObject({ value: 'two-2', distinct: 2 });
  });

  test('reads the Redis', async () => {
    const redis = await ownRedis();
    const old = await startOld({ ...env, STORE_URL: redis.url });
    const left = await leave(apiOf(old));
    await old.kill();
    const next = await data.start({ env: { ...env, STORE_URL: redis.url } });
    await goesOn(apiOf(next), left);
  });

  test('reads the journal when the Redis is lost', async () => {
    const redis = await ownRedis();
    const withRedis = { ...env, STORE_URL: redis.url };
    const old = await startOld(withRedis);
    const left = await leave(apiOf(old));
    await old.kill();
    await redis.restartEmpty();
    const next = await data.start({ env: withRedis });
    await goesOn(apiOf(next), left, true);
  });

  test('reads the tokens that were kept while Redis was away', async () => {
    const redis = await ownRedis();
    const withRedis = { ...env, STORE_URL: redis.url };
    const old = await startOld(withRedis);
    await redis.kill();
    await until('it is away', async () => (await old.readiness()).store.state === 'away');
    const left = await leave(apiOf(old));
    await old.kill();
    await redis.restartEmpty();
    const next = await data.start({ env: withRedis });
    await goesOn(apiOf(next), left);
  });
});

test('ACCEPT=expected: announcements, refusals and places of 1.0.0 count', async () => {
  const env = { ACCEPT: 'expected' };
  const old = await startOld(env);
  const before = apiOf(old);
  for (const sid of ['open', 'filled', 'cancelled']) {
    const { body } = await before.expect({ kind: 'seid', sid, ttl: 3600 });
    if (sid === 'cancelled') await before.cancel(String(body?.['id']));
  }
  await before.expect({ kind: 'token', ttl: 3600 });
  await before.post({ seid: 'first', sid: 'filled' });
  await before.post({ seid: 'planted', sid: 'planted' });
  await old.kill();

  const api = apiOf(await data.start({ env }));
  await api.expect({ kind: 'seid', sid: 'planted', ttl: 3600 });
  for (const [value, sid] of [
    ['planted', 'planted'],
    ['second', 'filled'],
    ['stranger', 'cancelled'],
    ['genuine', 'open'],
  ] as const) {
    expect((await api.post({ seid: value, sid })).status).toBe(200);
  }
  for (const value of ['place', 'too-many']) await api.post({ token: value });
  expect((await api.read({ sid: 'planted' })).status).toBe(204);
  expect((await api.read({ sid: 'filled' })).body).toMatchObject({ value: 'first', distinct: 1 });
  expect((await api.read({ sid: 'cancelled' })).status).toBe(410);
  expect((await api.read({ sid: 'open' })).body).toMatchObject({ value: 'genuine' });
  expect((await api.claim('a', { kind: 'token' })).body).toMatchObject({ value: 'place' });
  expect((await api.claim('b', { kind: 'token' })).status).toBe(204);
});

describe('a rolling update on one Redis', () => {
  const ACTORS = 6;
  const OPERATIONS_BETWEEN = 150;

  async function startPlayers(accept: string): Promise<[Player, Player]> {
    const redis = await ownRedis();
    const players = [];
    for (let count = 0; count < 2; count++) {
      const player = await Player.start(redis, 900, accept, OLD);
      ends.push(() => player.stop());
      players.push(player);
    }
    return players as [Player, Player];
  }

  test.each(['any', 'expected'])('loses no token and hands none out twice, ACCEPT=%s', async (accept) => {
    const players = await startPlayers(accept);
    const history = newHistory();
    const over = new AbortController();
    const recent: [] = [];
    const seed = 19;
    const cast = Promise.all(
      Array.from({ length: ACTORS }, (_, at) =>
        new Actor(`x${at}`, players, history, new Random(seed + at), recent, accept === 'expected').act(over.signal),
      ),
    );
    const operations = (): number => [...history.counts.values()].reduce((sum, one) => sum + one, 0);
    const someMore = async (): Promise<void> => {
      const enough = operations() + OPERATIONS_BETWEEN;
      await until(`${OPERATIONS_BETWEEN} operations`, () => operations() >= enough, 120_000);
    };
    try {
      await someMore();
      for (const player of players) {
        await player.replaceBy(CURRENT_MAIN);
        await someMore();
      }
    } finally {
      over.abort();
      await cast;
    }
    expect(check(history, await look(players, history))).toEqual([]);
  });

  test('shows the events of one version to readers of the other', async () => {
    const players = await startPlayers('any');
    await players[1].replaceBy(CURRENT_MAIN);
    const streams = await Promise.all(players.map(({ api }) => EventStream.open(api.at.workerUrl)));
    ends.push(async () => {
      for (const stream of streams) stream.close();
    });
    await until('both follow', () => streams.every(({ text }) => text !== ''));
    for (const [at, { api }] of players.entries()) {
      const sid = `posted-at-${at}`;
      // The first events may be sent before the other has subscribed.
      await until('the event comes', async () => {
        await api.post({ seid: randomBytes(32).toString('hex'), sid }, '/loja1');
        return streams.every(({ events }) => events.some(({ name, data }) => name === 'post' && data.sid === sid));
      });
    }
  });
});
