import { readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { defineConfig } from 'vitest/config';
import { testsWithoutRedis } from './test/support/redis-source.ts';
import { measureTimeScale } from './test/support/time-scale.ts';

/**
 * Tests that need a tool, many processes, several Redis servers or minutes. Each group is a
 * project. The groups run one after the other, after the project `service`, which has all other
 * tests. CONTRIBUTING.md describes them.
 */
const BEYOND_SERVICE: Record<string, string[]> = {
  processes: [
    'test/process/{clock,crash,disk,log,stop,upgrade}.test.ts',
    'test/cli/{listen,processes}.test.ts',
    'test/carat/recharge-killed.test.ts',
    'test/asking/recharge-killed.test.ts',
    'test/docs/flows.test.ts',
    'test/simulator/whole-round.test.ts',
  ],
  topologies: [
    'test/store/redis/redis-topologies.test.ts',
    'test/faults/{failover,redis-setup,redis-tls,reshard}.test.ts',
    'test/support/redis-{cluster,sentinel}.test.ts',
  ],
  exhaustion: ['test/exhaustion/**/*.test.ts'],
  chaos: ['test/{chaos,model,fuzz,bench}/**/*.test.ts'],
  deployment: [
    'test/{package,examples,snippets,generated-clients}/**/*.test.ts',
    'test/deploy/{alerts,tools,rolling-update,redirect,no-answer}.test.ts',
  ],
  browser: ['test/operator/page.test.ts'],
};

// Vitest loads this file once for each project; the first one measures.
process.env['TEST_TIME_SCALE'] ??= String(measureTimeScale());
const timeScale = Number(process.env['TEST_TIME_SCALE']);

const withoutRedis = await testsWithoutRedis();

const project = (name: string, files: { include: string[]; exclude?: string[] }, groupOrder: number) => ({
  extends: true as const,
  test: {
    include: files.include,
    exclude: [...(files.exclude ?? []), ...withoutRedis],
    name,
    globalSetup: ['test/support/global-setup.ts'],
    sequence: { groupOrder },
  },
});

export default defineConfig({
  test: {
    setupFiles: ['test/support/each-test.ts'],
    runner: 'test/support/runner.ts',
    env: { TMPDIR: scratch() },
    // The awaited steps of a test have their own deadlines, which report more than this one.
    testTimeout: 300_000 * timeScale,
    hookTimeout: 300_000 * timeScale,
    // Tests are I/O-bound. More workers would only compete for CPU and disk.
    maxWorkers: Math.max(3, availableParallelism()),
    maxConcurrency: 10,
    projects: [
      project('service', { include: ['test/**/*.test.ts'], exclude: Object.values(BEYOND_SERVICE).flat() }, 0),
      ...Object.entries(BEYOND_SERVICE).map(([name, include], at) => project(name, { include }, at + 1)),
    ],
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['text-summary', 'html'] },
  },
});

/**
 * The temporary folder of the tests: in memory, if there is room and files there may be executed.
 * On a busy disk, a sync may take longer than Carat waits. Then the service correctly reports posts
 * as `late`.
 */
function scratch(): string {
  const memory = '/dev/shm';
  try {
    const { bavail, bsize } = statfsSync(memory);
    const mayRun = !/ \/dev\/shm \S+ \S*\bnoexec\b/.test(readFileSync('/proc/mounts', 'utf8'));
    return mayRun && bavail * bsize > 4e9 ? memory : tmpdir();
  } catch {
    return tmpdir();
  }
}
