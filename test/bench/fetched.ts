/** Packages for comparisons of the bench. They are fetched from npm into `.cache/bench` once. */
import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'bench');
/** Restate's packages require Node 22 or newer. */
const NEWER_NODE = 'node@24';

/**
 * The folder whose `node_modules` has the packages. Package scripts are disabled.
 *
 * @throws Error of npm's
 */
export async function fetched(name: string, packages: readonly string[]): Promise<string> {
  const folder = join(CACHE, name);
  await mkdir(folder, { recursive: true });
  const quietly = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
  await run('npm', ['install', ...quietly, '--prefix', folder, ...packages], { cwd: folder });
  return folder;
}

/** The path of a newer Node. @throws Error of npm's */
export async function newerNode(): Promise<string> {
  const { stdout } = await run('npx', ['-y', '-p', NEWER_NODE, '--', 'node', '-p', 'process.execPath']);
  return stdout.trim();
}
