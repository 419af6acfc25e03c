import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The project's folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Builds `dist/` unless it is newer than `src/`: a process started from an old build would prove nothing. */
export async function buildIfStale(): Promise<void> {
  const entries = await readdir(join(ROOT, 'src'), { recursive: true, withFileTypes: true });
  const sources = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const [built, ...changed] = await Promise.all([join(ROOT, 'dist', 'main.js'), ...sources].map(changedAt));
  if (built !== undefined && built >= Math.max(...changed.map((at) => at ?? 0))) return;
  await promisify(execFile)('npm', ['run', 'build'], { cwd: ROOT });
}

function changedAt(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  );
}
