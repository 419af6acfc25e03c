/** The hand-over compared with alternatives that a user could build on the same Redis. */
import { fetched, newerNode } from '../fetched.ts';
import type { HandoverResult } from '../load/handover.ts';
import { runLoad } from '../load/load.ts';
import { cpuSecondsOf, type Measured, startPeer, startService } from '../processes.ts';
import { type Bench, type Figure, type Plot, type Report, ratio, type Scenario, spread } from '../scenario.ts';

interface Measurement {
  p50: number;
  p99: number;
  /** Processor time of the process and of Redis for each hand-over. */
  micros: number;
}

async function run(bench: Bench): Promise<Report> {
  const folder = await bench.folder();
  const redis = await bench.redis();
  const REDIS_PORT = String(redis.port);
  const ours = await bench.started(startService('ours, on Redis', folder, { STORE_URL: redis.url }));
  const servers: Measured[] = [ours];
  for (const [name, HOW] of [
    ['polling each 250 ms', 'polling'],
    ['a BLPOP connection each', 'blpop'],
  ] as const) {
    servers.push(await bench.started(startPeer(name, 'alternatives', { HOW, REDIS_PORT })));
  }
  const missing: string[] = [];
  for (const [name, start] of [
    [
      "BullMQ's waitUntilFinished",
      async (name: string) =>
        startPeer(name, 'bullmq', { REDIS_PORT, MODULES: await fetched('bullmq', ['bullmq@6', 'ioredis@5']) }),
    ],
    [
      "Restate's awakeables",
      async (name: string) => {
        const MODULES = await fetched('restate', ['@restatedev/restate-server@1', '@restatedev/restate-sdk@1']);
        return startPeer(name, 'restate', { MODULES, RESTATE_LOGGING: 'ERROR' }, [], await newerNode());
      },
    ],
  ] as const) {
    bench.tell(`fetching what ${name} needs`);
    try {
      servers.push(await bench.started(start(name)));
    } catch (error) {
      missing.push(`Not measured: ${name}, which could not be had: ${(error as Error).message.split('\n')[0]}`);
    }
  }
  const figures: Figure[] = [];
  const plot: Plot = { title: 'Post to worker, median, by workers waiting', unit: 'ms', groups: [], series: [] };
  for (const { name } of servers) plot.series.push({ name, values: [] });
  const rounds = bench.pick(5, 2);
  for (const waiting of bench.pick([100, 1000], [100])) {
    const measured = new Map<string, Measurement[]>(servers.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      bench.tell(`${waiting} waiting, round ${round + 1} of ${rounds}`);
      for (let i = 0; i < servers.length; i++) {
        const server = servers[(i + round) % servers.length] as Measured;
        measured.get(server.name)?.push(await measure(server, redis.pid, waiting));
      }
    }
    plot.groups.push(`${waiting}`);
    const all = (name: string, of: keyof Measurement): number[] => (measured.get(name) ?? []).map((one) => one[of]);
    for (const [i, { name }] of servers.entries()) {
      plot.series[i]?.values.push(spread(all(name, 'p50')));
      for (const [of, unit] of [
        ['p50', 'ms'],
        ['p99', 'ms'],
        ['micros', 'µs'],
      ] as const) {
        figures.push({
          what: `${name}, ${waiting} waiting: ${of === 'micros' ? 'processor time a hand-over, with Redis' : of}`,
          unit,
          ...spread(all(name, of)),
          ...(server(name) ? {} : { against: { what: 'ours', ratio: ratio(all(name, of), all(ours.name, of)) } }),
        });
      }
    }
  }
  return {
    figures,
    plots: [{ file: 'performance-alternatives.svg', plot }],
    notes: [
      'Not the same promises: only ours has also synced the post to its own disk, looks who may have it, and remembers what was used. BLPOP loses a token when the worker that popped it dies.',
      'Restate keeps what it is told in a log of its own, without Redis, and runs on Node 24.',
      'All at 100 posts/s.',
      ...missing,
    ],
  };

  function server(name: string): boolean {
    return name === ours.name;
  }
}

async function measure(server: Measured, redisPid: number, waiting: number): Promise<Measurement> {
  const before = server.cpuSeconds() + cpuSecondsOf(redisPid);
  const load = { postPort: server.postPort, workerPort: server.workerPort, waiting, rate: 100, seconds: 3 };
  const { handed, p50, p99 } = await runLoad<HandoverResult>('handover', load);
  if (handed === 0) throw new Error(`${server.name} handed nothing over`);
  return { p50, p99, micros: ((server.cpuSeconds() + cpuSecondsOf(redisPid) - before) * 1e6) / handed };
}

export const alternatives: Scenario = { name: 'alternatives', title: 'What one would build instead', run };
