import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Builds `dist/` unless it is newer than `src/`: a test of an old build would prove nothing. */
export async function buildIfStale(): Promise<void> {
  // Check folders, too: a removed file changes only its folder.
  const sources = await readdir(join(ROOT, 'src'), { recursive: true });
  const inputs = ['src', ...sources.map((path) => join('src', path)), 'bundle.mjs', 'tsconfig.build.json'];
  const [built, ...changed] = await Promise.all(['dist/main.js', ...inputs].map((path) => changedAt(join(ROOT, path))));
  if (built !== undefined && built >= Math.max(...changed.map((at) => at ?? 0))) return;
  process.stderr.write('building dist/, which is older than src/\n');
  await promisify(execFile)('npm', ['run', 'build'], { cwd: ROOT });
}

function changedAt(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}
