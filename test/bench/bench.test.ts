import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const PROJECT = join(import.meta.dirname, '..', '..');

it('measures one scenario and prints it as JSON', async () => {
  const args = ['--import', 'tsx', 'test/bench/main.ts', '--quick', '--only', 'redis-cost', '--json'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: PROJECT });
  const { machine, quick, results } = JSON.parse(stdout);
  expect(machine).toMatchObject({ node: process.version, redis: expect.any(String) });
  expect(quick).toBe(true);
  expect(results).toHaveLength(1);
  const [{ name, report }] = results;
  expect(name).toBe('redis-cost');
  expect(report.figures).toHaveLength(17);
  for (const { what, unit, median, least, most } of report.figures) {
    expect([what, unit]).toEqual([expect.any(String), expect.any(String)]);
    expect(least <= median && median <= most).toBe(true);
  }
});

it('lists the scenarios when the name is unknown', async () => {
  const args = ['--import', 'tsx', 'test/bench/main.ts', '--only', 'nothing'];
  const run = promisify(execFile)(process.execPath, args, { cwd: PROJECT });
  await expect(run).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('redis-cost') });
});
