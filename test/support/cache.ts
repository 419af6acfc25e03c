/**
 * `.cache` has the programs for the tests. Each is unpacked into a temporary folder, which is then
 * renamed: two processes that fetch at once both find one complete folder.
 */
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export const CACHE = join(import.meta.dirname, '..', '..', '.cache');

/** The temporary folder of a process, named by its pid. Earlier versions used no pid. */
const ASIDE = /^(?:partial|unpacking)-(?:(\d+)-)?/;

/** Calls `fill` with an empty folder. It becomes `folder`, unless another process was faster. */
export async function fetchInto(folder: string, fill: (aside: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(folder), { recursive: true });
  const aside = await mkdtemp(join(dirname(folder), `partial-${process.pid}-`));
  try {
    await fill(aside);
    await rename(aside, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

/** Prints a message for a slow step, and repeats it. */
export async function withProgress<T>(what: string, run: () => Promise<T>): Promise<T> {
  process.stderr.write(`${what}\n`);
  const started = Date.now();
  const timer = setInterval(() => {
    process.stderr.write(`still ${what}, for ${Math.round((Date.now() - started) / 1000)} s\n`);
  }, 15_000);
  try {
    return await run();
  } finally {
    clearInterval(timer);
  }
}

/** Removes the temporary folders of processes that were killed. */
export async function removeLeftovers(cache = CACHE): Promise<void> {
  const entries = await readdir(cache, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => join(cache, entry.name));
  const below = await Promise.all(
    folders.map(async (folder) => (await readdir(folder)).map((name) => join(folder, name))),
  );
  const leftovers = [...folders, ...below.flat()].filter((path) => {
    const [matches, pid] = ASIDE.exec(basename(path)) ?? [];
    return matches !== undefined && (pid === undefined || !runs(Number(pid)));
  });
  await Promise.all(leftovers.map((path) => rm(path, { recursive: true, force: true })));
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
