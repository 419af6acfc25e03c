/**
 * Runs once for each project before its tests: rebuilds a stale `dist/`, and finds or fetches the
 * needed programs.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { buildIfStale } from './build.ts';
import { removeLeftovers } from './cache.ts';
import { findNpmPackages, type NpmPackages } from './npm-packages.ts';
import { testsWithoutRedis } from './redis-source.ts';
import { findTool, type ToolName } from './tools.ts';

/** Programs of every development machine. */
const PROGRAMS = ['git', 'openssl', 'curl'];

const TOOLS: Record<string, readonly ToolName[]> = {
  topologies: ['valkey'],
  chaos: ['faketime'],
  deployment: ['nginx', 'caddy', 'haproxy', 'promtool', 'shellcheck', 'systemd-analyze', 'python3', 'php', 'java'],
  browser: ['chromium'],
};

const NPM_PACKAGES: Record<string, readonly NpmPackages[]> = {
  deployment: ['client-generators', 'spectral'],
};

export default async function setup({ name }: TestProject): Promise<void> {
  const missing = PROGRAMS.filter((program) => !isOnPath(program));
  if (missing.length > 0) throw new Error(`expected ${missing.join(', ')} on the PATH: the tests run them`);
  if (name === 'service') process.stderr.write(`times of tests are multiplied by ${process.env['TEST_TIME_SCALE']}\n`);
  await removeLeftovers();
  await buildIfStale();
  if ((await testsWithoutRedis()).length === 0) await findTool('redis');
  for (const tool of TOOLS[name] ?? []) await findTool(tool);
  for (const packages of NPM_PACKAGES[name] ?? []) await findNpmPackages(packages);
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, program)));
}
