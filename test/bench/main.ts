/**
 * `npm run bench`: compares the service with the possible optimum, in alternating rounds of one
 * run.
 *
 * --json the figures as JSON on stdout, instead of tables --quick fewer rounds, a few minutes in
 * all; plots are written only if --plots says so --plots write the plots to docs/, as a whole run
 * does --only NAME one scenario; can be given more than once
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { machine } from './machine.ts';
import { svgOf } from './plot.ts';
import { Bench, type Report, type Scenario } from './scenario.ts';
import { alternatives } from './scenarios/alternatives.ts';
import { claims } from './scenarios/claims.ts';
import { growth } from './scenarios/growth.ts';
import { handover } from './scenarios/handover.ts';
import { memory } from './scenarios/memory.ts';
import { posts } from './scenarios/posts.ts';
import { redisCost } from './scenarios/redis-cost.ts';
import { watchers } from './scenarios/watchers.ts';
import { tableOf } from './table.ts';

const SCENARIOS: Scenario[] = [posts, handover, claims, memory, redisCost, alternatives, growth, watchers];
const DOCS = join(import.meta.dirname, '..', '..', 'docs');

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    quick: { type: 'boolean' },
    plots: { type: 'boolean' },
    only: { type: 'string', multiple: true },
  },
});
const { json = false, quick = false, plots = !quick, only } = values;
const wanted = SCENARIOS.filter(({ name }) => only === undefined || only.includes(name));
if (wanted.length < (only === undefined ? 1 : new Set(only).size)) {
  process.stderr.write(`bench: expected --only ${SCENARIOS.map(({ name }) => name).join(' | ')}\n`);
  process.exit(2);
}

const startedAt = performance.now();
const around = await machine();
process.stderr.write(
  `${Object.entries(around)
    .map(([key, value]) => `${key}: ${value}`)
    .join('\n')}\n`,
);
const results: { name: string; title: string; report: Report }[] = [];
for (const scenario of wanted) {
  const tell = (line: string): void => {
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    process.stderr.write(`${String(seconds).padStart(5)} s  ${scenario.name}: ${line}\n`);
  };
  const bench = new Bench(quick, tell);
  try {
    const report = await scenario.run(bench);
    results.push({ name: scenario.name, title: scenario.title, report });
    if (!json) process.stdout.write(`${tableOf(scenario, report)}\n`);
    for (const { file, plot } of plots ? (report.plots ?? []) : []) await writeFile(join(DOCS, file), svgOf(plot));
  } finally {
    await bench.close();
  }
}
if (json) process.stdout.write(`${JSON.stringify({ machine: around, quick, results }, undefined, 2)}\n`);
process.exit(0);
