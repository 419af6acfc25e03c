/** Runs once for each project, before any test: builds what is stale, and finds or fetches the programs that it needs. */
import type { TestProject } from 'vitest/node';
import { buildIfStale } from './build.ts';
import { removeLeftovers } from './cache.ts';
import { findTool, type ToolName } from './tools.ts';

const TOOLS: Record<string, readonly ToolName[]> = {
  topologies: ['valkey'],
  deployment: ['nginx', 'caddy', 'promtool', 'shellcheck', 'systemd-analyze', 'python3', 'php', 'java'],
  browser: ['chromium'],
};

export default async function setup({ name }: TestProject): Promise<void> {
  await removeLeftovers();
  await buildIfStale();
  for (const tool of ['redis', ...(TOOLS[name] ?? [])] as const) await findTool(tool);
}
