/** The cost of one post and one hand-over in Redis: processor time, calls, commands and bytes. */
import type { RedisServer } from '../../support/redis.ts';
import type { HandoverResult } from '../load/handover.ts';
import { pause, runLoad } from '../load/load.ts';
import type { PipelineResult } from '../load/pipeline.ts';
import type { PostsResult } from '../load/posts.ts';
import { startService } from '../processes.ts';
import { type Bench, type Figure, type Report, ratio, type Scenario, spread } from '../scenario.ts';

interface Cost {
  calls: number;
  commands: number;
  bytesIn: number;
  bytesOut: number;
  micros: number;
}

/** Maximum time of Redis' main thread for a post, as a multiple of three plain commands. */
const MOST_CPU_TIMES = 1.8;

async function run(bench: Bench): Promise<Report> {
  const folder = await bench.folder();
  const redis = await bench.redis();
  const STORE_URL = redis.url;
  const here = await bench.started(startService('redis', folder, { STORE_URL }));
  const there = await bench.started(startService('redis other', folder, { STORE_URL }));
  const figures: Figure[] = [];
  const idleSeconds = bench.pick(5, 1);
  const idle = await costOf(redis, () => pause(idleSeconds * 1000));
  for (const connections of [1, 64]) {
    bench.tell(`posts on ${connections} connections`);
    let posts = 0;
    let seconds = 0;
    const cost = await costOf(redis, async () => {
      const result = await runLoad<PostsResult>('posts', {
        port: here.postPort,
        connections,
        seconds: bench.pick(3, 1),
      });
      ({ posts, seconds } = result);
    });
    figures.push(...figuresOf(`a post, ${connections} connections`, cost, idle, seconds / idleSeconds, posts));
  }
  bench.tell('hand-overs');
  const load = {
    postPort: here.postPort,
    workerPort: there.workerPort,
    waiting: 100,
    rate: 200,
    seconds: bench.pick(3, 1),
  };
  let handed = 0;
  const cost = await costOf(redis, async () => {
    handed = (await runLoad<HandoverResult>('handover', load)).handed;
  });
  // Includes the post, and the read that started the worker's wait.
  figures.push(
    ...figuresOf(
      'a post, wait and hand-over between two instances',
      cost,
      idle,
      bench.pick(4.5, 2.5) / idleSeconds,
      handed,
    ),
  );
  figures.push(...(await cpuFigures(bench, redis, here.postPort)));
  return {
    figures,
    notes: [
      'Processor time is that of the main thread, in turns: posts on 64 connections, and as many at a time of HSET, PEXPIRE and PUBLISH in one pipeline.',
      'What the services send while idle (their checks, twice a second each or less) is taken off.',
    ],
  };
}

async function cpuFigures(bench: Bench, redis: RedisServer, port: number): Promise<Figure[]> {
  const micros: Record<'post' | 'pipeline', number[]> = { post: [], pipeline: [] };
  const rounds = bench.pick(7, 3);
  const load = { connections: 64, seconds: bench.pick(2, 1) };
  for (let round = 0; round < rounds; round++) {
    bench.tell(`processor time, round ${round + 1} of ${rounds}`);
    for (const what of round % 2 === 0 ? (['post', 'pipeline'] as const) : (['pipeline', 'post'] as const)) {
      const before = await mainThreadSeconds(redis);
      const { posts } =
        what === 'post'
          ? await runLoad<PostsResult>('posts', { port, ...load })
          : await runLoad<PipelineResult>('pipeline', { port: redis.port, ...load });
      micros[what].push((((await mainThreadSeconds(redis)) - before) * 1e6) / posts);
    }
  }
  const times = ratio(micros.post, micros.pipeline);
  return [
    { what: "HSET, PEXPIRE and PUBLISH: Redis' processor time", unit: 'µs', ...spread(micros.pipeline) },
    {
      what: "a post, 64 connections: Redis' processor time",
      unit: 'µs',
      ...spread(micros.post),
      against: { what: 'those three commands', ratio: times },
      goal: { text: `≤ ${MOST_CPU_TIMES} × those three`, met: times.median <= MOST_CPU_TIMES },
    },
  ];
}

async function mainThreadSeconds(redis: RedisServer): Promise<number> {
  const cpu = await redis.info('cpu');
  return Number(cpu.get('used_cpu_user_main_thread')) + Number(cpu.get('used_cpu_sys_main_thread'));
}

async function costOf(redis: RedisServer, doing: () => Promise<unknown>): Promise<Cost> {
  const before = await sample(redis);
  await doing();
  const after = await sample(redis);
  const cost = { ...after };
  for (const key of Object.keys(cost) as (keyof Cost)[]) cost[key] -= before[key];
  return cost;
}

async function sample(redis: RedisServer): Promise<Cost> {
  const stats = await redis.info('stats');
  const commands = [...(await redis.info('commandstats'))];
  const number = (text: string, name: string): number => Number(new RegExp(`${name}=([\\d.]+)`).exec(text)?.[1] ?? 0);
  const scripts = commands.filter(([name]) => name === 'cmdstat_evalsha' || name === 'cmdstat_get');
  return {
    calls: scripts.reduce((sum, [, text]) => sum + number(text, 'calls'), 0),
    micros: scripts.reduce((sum, [, text]) => sum + number(text, 'usec'), 0),
    commands: commands.reduce((sum, [, text]) => sum + number(text, 'calls'), 0),
    bytesIn: Number(stats.get('total_net_input_bytes')),
    bytesOut: Number(stats.get('total_net_output_bytes')),
  };
}

function figuresOf(what: string, cost: Cost, idle: Cost, idleTimes: number, count: number): Figure[] {
  const each = (of: keyof Cost): number => Math.max(0, cost[of] - idle[of] * idleTimes) / count;
  const figure = (name: string, unit: string, value: number): Figure => ({
    what: `${what}: ${name}`,
    unit,
    median: value,
    least: value,
    most: value,
  });
  return [
    figure('calls', 'calls', each('calls')),
    figure('commands run, those inside scripts with them', 'commands', each('commands')),
    figure('bytes to Redis', 'bytes', each('bytesIn')),
    figure('bytes from Redis', 'bytes', each('bytesOut')),
    figure("Redis' own time", 'µs', each('micros')),
  ];
}

export const redisCost: Scenario = { name: 'redis-cost', title: 'Redis calls and bytes', run };
