/**
 * A real Chromium for the tests of the operator page: the PATH's, else `.cache/chromium`, else Debian's packages, which are
 * unpacked there without root. Without one the tests fail; they are never skipped.
 */
import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium } from 'playwright-core';
import { libraryFolders, unpackProgram } from './debian-packages.ts';

const CACHE = join(import.meta.dirname, '..', '..', '.cache');
const UNPACKED = join(CACHE, 'chromium');
const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-dev-shm-usage',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

export async function launchChromium(): Promise<Browser> {
  const { path, env } = await findChromium();
  return chromium.launch({ executablePath: path, args: ARGUMENTS, env: { ...process.env, ...env } });
}

export async function findChromium(): Promise<{ path: string; env: Record<string, string> }> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    for (const name of NAMES) if (await isExecutable(join(folder, name))) return { path: join(folder, name), env: {} };
  }
  const binary = join(UNPACKED, 'usr', 'lib', 'chromium', 'chromium');
  if (!(await isExecutable(binary))) await fetchChromium();
  // The wrapper in usr/bin looks for what belongs to an installed one.
  const env = { LD_LIBRARY_PATH: (await libraryFolders(UNPACKED)).join(delimiter) };
  await promisify(execFile)(binary, ['--version'], { env: { ...process.env, ...env } }).catch((error: Error) => {
    throw new Error(`${explanation()}\nThe one that was fetched does not start: ${error.message}`);
  });
  return { path: binary, env };
}

/** Unpacks aside and renames, so that of two processes that fetch at once each finds one whole folder. */
async function fetchChromium(): Promise<void> {
  process.stderr.write("fetching chromium for the tests from Debian's packages\n");
  await mkdir(CACHE, { recursive: true });
  const aside = await mkdtemp(join(CACHE, 'partial-'));
  try {
    await unpackProgram('chromium', aside);
    await rename(aside, UNPACKED).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } catch (error) {
    throw new Error(`${explanation()}\n${(error as Error).message}`);
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

function explanation(): string {
  return 'no chromium was found, and none could be fetched. Put one on the PATH (Debian: apt-get install chromium).';
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
