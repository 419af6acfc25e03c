/**
 * Stored posts per second and their processor time, compared with bare Fastify and with the plain
 * service.
 */
import { randomBytes } from 'node:crypto';
import { runLoad } from '../load/load.ts';
import type { PostsResult } from '../load/posts.ts';
import { type Measured, startPeer, startService } from '../processes.ts';
import { type Bench, type Figure, type Plot, type Report, ratio, type Scenario, spread } from '../scenario.ts';

/** Maximum processor time of a post, as a multiple of bare Fastify's. */
const CPU_GOALS: Record<string, number> = { embedded: 1.8, redis: 2.4 };
/** Minimum posts per second: those of the peer on the same store. */
const PEERS: Record<string, string> = { embedded: 'plain, LevelDB', redis: 'plain, Redis' };
/**
 * The goals apply here: enough connections for concurrent posts, and as few as a busy Carat opens.
 */
const GOAL_CONNECTIONS = 64;

interface Round {
  perSecond: number;
  cpuMicros: number;
  p50: number;
  p99: number;
}

async function run(bench: Bench): Promise<Report> {
  const folder = await bench.folder();
  const redis = await bench.redis();
  const STORE_URL = redis.url;
  const REDIS_PORT = String(redis.port);
  const FOLDER = folder;
  const ENCRYPTION_KEYS = randomBytes(32).toString('base64');
  const servers = [
    await bench.started(startPeer('bare', 'bare')),
    await bench.started(startPeer('plain, LevelDB', 'plain', { FOLDER })),
    await bench.started(startPeer('plain, Redis', 'plain', { FOLDER, REDIS_PORT })),
    await bench.started(startService('redis', folder, { STORE_URL })),
    await bench.started(startService('embedded', folder)),
    await bench.started(startService('redis sealed', folder, { STORE_URL, ENCRYPTION_KEYS })),
    await bench.started(startService('embedded sealed', folder, { ENCRYPTION_KEYS })),
  ];
  const counts = bench.pick([1, 16, 64, 256], [64]);
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
      const peer = PEERS[name] ?? 'bare';
      const rate = { what: peer, ratio: ratio(all(name, 'perSecond'), all(peer, 'perSecond')) };
      const cpu = { what: 'bare', ratio: ratio(all(name, 'cpuMicros'), all('bare', 'cpuMicros')) };
      const hasGoal = connections === GOAL_CONNECTIONS && name in PEERS;
      const most = CPU_GOALS[name] ?? 0;
      figures.push({
        what,
        unit: 'posts/s',
        ...perSecond,
        ...(name === 'bare' ? {} : { against: rate }),
        ...(hasGoal ? { goal: { text: `≥ 1.0 × ${peer}`, met: rate.ratio.median >= 1 } } : {}),
      });
      figures.push({
        what: `${what}: processor time`,
        unit: 'µs/post',
        ...spread(all(name, 'cpuMicros')),
        ...(name === 'bare' ? {} : { against: cpu }),
        ...(hasGoal ? { goal: { text: `≤ ${most} × bare`, met: cpu.ratio.median <= most } } : {}),
      });
      figures.push({ what: `${what}: answered within, p50`, unit: 'ms', ...spread(all(name, 'p50')) });
      figures.push({ what: `${what}: answered within, p99`, unit: 'ms', ...spread(all(name, 'p99')) });
    }
  }
  const notes = [
    'bare keeps nothing. plain is the service as it is written in a day. embedded has synced each post to disk before it answers; redis has it in Redis (appendfsync everysec) and in its journal on local disk.',
    'The service writes its log line for each post, to a file; so does plain, and bare logs nothing.',
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
