/** Redis loses what it had acknowledged: all posts come back from the local journals. */
import { randomBytes } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { Instance } from '../support/instance.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startCluster } from '../support/redis-cluster.ts';
import { startSentinel } from '../support/redis-sentinel.ts';
import { until } from '../support/until.ts';

const value = (): string => randomBytes(32).toString('hex');
const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => at);

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});
async function start(url: string, env?: Record<string, string>): Promise<Instance> {
  const instance = await Instance.start(url, env);
  stops.push(() => instance.stop());
  return instance;
}

/** Posts, at two instances in turn: half with a correlator, half for the pool. */
async function post(instances: Instance[], count: number, name: string, path?: string): Promise<Map<string, string>> {
  const posted = new Map<string, string>();
  await Promise.all(
    numbers(count).map(async (at) => {
      const [seid, token] = [value(), value()];
      const instance = instances[at % instances.length] as Instance;
      const answers = [
        await instance.post({ seid, merchant_data: `${name}${at}` }, path),
        await instance.post({ token }, path),
      ];
      expect(answers.map(({ status }) => status)).toEqual([200, 200]);
      posted.set(`${name}${at}`, seid).set(token, token);
    }),
  );
  return posted;
}

/** Reads each correlator at one instance, and empties the pool at both: nothing is missing, nothing is twice. */
async function expectAll(instances: Instance[], posted: Map<string, string>, merchant = 'default'): Promise<void> {
  const [first, second] = instances as [Instance, Instance];
  const pooled = [...posted].filter(([name, token]) => name === token).map(([name]) => name);
  for (const [name, seid] of posted) {
    if (name === seid) continue;
    const read = await second.read({ merchant_data: name, merchant, wait: 5 });
    expect(read).toMatchObject({ status: 200, body: { value: seid, distinct: 1 } });
  }
  const given = await Promise.all(
    pooled.map(async (_, at) => {
      const claim = { kind: 'token', merchant, wait: 5, lease: 600 };
      const { body } = await (at % 2 === 0 ? first : second).claim(`all-${at}`, claim);
      return body?.['value'];
    }),
  );
  expect(new Set(given)).toEqual(new Set(pooled));
  expect((await second.claim('none', { kind: 'token', merchant })).status).toBe(204);
}

it('restores posts, claims and uses when a stand-alone Redis restarts without its data', async () => {
  const redis = await startRedis({ config: { appendonly: 'no' } });
  stops.push(() => redis.stop());
  const [a, b] = [await start(redis.url), await start(redis.url)];
  const posted = await post([a, b], 20, 'x');
  const [used, byId, held] = [value(), value(), value()];
  await a.post({ seid: used, merchant_data: 'used' });
  await a.post({ seid: byId, merchant_data: 'by-id' });
  await a.post({ seid: held, merchant_data: 'held' });
  // Used and claimed at the instance that did not get the post.
  await b.claim('u', { merchant_data: 'used' });
  expect((await a.used('u')).status).toBe(204);
  const id = String((await b.read({ merchant_data: 'by-id' })).body?.['id']);
  expect((await b.use(id)).status).toBe(204);
  await b.claim('h', { merchant_data: 'held', lease: 600 });

  await redis.kill();
  await redis.restart();
  expect(await redis.command('EXISTS', 'carat:{default}:probe')).toBeTypeOf('number');
  await until('everything is back', async () => Number(await redis.command('DBSIZE')) > 60);
  await a.settled();
  await b.settled();
  await expectAll([a, b], posted);
  expect((await a.read({ merchant_data: 'used' })).status).toBe(410);
  await until('the use is back', async () => (await a.read({ merchant_data: 'by-id' })).status === 410);
  expect((await a.claim('x', { merchant_data: 'held' })).body).toMatchObject({ code: 'claimed', claim_id: 'h' });
  expect((await a.used('h')).status).toBe(204);
});

it('Sentinel: restores posts that a master acknowledged without its replicas before it died', async () => {
  const sentinel = await startSentinel();
  stops.push(() => sentinel.stop());
  const [a, b] = [await start(sentinel.url), await start(sentinel.url)];
  await a.settled();
  await b.settled();
  const master = await sentinel.master();
  const replicas = sentinel.servers.filter((server) => server !== master);
  // From here on, nothing reaches the replicas: only the master has what it acknowledges.
  for (const replica of replicas) replica.hang();
  const lost = await post([a, b], 30, 'lost');
  expect(a.told('store_away') + b.told('store_away')).toBe(0);
  await master.kill();
  for (const replica of replicas) replica.resume();
  const during = await post([a, b], 10, 'during');
  await until('a replica is promoted', async () => (await sentinel.master()) !== master);
  await a.settled();
  await b.settled();
  const promoted = await sentinel.master();
  expect(promoted.port).not.toBe(master.port);
  await expectAll([a, b], new Map([...lost, ...during]));
});

it('Cluster: keeps and restores the posts of all merchants when a master is killed under load', async () => {
  const cluster = await startCluster();
  stops.push(() => cluster.stop());
  const merchants = numbers(12).map((at) => `loja${at}`);
  const paths = merchants.map((merchant) => `${merchant}=/${merchant}`).join(',');
  const [a, b] = [
    await start(cluster.url, { AUTHENTICITY_PATHS: paths }),
    await start(cluster.url, { AUTHENTICITY_PATHS: paths }),
  ];
  await a.settled();
  await b.settled();
  const masters = await Promise.all(merchants.map((merchant) => cluster.masterOf(`{${merchant}}`)));
  expect(new Set(masters).size).toBe(3);
  const victim = masters[0] as RedisServer;
  const replica = cluster.nodes[cluster.nodes.indexOf(victim) + 3] as RedisServer;
  const posted = new Map<string, Map<string, string>>();
  const load = async (name: string): Promise<void> => {
    await Promise.all(
      merchants.map(async (merchant) => {
        const more = await post([a, b], 3, name, `/${merchant}`);
        posted.set(merchant, new Map([...(posted.get(merchant) ?? []), ...more]));
      }),
    );
  };
  // Workers wait at one instance, for posts that come to the other.
  const waits = merchants.map((merchant) => b.read({ merchant, merchant_data: 'awaited', wait: 45 }));
  replica.hang();
  await load('lost');
  const killed = victim.kill();
  await load('during');
  await killed;
  replica.resume();
  const seids = merchants.map(() => value());
  for (const [at, merchant] of merchants.entries()) {
    const answer = await a.post({ seid: seids[at] as string, merchant_data: 'awaited' }, `/${merchant}`);
    expect(answer.status).toBe(200);
  }
  await load('after');
  await a.settled();
  await b.settled();
  const answers = await Promise.all(waits);
  expect(answers.map(({ status, body }) => [status, body?.['value']])).toEqual(seids.map((seid) => [200, seid]));
  for (const merchant of merchants) await expectAll([a, b], posted.get(merchant) ?? new Map(), merchant);
});
