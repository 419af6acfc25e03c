/**
 * A program that a test runs beside the service, such as a proxy: from the PATH or where Debian puts it, else from
 * `.cache/debian`, else unpacked there from Debian's packages. A test that needs it never goes without it.
 */
import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { libraryFolders, unpackProgram, unpackServer } from './debian-packages.ts';

export interface Program {
  path: string;
  version: string;
  /** What the environment of the process must hold, beyond our own. */
  env: Record<string, string>;
}

interface Wanted {
  /** Debian's packages: the one with the program, and the one whose libraries it needs; of one alone, all that it needs. */
  packages: readonly [string, string] | readonly [string];
  /** Where it is in them. */
  file: string;
  /** Prints the version. */
  arguments: readonly string[];
}

const PROGRAMS = {
  nginx: { packages: ['nginx-common', 'nginx'], file: 'usr/sbin/nginx', arguments: ['-v'] },
  shellcheck: { packages: ['shellcheck', 'shellcheck'], file: 'usr/bin/shellcheck', arguments: ['--version'] },
  'systemd-analyze': { packages: ['systemd'], file: 'usr/bin/systemd-analyze', arguments: ['--version'] },
  caddy: { packages: ['caddy', 'caddy'], file: 'usr/bin/caddy', arguments: ['version'] },
} as const satisfies Record<string, Wanted>;

const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'debian');
const START_TIMEOUT_MS = 10_000;

/** @throws Error that tells where it was looked for */
export async function findProgram(name: keyof typeof PROGRAMS): Promise<Program> {
  const wanted: Wanted = PROGRAMS[name];
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  const cached = join(CACHE, `${name}-${await release()}`);
  for (const path of [...folders.map((folder) => join(folder, name)), join(cached, wanted.file)]) {
    const program = await usable(path, wanted, path.startsWith(cached) ? cached : undefined);
    if (program !== undefined) return told(name, program);
  }
  await fetch(name, wanted, cached);
  const program = await usable(join(cached, wanted.file), wanted, cached);
  if (program === undefined) throw new Error(`expected ${name} of Debian's packages to run; put ${name} on the PATH`);
  return told(name, program);
}

/** Unpacks aside and renames, so that of two processes that fetch at once each finds one whole folder. */
async function fetch(name: string, { packages }: Wanted, folder: string): Promise<void> {
  process.stderr.write(`fetching ${name} for the tests from Debian's packages\n`);
  await mkdir(CACHE, { recursive: true });
  const unpacked = await mkdtemp(join(CACHE, 'unpacking-'));
  try {
    if (packages[1] === undefined) await unpackProgram(packages[0], unpacked);
    else await unpackServer(packages[0], packages[1], unpacked);
    await rename(unpacked, folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } catch (error) {
    throw new Error(`no ${name} was found, and none could be fetched: ${(error as Error).message}`);
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

async function usable(path: string, wanted: Wanted, unpacked: string | undefined): Promise<Program | undefined> {
  try {
    await access(path, constants.X_OK);
    const env = unpacked === undefined ? {} : { LD_LIBRARY_PATH: (await libraryFolders(unpacked)).join(delimiter) };
    const options = { env: { ...process.env, ...env }, timeout: START_TIMEOUT_MS };
    const { stdout, stderr } = await promisify(execFile)(path, [...wanted.arguments], options);
    const version = /\d+\.\d+[.\d]*/.exec(stdout + stderr)?.[0];
    return version === undefined ? undefined : { path, version, env };
  } catch {
    return undefined;
  }
}

function told(name: string, program: Program): Program {
  process.stderr.write(`tests use ${name} ${program.version}: ${program.path}\n`);
  return program;
}

/** What an unpacked program runs on: the processor and the release whose C library it was built against. */
async function release(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const [id, version] = ['ID', 'VERSION_ID'].map((key) => new RegExp(`^${key}="?([^"\n]+)`, 'm').exec(text)?.[1]);
  return `${id ?? process.platform}${version ?? ''}-${process.arch}`;
}
