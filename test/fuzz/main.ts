/**
 * `npm run fuzz -- --minutes N [--seed S] [--json]`: fuzzes a service for that time, and exits with
 * 1 if it broke a promise.
 */
import { randomInt } from 'node:crypto';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed);
const minutes = Number(values.minutes);
if (!(minutes > 0) || !Number.isInteger(seed)) {
  process.stderr.write('expected --minutes with a number above 0, and --seed with a whole number\n');
  process.exit(2);
}
const tell = (line: string): boolean => process.stderr.write(`${line}\n`);
tell(`fuzzing for ${minutes} minutes with --seed ${seed}`);
const report = await fuzz({
  seed,
  forMs: minutes * 60_000,
  onProgress: (sent, heap) => tell(`${sent} requests, ${heap} MiB of heap`),
});
const { early, late } = report.heapMiB;
process.stdout.write(
  values.json
    ? `${JSON.stringify(report)}\n`
    : [
        `${report.requests} requests and ${report.spoilt} spoilt connections in ${report.seconds} s, seed ${report.seed}`,
        `heap after collection: ${early} MiB early, ${late} MiB at the end`,
        report.failures.length === 0 ? 'every request was answered 200 OK, and nothing else was touched' : `failures:`,
        ...report.failures,
        '',
      ].join('\n'),
);
process.exitCode = report.failures.length === 0 ? 0 : 1;
