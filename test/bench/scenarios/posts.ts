/** How many posts a second are kept, beside servers that keep nothing. */
import { randomBytes } from 'node:crypto';
import { runLoad } from '../load/load.ts';
import type { PostsResult } from '../load/posts.ts';
import { type Measured, startPeer, startService } from '../processes.ts';
import { type Bench, type Figure, type Plot, type Report, ratio, type Scenario, spread } from '../scenario.ts';

const GOALS: Record<string, number> = { redis: 0.9, embedded: 0.8, 'redis sealed': 0.75, 'embedded sealed': 0.75 };
/** What the goals are held against: enough connections that posts come together, as few as a busy Carat would open. */
const GOAL_CONNECTIONS = 64;

interface Round {
  perSecond: number;
  cpuMicros: number;
  p50: number;
  p99: number;
}

async function run(bench: Bench): Promise<Report> {
  const folder = await bench.folder();
  const STORE_URL = (await bench.redis()).url;
  const ENCRYPTION_KEYS = randomBytes(32).toString('base64');
  const servers = [
    await bench.started(startPeer('bare', 'bare')),
    await bench.started(startPeer('node:http', 'node-http')),
    await bench.started(startService('redis', folder, { STORE_URL })),
    await bench.started(startService('embedded', folder)),
    await bench.started(startService('redis sealed', folder, { STORE_URL, ENCRYPTION_KEYS })),
    await bench.started(startService('embedded sealed', folder, { ENCRYPTION_KEYS })),
  ];
  const counts = bench.pick([1, 16, 64, 256], [1, 64]);
  const rounds = bench.pick(7, 3);
  const seconds = bench.pick(2, 1);
  for (const server of servers) await measure(server, 64, 1);

  const figures: Figure[] = [];
  const plot: Plot = { title: 'Posts kept per second', unit: 'posts/s', groups: [], series: [] };
  for (const { name } of servers) plot.series.push({ name, values: [] });
  for (const connections of counts) {
    const measured = new Map<string, Round[]>(servers.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      bench.tell(`${connections} connections, round ${round + 1} of ${rounds}`);
      // Each round begins with another server, so that none always runs first.
      for (let i = 0; i < servers.length; i++) {
        const server = servers[(i + round) % servers.length] as Measured;
        measured.get(server.name)?.push(await measure(server, connections, seconds));
      }
    }
    plot.groups.push(`${connections}`);
    const all = (name: string, of: keyof Round): number[] => (measured.get(name) ?? []).map((one) => one[of]);
    for (const [i, { name }] of servers.entries()) {
      const perSecond = spread(all(name, 'perSecond'));
      plot.series[i]?.values.push(perSecond);
      const what = `${name}, ${connections} connections`;
      const against = { what: 'bare', ratio: ratio(all(name, 'perSecond'), all('bare', 'perSecond')) };
      const goal = connections === GOAL_CONNECTIONS ? GOALS[name] : undefined;
      figures.push({
        what,
        unit: 'posts/s',
        ...perSecond,
        ...(name === 'bare' ? {} : { against }),
        ...(goal === undefined ? {} : { goal: { text: `≥ ${goal} of bare`, met: against.ratio.median >= goal } }),
      });
      figures.push({ what: `${what}: processor time`, unit: 'µs/post', ...spread(all(name, 'cpuMicros')) });
      figures.push({ what: `${what}: answered within, p50`, unit: 'ms', ...spread(all(name, 'p50')) });
      figures.push({ what: `${what}: answered within, p99`, unit: 'ms', ...spread(all(name, 'p99')) });
    }
  }
  const notes = [
    'bare and node:http keep nothing. embedded has synced each post to disk before it answers; redis has it in Redis (appendfsync everysec) and in its journal on local disk.',
    'The service writes its log line for each post, to a file; bare and node:http log nothing.',
  ];
  return { figures, plots: [{ file: 'performance-posts.svg', plot }], notes };
}

async function measure(server: Measured, connections: number, seconds: number): Promise<Round> {
  const cpu = server.cpuSeconds();
  const result = await runLoad<PostsResult>('posts', { port: server.postPort, connections, seconds });
  if (result.failed > 0) throw new Error(`${server.name} answered ${result.failed} posts with something else than 200`);
  const cpuMicros = ((server.cpuSeconds() - cpu) * 1e6) / result.posts;
  return { perSecond: result.posts / result.seconds, cpuMicros, p50: result.p50, p99: result.p99 };
}

export const posts: Scenario = { name: 'posts', title: 'Posts per second, kept', run };
