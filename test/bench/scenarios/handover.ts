/** The time from the send of a post until its waiting worker has the token. */
import { join } from 'node:path';
import type { HandoverResult } from '../load/handover.ts';
import { runLoad } from '../load/load.ts';
import { type Measured, startPeer, startService } from '../processes.ts';
import { type Bench, type Figure, type Plot, type Report, ratio, type Scenario, spread } from '../scenario.ts';

interface Case {
  waiting: number;
  rate: number;
}

type Percentile = 'p50' | 'p99';

interface Path {
  name: string;
  postPort: number;
  workerPort: number;
}

const WHOLE: Case[] = [
  { waiting: 100, rate: 100 },
  { waiting: 100, rate: 500 },
  { waiting: 100, rate: 2000 },
  { waiting: 1000, rate: 500 },
  { waiting: 19_000, rate: 500 },
];
const QUICK: Case[] = [
  { waiting: 100, rate: 100 },
  { waiting: 1000, rate: 500 },
];
/** Maximum ratio to the peer, by path and percentile, and the cases of the goal. */
interface Goal {
  peer: string;
  p50: number;
  p99: number;
  applies(one: Case): boolean;
}

const FLOOR = 'floor, synced';
const BLPOP = 'BLPOP per worker';
const PLAIN_LEVEL = 'plain, LevelDB';
const PLAIN_REDIS = 'plain, Redis, two instances';
const EMBEDDED = 'embedded';
const REDIS = 'redis, two instances';
const GOALS: Record<string, Goal[]> = {
  [EMBEDDED]: [
    { peer: FLOOR, p50: 1.3, p99: 2, applies: ({ waiting, rate }) => waiting <= 1000 && rate <= 500 },
    { peer: PLAIN_LEVEL, p50: 0.9, p99: Number.POSITIVE_INFINITY, applies: () => true },
  ],
  [REDIS]: [
    { peer: BLPOP, p50: 1, p99: 1, applies: ({ waiting, rate }) => waiting === 100 && rate === 100 },
    { peer: PLAIN_REDIS, p50: 0.7, p99: Number.POSITIVE_INFINITY, applies: () => true },
  ],
};
/** Redis does not accept a connection per worker for this many workers. */
const MOST_BLPOP = 1000;

async function run(bench: Bench): Promise<Report> {
  const FOLDER = await bench.folder();
  const redis = await bench.redis();
  const REDIS_PORT = String(redis.port);
  const service = (name: string, env: Record<string, string> = {}): Promise<Measured> =>
    bench.started(startService(name, FOLDER, env));
  const peer = (file: string, env: Record<string, string>): Promise<Measured> =>
    bench.started(startPeer(file, file, { FOLDER, ...env }));
  const path = (name: string, from: Measured, to: Measured = from): Path => ({
    name,
    postPort: from.postPort,
    workerPort: to.workerPort,
  });
  const shared = { STORE_URL: redis.url };
  const paths: Path[] = [
    path(FLOOR, await peer('floor', { FLOOR_FILE: join(FOLDER, 'floor') })),
    path(EMBEDDED, await service('embedded')),
    path(PLAIN_LEVEL, await peer('plain', {})),
    path(REDIS, await service('redis', shared), await service('redis other', shared)),
    path(PLAIN_REDIS, await peer('plain', { REDIS_PORT }), await peer('plain', { REDIS_PORT })),
    path(BLPOP, await peer('alternatives', { HOW: 'blpop', REDIS_PORT })),
  ];
  const rounds = bench.pick(5, 3);
  const seconds = bench.pick(3, 2);
  // Warm up first: at a hundred posts a second, the code would stay cold during a bench, unlike in
  // a service that runs for days.
  for (const path of paths) await measure(path, { waiting: 100, rate: 2000 }, bench.pick(5, 3));

  const figures: Figure[] = [];
  const plots = (['p50', 'p99'] satisfies Percentile[]).map((of) => ({ of, plot: emptyPlot(of, paths) }));
  const few = new Map<string, number[]>();
  for (const one of bench.pick(WHOLE, QUICK)) {
    const taking = paths.filter(({ name }) => name !== BLPOP || one.waiting <= MOST_BLPOP);
    const measured = new Map<string, HandoverResult[]>(taking.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      bench.tell(`${one.waiting} waiting, ${one.rate} posts/s, round ${round + 1} of ${rounds}`);
      for (let i = 0; i < taking.length; i++) {
        const path = taking[(i + round) % taking.length] as Path;
        measured.get(path.name)?.push(await measure(path, one, seconds));
      }
    }
    const all = (name: string, of: Percentile): number[] => (measured.get(name) ?? []).map((got) => got[of]);
    for (const { of, plot } of plots) {
      plot.groups.push(`${one.waiting} / ${one.rate}`);
      for (const [i, { name }] of paths.entries()) {
        const isMeasured = measured.has(name);
        plot.series[i]?.values.push(isMeasured ? spread(all(name, of)) : undefined);
        if (!isMeasured) continue;
        const what = `${name}, ${one.waiting} waiting, ${one.rate} posts/s, ${of}`;
        figures.push({ what, unit: 'ms', ...spread(all(name, of)) });
        for (const goal of GOALS[name] ?? []) {
          if (!measured.has(goal.peer)) continue;
          const times = ratio(all(name, of), all(goal.peer, of));
          const hasGoal = goal.applies(one) && goal[of] !== Number.POSITIVE_INFINITY;
          figures.push({
            what: `  against ${goal.peer}`,
            unit: '×',
            ...times,
            ...(hasGoal ? { goal: { text: `≤ ${goal[of]} ×`, met: times.median <= goal[of] } } : {}),
          });
        }
        if (of !== 'p50' || one.rate !== 500) continue;
        const before = few.get(name);
        if (before === undefined) few.set(name, all(name, of));
        else figures.push(growth(name, one.waiting, all(name, of), before));
      }
    }
  }
  const notes = [
    `${FLOOR}: node:http and a Map that syncs each post to a file. plain: the service as it is written in a day.`,
    `${BLPOP} keeps nothing on local disk, and loses a token when the worker it was given to dies.`,
    'All of it is measured by one process that is at once Carat and the workers; what it costs is part of every figure.',
    'A process here may open 20,000 files, so 19,000 workers wait and not 20,000.',
  ];
  const files = plots.map(({ of, plot }) => ({ file: `performance-handover-${of}.svg`, plot }));
  return { figures, plots: files, notes };
}

function growth(name: string, waiting: number, many: number[], few: number[]): Figure {
  const times = ratio(many, few);
  return {
    what: `${name}, ${waiting} waiting against fewer, p50`,
    unit: '×',
    ...times,
    ...(name in GOALS ? { goal: { text: '≤ 1.2 × as with 100', met: times.median <= 1.2 } } : {}),
  };
}

async function measure({ name, postPort, workerPort }: Path, one: Case, seconds: number): Promise<HandoverResult> {
  const result = await runLoad<HandoverResult>('handover', { postPort, workerPort, ...one, seconds });
  if (result.handed === 0 || result.failed > 0) {
    throw new Error(`${name}: ${result.handed} tokens handed over, ${result.failed} requests failed`);
  }
  return result;
}

function emptyPlot(of: string, paths: Path[]): Plot {
  const series = paths.map(({ name }) => ({ name, values: [] }));
  return { title: `Post to worker, ${of}, by workers waiting / posts a second`, unit: 'ms', groups: [], series };
}

export const handover: Scenario = { name: 'handover', title: 'Post to worker', run };
