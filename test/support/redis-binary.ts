/**
 * Where the Redis or Valkey server that the tests start comes from: the PATH, else `.cache/redis`, else Debian's
 * packages, which are then kept there. The tests never do without Redis; Valkey is a second opinion, used where it can
 * be had (Debian 13, or 12 with its backports).
 */
import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { delimiter, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { libraryFolders, unpackServer } from './debian-packages.ts';

export type ServerName = 'redis' | 'valkey';

export interface ServerBinary {
  name: ServerName;
  version: string;
  /** The absolute path of `redis-server` or `valkey-server`. */
  path: string;
  /** What the environment of the process must hold, beyond our own. */
  env: Record<string, string>;
}

const PROJECT = join(import.meta.dirname, '..', '..');
const CACHE = join(PROJECT, '.cache', 'redis');
const OLDEST_MAJOR = 7;
const START_TIMEOUT_MS = 10_000;
const NOT_AVAILABLE = 'not available';

const searches = new Map<ServerName, Promise<ServerBinary | undefined>>();

/** Fails if there is no Redis and none can be fetched; gives `undefined` if that is so of Valkey. */
export function findServer(name: 'redis'): Promise<ServerBinary>;
export function findServer(name: ServerName): Promise<ServerBinary | undefined>;
export function findServer(name: ServerName): Promise<ServerBinary | undefined> {
  const search = searches.get(name) ?? findOnce(name);
  searches.set(name, search);
  return search;
}

/** The environment hands the answer down to worker processes, so that it is looked for and printed once. */
async function findOnce(name: ServerName): Promise<ServerBinary | undefined> {
  const variable = `TEST_${name.toUpperCase()}_SERVER`;
  const known = process.env[variable];
  if (known !== undefined) return known === NOT_AVAILABLE ? undefined : (JSON.parse(known) as ServerBinary);

  const failures: string[] = [];
  const found = await search(name, failures);
  if (found === undefined) {
    const report = explain(name, failures);
    if (name === 'redis') throw new Error(report);
    process.stderr.write(`${report}\nTests of Valkey use none.\n`);
    process.env[variable] = NOT_AVAILABLE;
    return undefined;
  }
  process.stderr.write(`tests use ${name}-server ${found.version}: ${shortened(found.path)}\n`);
  process.env[variable] = JSON.stringify(found);
  return found;
}

async function search(name: ServerName, failures: string[]): Promise<ServerBinary | undefined> {
  return (await findOnPath(name, failures)) ?? (await findInCache(name, failures)) ?? (await fetch(name, failures));
}

async function findOnPath(name: ServerName, failures: string[]): Promise<ServerBinary | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, `${name}-server`);
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    const usable = executable ? await usableServer(name, path, {}, failures) : undefined;
    if (usable !== undefined) return usable;
  }
  failures.push('PATH: no usable one there');
  return undefined;
}

async function findInCache(name: ServerName, failures: string[]): Promise<ServerBinary | undefined> {
  const suffix = await platformSuffix();
  const entries = await readdir(CACHE).catch(() => []);
  for (const entry of entries.filter((entry) => entry.startsWith(`${name}-`) && entry.endsWith(suffix))) {
    const usable = await serverIn(join(CACHE, entry), name, failures);
    if (usable !== undefined) return usable;
  }
  failures.push(`${shortened(CACHE)}: no usable one there`);
  return undefined;
}

/** Unpacks aside and renames, so that of two processes that fetch at once each finds one whole folder. */
async function fetch(name: ServerName, failures: string[]): Promise<ServerBinary | undefined> {
  process.stderr.write(`fetching ${name}-server for the tests from Debian's packages\n`);
  await mkdir(CACHE, { recursive: true });
  const unpacked = await mkdtemp(join(CACHE, 'partial-'));
  try {
    await unpackServer(`${name}-server`, `${name}-tools`, unpacked);
    const usable = await serverIn(unpacked, name, failures);
    if (usable === undefined) return undefined;
    const kept = join(CACHE, `${name}-${usable.version}${await platformSuffix()}`);
    await rename(unpacked, kept).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return await serverIn(kept, name, failures);
  } catch (error) {
    failures.push(`Debian's packages: ${(error as Error).message}`);
    return undefined;
  } finally {
    await rm(unpacked, { recursive: true, force: true });
  }
}

async function serverIn(folder: string, name: ServerName, failures: string[]): Promise<ServerBinary | undefined> {
  const libraries = (await libraryFolders(folder)).join(delimiter);
  return usableServer(name, join(folder, 'usr', 'bin', `${name}-server`), { LD_LIBRARY_PATH: libraries }, failures);
}

/** A server that starts and is new enough; else a reason among the failures. */
async function usableServer(
  name: ServerName,
  path: string,
  env: Record<string, string>,
  failures: string[],
): Promise<ServerBinary | undefined> {
  try {
    const options = { env: { ...process.env, ...env }, timeout: START_TIMEOUT_MS };
    const { stdout } = await promisify(execFile)(path, ['--version'], options);
    const version = /\bv=(\d+\.\d+\.\d+)/.exec(stdout)?.[1];
    if (version === undefined) throw new Error(`expected a version, got: ${stdout.trim()}`);
    if (Number.parseInt(version, 10) < OLDEST_MAJOR) throw new Error(`${version} is older than ${OLDEST_MAJOR}`);
    return { name, version, path, env };
  } catch (error) {
    failures.push(`${shortened(path)}: ${(error as Error).message.trim()}`);
    return undefined;
  }
}

/** What an unpacked server runs on: the processor and the release whose C library it was built against. */
async function platformSuffix(): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const [id, version] = ['ID', 'VERSION_ID'].map((key) => new RegExp(`^${key}="?([^"\n]+)`, 'm').exec(release)?.[1]);
  return `-${id ?? process.platform}${version ?? ''}-${process.arch}`;
}

function shortened(path: string): string {
  return path.startsWith(PROJECT) ? relative(PROJECT, path) : path;
}

function explain(name: ServerName, failures: string[]): string {
  return [
    `no ${name}-server ${OLDEST_MAJOR} or newer was found, and none could be fetched. Tried:`,
    ...failures.map((failure) => `- ${failure}`),
    `Put ${name}-server on the PATH (Debian and Ubuntu: apt-get install ${name}-server; macOS: brew install ${name}).`,
  ].join('\n');
}
