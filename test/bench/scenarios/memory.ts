/** The memory of a waiter, a stored token and an idle service, and the time of a start. */
import { once } from 'node:events';
import { join } from 'node:path';
import { pause, runLoad, startLoad } from '../load/load.ts';
import type { PostsResult } from '../load/posts.ts';
import { type Measured, startPeer, startService } from '../processes.ts';
import { type Bench, type Figure, type Report, type Scenario, spread } from '../scenario.ts';

/** V8 shrinks the heap of a process after about ten idle seconds. */
const IDLE_MS = 20_000;
const GC = ['--expose-gc', '--max-semi-space-size=16', '--require', join(import.meta.dirname, '..', 'collect.cjs')];

async function run(bench: Bench): Promise<Report> {
  const folder = await bench.folder();
  const redis = await bench.redis();
  const figures: Figure[] = [];
  const settings: [string, Record<string, string>][] = [
    ['embedded', {}],
    ['redis', { STORE_URL: redis.url }],
  ];
  const waiting = bench.pick(10_000, 2000);
  for (const [name, env] of settings) {
    bench.tell(`${name}: starting and idle`);
    const starts: number[] = [];
    const fresh: number[] = [];
    const idle: number[] = [];
    for (let round = 0; round < bench.pick(7, 3); round++) {
      const service = await startService(name, folder, env);
      await pause(1000);
      starts.push(service.startMs);
      fresh.push(service.residentBytes() / 1e6);
      if (round < bench.pick(3, 1)) {
        await pause(IDLE_MS);
        idle.push(service.residentBytes() / 1e6);
      }
      await service.stop();
    }
    const start = spread(starts);
    figures.push({
      what: `${name}: start of the process to listening`,
      unit: 'ms',
      ...start,
      goal: { text: '< 500 ms', met: start.median < 500 },
    });
    figures.push({ what: `${name}: resident memory, a second after the start`, unit: 'MB', ...spread(fresh) });
    const rss = spread(idle);
    figures.push({
      what: `${name}: resident memory, idle for 20 s`,
      unit: 'MB',
      ...rss,
      goal: { text: '< 80 MB', met: rss.median < 80 },
    });

    bench.tell(`${name}: ${waiting} waiters`);
    const perWaiter = spread(
      await repeated(bench, () => memoryOfWaiters(() => startService(name, folder, env, GC), waiting)),
    );
    figures.push({
      what: `${name}: memory per waiter, of ${waiting}, its connection and request with it`,
      unit: 'KB',
      ...perWaiter,
      goal: { text: '≤ 10 KB', met: perWaiter.median <= 10 },
    });
    const tokens = bench.pick(100_000, 20_000);
    bench.tell(`${name}: ${tokens} tokens`);
    const used = await repeatedPairs(bench, async () => {
      await redis.command('FLUSHALL');
      return memoryOfTokens(name, folder, env, tokens, async () =>
        Number((await redis.info('memory')).get('used_memory')),
      );
    });
    figures.push({
      what: `${name}: memory per kept token, of ${tokens}`,
      unit: 'KB',
      ...spread(used.map(([here]) => here)),
    });
    if (name === 'redis') {
      figures.push({
        what: 'redis: memory per kept token in Redis',
        unit: 'KB',
        ...spread(used.map(([, there]) => there)),
      });
    }
  }
  bench.tell(`node:http: ${waiting} waiters`);
  const bare = await repeated(bench, () => memoryOfWaiters(() => startPeer('floor', 'floor', {}, GC), waiting));
  figures.push({
    what: `node:http with a Map: memory per waiter, of ${waiting}, its connection and request`,
    unit: 'KB',
    ...spread(bare),
  });
  return {
    figures,
    notes: ['Memory is resident memory, after garbage was collected, against that of the idle service.'],
  };
}

function repeated(bench: Bench, once: () => Promise<number>): Promise<number[]> {
  return repeatedPairs(bench, once);
}

async function repeatedPairs<T>(bench: Bench, once: () => Promise<T>): Promise<T[]> {
  const all: T[] = [];
  for (let round = 0; round < bench.pick(3, 1); round++) all.push(await once());
  return all;
}

async function collected(service: Measured): Promise<number> {
  process.kill(service.pid, 'SIGUSR2');
  await pause(1500);
  return service.residentBytes();
}

async function memoryOfWaiters(start: () => Promise<Measured>, waiting: number): Promise<number> {
  const service = await start();
  try {
    // The first use of a code path costs more than later ones.
    await runLoad('handover', { ...service, waiting: 100, rate: 100, seconds: 1 });
    const before = await collected(service);
    const parked = startLoad('park', { port: service.workerPort, waiting });
    await once(parked.stdout, 'data');
    const after = await collected(service);
    parked.kill('SIGKILL');
    return (after - before) / waiting / 1000;
  } finally {
    await service.stop();
  }
}

async function memoryOfTokens(
  name: string,
  folder: string,
  env: Record<string, string>,
  tokens: number,
  inRedis: () => Promise<number>,
): Promise<[number, number]> {
  const service = await startService(name, folder, env, GC);
  try {
    const load = { port: service.postPort, connections: 64, seconds: 600 };
    await runLoad<PostsResult>('posts', { ...load, most: 1000 });
    const before = [await collected(service), await inRedis()] as const;
    const { posts } = await runLoad<PostsResult>('posts', { ...load, most: tokens });
    const after = [await collected(service), await inRedis()] as const;
    return [(after[0] - before[0]) / posts / 1000, (after[1] - before[1]) / posts / 1000];
  } finally {
    await service.stop();
  }
}

export const memory: Scenario = { name: 'memory', title: 'Memory and start', run };
