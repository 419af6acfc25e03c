/** Reads that hit at once, and claims from one pool by 64 workers, on one instance and on two. */
import type { ClaimsOptions, ClaimsResult } from '../load/claims.ts';
import { runLoad } from '../load/load.ts';
import { startService } from '../processes.ts';
import { type Bench, type Figure, type Report, type Scenario, spread } from '../scenario.ts';

/** Claims a second from one pool by 64 workers. */
const LEAST_CLAIMS = 5000;

async function run(bench: Bench): Promise<Report> {
  const folder = await bench.folder();
  const STORE_URL = (await bench.redis()).url;
  const embedded = await bench.started(startService('embedded', folder));
  const here = await bench.started(startService('redis', folder, { STORE_URL }));
  const there = await bench.started(startService('redis other', folder, { STORE_URL }));
  const instances = [
    { name: 'embedded', postPort: embedded.postPort, workerPorts: [embedded.workerPort] },
    { name: 'redis, two instances', postPort: here.postPort, workerPorts: [here.workerPort, there.workerPort] },
  ];
  const cases = instances.flatMap(({ name, ...ports }) => [
    { what: `${name}: reads that hit at once, 16 workers`, load: { ...ports, how: 'hits' as const, workers: 16 } },
    { what: `${name}: claims from a pool, 64 workers`, load: { ...ports, how: 'pool' as const, workers: 64 } },
  ]);
  const rounds = bench.pick(5, 2);
  const measured = new Map<string, ClaimsResult[]>(cases.map(({ what }) => [what, []]));
  for (let round = 0; round < rounds; round++) {
    bench.tell(`round ${round + 1} of ${rounds}`);
    for (const { what, load } of cases) {
      const options: ClaimsOptions = { ...load, seconds: bench.pick(3, 1.5) };
      const result = await runLoad<ClaimsResult>('claims', options);
      if (result.doubled > 0) throw new Error(`${what}: ${result.doubled} tokens had two holders`);
      measured.get(what)?.push(result);
    }
  }
  const figures: Figure[] = [];
  for (const [what, results] of measured) {
    const perSecond = results.map(({ answered, seconds }) => answered / seconds);
    figures.push(
      { what, unit: 'a second', ...spread(perSecond), ...goalOf(what, perSecond) },
      { what: `${what}, p50`, unit: 'ms', ...spread(results.map(({ p50 }) => p50)) },
      { what: `${what}, p99`, unit: 'ms', ...spread(results.map(({ p99 }) => p99)) },
    );
  }
  const notes = [
    'A claim is followed by its settling; the pool is filled by the same load meanwhile. No token had two holders.',
  ];
  return { figures, notes };
}

function goalOf(what: string, perSecond: number[]): Pick<Figure, 'goal'> {
  if (!what.includes('pool')) return {};
  return { goal: { text: `≥ ${LEAST_CLAIMS} a second`, met: spread(perSecond).median >= LEAST_CLAIMS } };
}

export const claims: Scenario = { name: 'claims', title: 'Reads that hit, claims under contention', run };
