/**
 * `npm run chaos -- [--minutes 1] [--seed N] [--actors 12] [--accept expected] [--nemesis NAME]
 * [--json]`: two instances and a real Redis, with random faults or only one kind, while workers
 * work. Exits with 0 when every promise was kept, and with 1 otherwise. The seed repeats a run's
 * faults.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { nemesesFor } from './nemeses.ts';
import { type Report, run } from './run.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(randomInt(1, 1_000_000)) },
    actors: { type: 'string', default: '12' },
    accept: { type: 'string', default: 'any' },
    nemesis: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [minutes, seed, actors] = [Number(values.minutes), Number(values.seed), Number(values.actors)];
if (!(minutes > 0 && minutes <= 1440) || !Number.isSafeInteger(seed) || !(actors >= 1 && actors <= 200)) {
  process.stderr.write('expected --minutes up to 1440, --seed a whole number, --actors from 1 to 200\n');
  process.exit(2);
}
const { accept, nemesis } = values;
if (accept !== 'any' && accept !== 'expected') {
  process.stderr.write('expected --accept any or expected\n');
  process.exit(2);
}
try {
  nemesesFor(seed, nemesis);
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exit(2);
}
const say = (text: string): void => void process.stderr.write(`${text}\n`);
say(`chaos for ${minutes} minutes, seed ${seed}`);
const report = await run({ seed, actors, accept, nemesis, ms: minutes * 60_000, onProgress: say });
process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : readable(report));
process.exit(report.violations.length === 0 ? 0 : 1);

function readable({ violations, counts, faults, tokens, postMs, ...rest }: Report): string {
  const table = (of: Record<string, number>): string =>
    Object.entries(of)
      .map(([name, count]) => `  ${name.padEnd(36)} ${count}\n`)
      .join('');
  return [
    `seed ${rest.seed}: ${rest.operations} operations in ${rest.seconds} s\n`,
    `operations by answer (0: none, the instance was killed)\n${table(counts)}`,
    `faults\n${table(faults)}`,
    `tokens\n${table(tokens)}`,
    `answers to Carat, in ms\n${table(postMs)}`,
    violations.length === 0
      ? 'every promise was kept\n'
      : `${violations.length} promises were broken\n${violations.map((text) => `  ${text}\n`).join('')}`,
  ].join('');
}
