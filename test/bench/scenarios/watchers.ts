/** What it costs posts that somebody looks on: the same service, in turns with and without. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { runLoad } from '../load/load.ts';
import type { PostsResult } from '../load/posts.ts';
import type { WatchResult } from '../load/watch.ts';
import { type Measured, startService } from '../processes.ts';
import { type Bench, type Figure, type Report, ratio, type Scenario, spread } from '../scenario.ts';

const CONNECTIONS = 64;
const LEAST_RATIO = 0.95;

interface Round {
  perSecond: number;
  cpuMicros: number;
}

async function run(bench: Bench): Promise<Report> {
  const folder = await bench.folder();
  const STORE_URL = (await bench.redis()).url;
  const services = [
    await bench.started(startService('embedded', folder)),
    await bench.started(startService('redis', folder, { STORE_URL })),
  ];
  const rounds = bench.pick(15, 6);
  const seconds = bench.pick(4, 2);
  const figures: Figure[] = [];
  for (const service of services) {
    await measure(service, 2);
    const [without, watched]: [Round[], Round[]] = [[], []];
    for (let round = 0; round < rounds; round++) {
      bench.tell(`${service.name}, round ${round + 1} of ${rounds}`);
      // In turns, which of the two is first as well.
      for (const isWatched of round % 2 === 0 ? [false, true] : [true, false]) {
        if (isWatched) watched.push(await whileWatched(service, () => measure(service, seconds)));
        else without.push(await measure(service, seconds));
      }
    }
    for (const [of, unit] of [
      ['perSecond', 'posts/s'],
      ['cpuMicros', 'µs/post'],
    ] as const) {
      const all = (list: Round[]): number[] => list.map((one) => one[of]);
      const what = of === 'perSecond' ? 'posts' : 'processor time of the service';
      const against = { what: 'nobody looks', ratio: ratio(all(watched), all(without)) };
      const goal = { text: `≥ ${LEAST_RATIO} of that`, met: against.ratio.median >= LEAST_RATIO };
      figures.push({ what: `${service.name}, nobody looks: ${what}`, unit, ...spread(all(without)) });
      figures.push({
        what: `${service.name}, watched: ${what}`,
        unit,
        ...spread(all(watched)),
        against,
        ...(of === 'perSecond' ? { goal } : {}),
      });
    }
  }
  const notes = [
    `${CONNECTIONS} connections post as fast as they are answered. Watched: a reader of /v1/events, /metrics each second, and the page as a browser has it open (its own stream, and the page again each second).`,
    'Whoever looks on runs on the same machine: where the processors are few, what that costs is part of the posts/s, and not of the processor time of the service.',
  ];
  return { figures, notes };
}

/** Runs something while a process of its own looks on. */
async function whileWatched<T>({ name, workerPort }: Measured, run: () => Promise<T>): Promise<T> {
  const script = join(import.meta.dirname, '..', 'load', 'watch.ts');
  const args = ['--import', 'tsx', script, JSON.stringify({ port: workerPort })];
  const watcher = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  try {
    const lines = createInterface({ input: watcher.stdout });
    await once(lines, 'line');
    const answer = await run();
    watcher.stdin.end();
    const [line] = await once(lines, 'line');
    const { streamed, scrapes, pages } = JSON.parse(line) as WatchResult;
    if (streamed < 10_000 || scrapes === 0 || pages === 0) throw new Error(`${name} was not watched: ${line}`);
    return answer;
  } finally {
    watcher.kill('SIGKILL');
  }
}

async function measure(service: Measured, seconds: number): Promise<Round> {
  const cpu = service.cpuSeconds();
  const load = { port: service.postPort, connections: CONNECTIONS, seconds };
  const result = await runLoad<PostsResult>('posts', load);
  if (result.failed > 0)
    throw new Error(`${service.name} answered ${result.failed} posts with something else than 200`);
  return {
    perSecond: result.posts / result.seconds,
    cpuMicros: ((service.cpuSeconds() - cpu) * 1e6) / result.posts,
  };
}

export const watchers: Scenario = { name: 'watchers', title: 'What it costs that somebody looks on', run };
