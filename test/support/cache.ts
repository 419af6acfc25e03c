/**
 * `.cache`, where programs for the tests are kept. Each is unpacked into a folder aside, which is then renamed: of two
 * processes that fetch at once, each finds one whole folder.
 */
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export const CACHE = join(import.meta.dirname, '..', '..', '.cache');

/** The folder aside of a process, by its pid; earlier versions named no pid. */
const ASIDE = /^(?:partial|unpacking)-(?:(\d+)-)?/;

/** Calls `fill` with an empty folder, which becomes `folder` unless another process was faster. */
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

/** Prints what takes long, and that it goes on. */
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

/** Removes the folders aside of processes that were ended before they could. */
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
