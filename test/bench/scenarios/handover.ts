/** From sending the post until the worker that waits for it holds the token, beside node:http with a Map. */
import { join } from 'node:path';
import type { HandoverResult } from '../load/handover.ts';
import { runLoad } from '../load/load.ts';
import { startPeer, startService } from '../processes.ts';
import { type Bench, type Figure, type Plot, type Report, ratio, type Scenario, spread } from '../scenario.ts';

interface Case {
  waiting: number;
  rate: number;
}

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
const FLOOR = 'floor';
const SYNCED_FLOOR = 'floor, synced';
const EMBEDDED = 'embedded';

async function run(bench: Bench): Promise<Report> {
  const folder = await bench.folder();
  const STORE_URL = (await bench.redis()).url;
  const floor = await bench.started(startPeer(FLOOR, 'floor'));
  const synced = await bench.started(startPeer(SYNCED_FLOOR, 'floor', { FLOOR_FILE: join(folder, 'floor') }));
  const embedded = await bench.started(startService(EMBEDDED, folder));
  const here = await bench.started(startService('redis', folder, { STORE_URL }));
  const there = await bench.started(startService('redis other', folder, { STORE_URL }));
  const paths: Path[] = [
    { name: FLOOR, postPort: floor.postPort, workerPort: floor.workerPort },
    { name: SYNCED_FLOOR, postPort: synced.postPort, workerPort: synced.workerPort },
    { name: EMBEDDED, postPort: embedded.postPort, workerPort: embedded.workerPort },
    { name: 'redis, same instance', postPort: here.postPort, workerPort: here.workerPort },
    { name: 'redis, two instances', postPort: here.postPort, workerPort: there.workerPort },
  ];
  const rounds = bench.pick(5, 3);
  const seconds = bench.pick(3, 2);
  // At a hundred a second nothing would get warm in the time of a bench: a service that runs for days is.
  for (const path of paths) await measure(path, { waiting: 100, rate: 2000 }, bench.pick(5, 3));

  const figures: Figure[] = [];
  const plots = (['p50', 'p99'] as const).map((of) => ({ of, plot: emptyPlot(of, paths) }));
  const few = new Map<string, number[]>();
  for (const one of bench.pick(WHOLE, QUICK)) {
    const measured = new Map<string, HandoverResult[]>(paths.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      bench.tell(`${one.waiting} waiting, ${one.rate} posts/s, round ${round + 1} of ${rounds}`);
      for (let i = 0; i < paths.length; i++) {
        const path = paths[(i + round) % paths.length] as Path;
        measured.get(path.name)?.push(await measure(path, one, seconds));
      }
    }
    const all = (name: string, of: 'p50' | 'p99'): number[] => (measured.get(name) ?? []).map((got) => got[of]);
    for (const { of, plot } of plots) {
      plot.groups.push(`${one.waiting} / ${one.rate}`);
      for (const [i, { name }] of paths.entries()) {
        const got = spread(all(name, of));
        plot.series[i]?.values.push(got);
        const times = ratio(all(name, of), all(FLOOR, of));
        const goal = of === 'p50' ? 1.5 : 2;
        figures.push({
          what: `${name}, ${one.waiting} waiting, ${one.rate} posts/s, ${of}`,
          unit: 'ms',
          ...got,
          ...(name.startsWith(FLOOR)
            ? {}
            : {
                against: { what: FLOOR, ratio: times },
                goal: { text: `≤ ${goal} × floor`, met: times.median <= goal },
              }),
        });
        if (name === EMBEDDED) {
          // The floor that promises as much.
          figures.push({
            what: `${name} against ${SYNCED_FLOOR}, ${one.waiting} waiting, ${one.rate} posts/s, ${of}`,
            unit: '×',
            ...ratio(all(name, of), all(SYNCED_FLOOR, of)),
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
    `${FLOOR} keeps posts in memory only; ${SYNCED_FLOOR} syncs them to disk before it answers Carat.`,
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
    ...(name.startsWith(FLOOR) ? {} : { goal: { text: '≤ 1.5 × as with 100', met: times.median <= 1.5 } }),
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
