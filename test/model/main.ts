/**
 * `npm run model -- [--operations 100000] [--seed N] [--store redis] [--lanes 16] [--json]`: the
 * service and a model of the contract answer the same random operations. Exits with 0 when they
 * agree, and with 1 otherwise. The seed repeats the operations.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type Report, run } from './run.ts';

const { values } = parseArgs({
  options: {
    operations: { type: 'string', default: '10000' },
    seed: { type: 'string', default: String(randomInt(1, 1_000_000)) },
    store: { type: 'string', default: 'embedded' },
    lanes: { type: 'string', default: '16' },
    json: { type: 'boolean', default: false },
  },
});
const [operations, seed, lanes] = [Number(values.operations), Number(values.seed), Number(values.lanes)];
const { store } = values;
if (store !== 'embedded' && store !== 'redis') {
  process.stderr.write('expected --store embedded or redis\n');
  process.exit(2);
}
if (!(operations >= 1) || !Number.isSafeInteger(seed) || !(lanes >= 1 && lanes <= 50)) {
  process.stderr.write('expected --operations from 1, --seed a whole number, --lanes from 1 to 50\n');
  process.exit(2);
}
const say = (text: string): void => void process.stderr.write(`${text}\n`);
say(`model: ${operations} operations on the ${store} store, seed ${seed}`);
const report = await run({ seed, operations, store, lanes, onProgress: say });
process.stdout.write(values.json ? `${JSON.stringify(report)}\n` : readable(report));
process.exit(report.divergences.length === 0 ? 0 : 1);

function readable({ divergences, counts, ...rest }: Report): string {
  const table = Object.entries(counts)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, count]) => `  ${name.padEnd(44)} ${count}\n`);
  const ends = [`${rest.kills} kills`, `${rest.setAside} times set aside, because the store was slow`];
  return [
    `seed ${rest.seed}, ${rest.store}: ${rest.operations} operations in ${rest.seconds} s, ${ends.join(', ')}\n`,
    ...table,
    divergences.length === 0 ? 'service and model agreed\n' : `${divergences.length} divergences\n`,
    ...divergences.map((one) => `${JSON.stringify(one, undefined, 2)}\n`),
  ].join('');
}
