/** Runs once for each project, before any test: builds what is stale, and finds or fetches the programs that it needs. */
import type { TestProject } from 'vitest/node';
import { buildIfStale } from './build.ts';
import { removeLeftovers } from './cache.ts';
import { findChromium } from './chromium.ts';
import { findProgram } from './debian-program.ts';
import { findServer } from './redis-binary.ts';

const TOOLS: Record<string, () => Promise<unknown>> = {
  topologies: () => findServer('valkey'),
  browser: findChromium,
  async deployment() {
    for (const name of ['nginx', 'caddy', 'shellcheck', 'systemd-analyze'] as const) await findProgram(name);
  },
};

export default async function setup({ name }: TestProject): Promise<void> {
  await removeLeftovers();
  await buildIfStale();
  await findServer('redis');
  await TOOLS[name]?.();
}
