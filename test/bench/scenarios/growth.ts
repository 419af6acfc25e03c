/** The cost of a post with growing numbers of tokens and merchants: it must stay flat. */
import { runLoad } from '../load/load.ts';
import type { PostsResult } from '../load/posts.ts';
import { type Measured, startService } from '../processes.ts';
import { type Bench, type Figure, type Plot, type Report, type Scenario, spread } from '../scenario.ts';

/** Long enough that nothing expires during the run. */
const TTL = { TOKEN_TTL_SECONDS: '7200', LOG_LEVEL: 'warn' };

async function run(bench: Bench): Promise<Report> {
  const folder = await bench.folder();
  const STORE_URL = (await bench.redis()).url;
  const figures: Figure[] = [];
  const living = bench.pick([1000, 10_000, 100_000, 1_000_000], [1000, 10_000]);
  const plot: Plot = { title: 'Processor time of a post, by living tokens', unit: 'µs', groups: [], series: [] };
  for (const [i, [name, env]] of (
    [
      ['embedded', {}],
      ['redis', { STORE_URL }],
    ] as const
  ).entries()) {
    const service = await startService(name, folder, { ...TTL, ...env });
    plot.series.push({ name, values: [] });
    try {
      let there = 0;
      await measure(service, 2, {});
      for (const many of living) {
        bench.tell(`${name}: ${many} living tokens`);
        const { posts } = await runLoad<PostsResult>('posts', {
          port: service.postPort,
          connections: 64,
          seconds: 900,
          most: Math.max(1, many - there),
        });
        there += posts;
        const costs: number[] = [];
        for (let round = 0; round < bench.pick(5, 2); round++) {
          const { micros, posts } = await measure(service, bench.pick(2, 1), {});
          costs.push(micros);
          there += posts;
        }
        figures.push({
          what: `${name}: a post among ${many} living tokens, processor time`,
          unit: 'µs',
          ...spread(costs),
        });
        plot.series[i]?.values.push(spread(costs));
        if (i === 0) plot.groups.push(many.toLocaleString('en'));
      }
    } finally {
      await service.stop();
    }
    for (const merchants of bench.pick([1, 10, 100, 1000], [1, 100])) {
      bench.tell(`${name}: ${merchants} merchants`);
      const paths = Array.from({ length: merchants }, (_, m) => `m${m}=/m${m}`).join(',');
      const many = await startService(name, folder, { ...TTL, ...env, AUTHENTICITY_PATHS: paths });
      try {
        await measure(many, 2, { merchants });
        const costs: number[] = [];
        for (let round = 0; round < bench.pick(5, 2); round++)
          costs.push((await measure(many, 1, { merchants })).micros);
        figures.push({
          what: `${name}: a post among ${merchants} merchants, processor time`,
          unit: 'µs',
          ...spread(costs),
        });
      } finally {
        await many.stop();
      }
    }
  }
  return { figures, plots: [{ file: 'performance-growth.svg', plot }] };
}

async function measure(
  service: Measured,
  seconds: number,
  load: { merchants?: number },
): Promise<{ micros: number; posts: number }> {
  const before = service.cpuSeconds();
  const options = { port: service.postPort, connections: 64, seconds, ...load };
  const { posts, failed } = await runLoad<PostsResult>('posts', options);
  if (failed > 0) throw new Error(`${service.name} did not answer 200 to ${failed} posts`);
  return { micros: ((service.cpuSeconds() - before) * 1e6) / posts, posts };
}

export const growth: Scenario = { name: 'growth', title: 'Cost as it grows', run };
