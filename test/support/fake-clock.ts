/**
 * A wall clock of a process that a test can set while the process runs. Uses libfaketime from the
 * `faketime` package.
 */
import { readdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findTool } from './tools.ts';

/** How long a process may use the offset that it read before. */
const REREAD_AFTER_SECONDS = 1;

export interface FakeClock {
  /** Environment variables of the process. */
  env: Record<string, string>;
  /** Sets the clock this many seconds ahead of the machine's, or back if negative. */
  set(seconds: number): Promise<void>;
}

/** @param file file of the offset; it must exist while the process runs */
export async function fakeClock(file: string): Promise<FakeClock> {
  const set = async (seconds: number): Promise<void> => {
    // Rename, because the process may read the file at any moment.
    await writeFile(`${file}.new`, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    await rename(`${file}.new`, file);
  };
  await set(0);
  const env = {
    LD_PRELOAD: await library(),
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_CACHE_DURATION: String(REREAD_AFTER_SECONDS),
    // cspell:ignore DONT
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    NO_FAKE_STAT: '1',
  };
  return { env, set };
}

/** Debian has it in `lib/ARCHITECTURE/faketime`, beside the `bin` of the program. */
async function library(): Promise<string> {
  const { path } = await findTool('faketime');
  const libraries = join(dirname(path), '..', 'lib');
  for (const folder of await readdir(libraries)) {
    const names = await readdir(join(libraries, folder, 'faketime')).catch((): string[] => []);
    if (names.includes('libfaketime.so.1')) return join(libraries, folder, 'faketime', 'libfaketime.so.1');
  }
  throw new Error(`expected libfaketime.so.1 below ${libraries}`);
}
