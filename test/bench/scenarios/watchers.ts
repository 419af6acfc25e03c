/** The cost of observers for posts: the same service, alternately with and without them. */
import { createInterface } from 'node:readline';
import { pause, runLoad, startLoad } from '../load/load.ts';
import type { PostsResult } from '../load/posts.ts';
import type { WatchResult } from '../load/watch.ts';
import { type Measured, startService } from '../processes.ts';
import { type Bench, type Figure, type Report, ratio, type Scenario, spread } from '../scenario.ts';

const CONNECTIONS = 64;
const LEAST_RATIO = 0.95;
const MOST_TIMES = 1.05;

/** Posts continue during a switch: the time before a measurement, and its duration. */
const SETTLE_S = 0.3;
const SLICE_S = 2;
const WARM_S = 4;
/** The switch of the watcher takes time, too. */
const MORE_S = 15;

interface Slice {
  /** Milliseconds since 1970. */
  from: number;
  to: number;
  cpuSeconds: number;
}

interface Rate {
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
  const rounds = bench.pick(40, 10);
  const figures: Figure[] = [];
  for (const service of services) {
    const { without, watched } = await inTurns(bench, service, rounds);
    for (const [of, unit] of [
      ['perSecond', 'posts/s'],
      ['cpuMicros', 'µs/post'],
    ] as const) {
      const all = (list: Rate[]): number[] => list.map((one) => one[of]);
      const what = of === 'perSecond' ? 'posts' : 'processor time of the service';
      const against = { what: 'nobody looks', ratio: ratio(all(watched), all(without)) };
      const goal =
        of === 'perSecond'
          ? { text: `≥ ${LEAST_RATIO} of that`, met: against.ratio.median >= LEAST_RATIO }
          : { text: `≤ ${MOST_TIMES} × that`, met: against.ratio.median <= MOST_TIMES };
      figures.push({ what: `${service.name}, nobody looks: ${what}`, unit, ...spread(all(without)) });
      figures.push({
        what: `${service.name}, watched: ${what}`,
        unit,
        ...spread(all(watched)),
        against,
        goal,
      });
    }
  }
  const notes = [
    `${CONNECTIONS} connections post as fast as they are answered. Watched: a reader of /v1/events, /metrics each second, and the page as a browser has it open (its own stream, and the page again each second).`,
    'Whoever looks on runs on the same machine: where the processors are few, what that costs is part of the posts/s, and not of the processor time of the service.',
  ];
  return { figures, notes };
}

/** Continuous posts to one service, alternately with and without observers. */
async function inTurns(bench: Bench, service: Measured, rounds: number): Promise<{ without: Rate[]; watched: Rate[] }> {
  const seconds = WARM_S + rounds * 2 * (SETTLE_S + SLICE_S) + MORE_S;
  const load = runLoad<PostsResult>('posts', { port: service.postPort, connections: CONNECTIONS, seconds });
  const watcher = new Watcher(service);
  const [without, watched]: [Slice[], Slice[]] = [[], []];
  try {
    await pause(WARM_S * 1000);
    for (let round = 0; round < rounds; round++) {
      bench.tell(`${service.name}, round ${round + 1} of ${rounds}`);
      // Alternate the first of the two, too.
      for (const isWatched of round % 2 === 0 ? [false, true] : [true, false]) {
        if (isWatched) await watcher.on();
        await pause(SETTLE_S * 1000);
        const [from, cpuBefore] = [Date.now(), service.cpuSeconds()];
        await pause(SLICE_S * 1000);
        const slice = { from, to: Date.now(), cpuSeconds: service.cpuSeconds() - cpuBefore };
        (isWatched ? watched : without).push(slice);
        if (isWatched) await watcher.off();
      }
    }
  } finally {
    watcher.stop();
  }
  const { failed, progress } = await load;
  if (failed > 0) throw new Error(`${service.name} answered ${failed} posts with something else than 200`);
  const rates = (slices: Slice[]): Rate[] => slices.map((slice) => rateOf(slice, progress));
  return { without: rates(without), watched: rates(watched) };
}

function rateOf({ from, to, cpuSeconds }: Slice, progress: PostsResult['progress']): Rate {
  const within = progress.filter(([at]) => at >= from && at <= to);
  const [[begun, before], [ended, after]] = [within.at(0), within.at(-1)] as [[number, number], [number, number]];
  const perSecond = ((after - before) * 1000) / (ended - begun);
  return { perSecond, cpuMicros: (cpuSeconds * 1e6) / ((perSecond * (to - from)) / 1000) };
}

/** A process that observes the service while it is switched on. */
class Watcher {
  readonly #service: Measured;
  readonly #process: ReturnType<typeof startLoad>;
  readonly #lines: AsyncIterator<string>;

  constructor(service: Measured) {
    this.#service = service;
    this.#process = startLoad('watch', { port: service.workerPort });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  async on(): Promise<void> {
    await this.#tell('on');
  }

  async off(): Promise<void> {
    const line = await this.#tell('off');
    const { streamed, scrapes, pages } = JSON.parse(line) as WatchResult;
    if (streamed < 10_000 || scrapes < 2 || pages < 2)
      throw new Error(`${this.#service.name} was not watched: ${line}`);
  }

  stop(): void {
    this.#process.kill('SIGKILL');
  }

  async #tell(what: 'on' | 'off'): Promise<string> {
    this.#process.stdin.write(`${what}\n`);
    return (await this.#lines.next()).value;
  }
}

export const watchers: Scenario = { name: 'watchers', title: 'What it costs that somebody looks on', run };
