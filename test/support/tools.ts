/**
 * Programs that tests run beside the service. A program comes from the PATH, else from
 * `.cache/tools`, else from Debian's packages, unpacked there without root. Redis can also come
 * from a container image. A run without one of its programs fails before the first test.
 */
import { execFile } from 'node:child_process';
import { access, chmod, constants, lstat, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { CACHE, fetchInto, withProgress } from './cache.ts';
import { libraryFolders, unpackPackages } from './debian-packages.ts';

export interface Tool {
  /** Absolute. */
  path: string;
  version: string;
  /** Environment variables of the process, in addition to ours. */
  env: Record<string, string>;
}

interface Wanted {
  /** Its name on a PATH. */
  names: readonly string[];
  /** Prints the version. */
  arguments: readonly string[];
  /** The oldest supported major version. */
  oldest?: number;
  /** Its path in the unpacked tree. A star stands for any part of a name. */
  file: string;
  /**
   * Debian's packages: those to unpack, and the one whose dependencies are needed, with a filter.
   */
  packages: readonly string[];
  dependencies: { of: string; direct?: true; only?: RegExp };
  /** A container image that has it, for Docker or Podman. */
  image?: { name: string; file: string };
}

const LIBRARIES = /^lib/;
const VERSION = ['--version'] as const;

const TOOLS = {
  redis: {
    names: ['redis-server'],
    arguments: VERSION,
    oldest: 7,
    file: 'usr/bin/redis-server',
    packages: ['redis-server', 'redis-tools'],
    dependencies: { of: 'redis-tools', direct: true },
    image: { name: 'docker.io/library/redis:7', file: 'usr/local/bin/redis-server' },
  },
  valkey: {
    names: ['valkey-server'],
    arguments: VERSION,
    oldest: 7,
    file: 'usr/bin/valkey-server',
    packages: ['valkey-server', 'valkey-tools'],
    dependencies: { of: 'valkey-tools', direct: true },
  },
  faketime: {
    names: ['faketime'],
    arguments: VERSION,
    file: 'usr/bin/faketime',
    packages: ['faketime', 'libfaketime'],
    dependencies: { of: 'faketime', direct: true },
  },
  nginx: {
    names: ['nginx'],
    arguments: ['-v'],
    file: 'usr/sbin/nginx',
    packages: ['nginx', 'nginx-common'],
    dependencies: { of: 'nginx', direct: true },
  },
  caddy: {
    names: ['caddy'],
    arguments: ['version'],
    file: 'usr/bin/caddy',
    packages: ['caddy'],
    dependencies: { of: 'caddy', direct: true },
  },
  haproxy: {
    names: ['haproxy'],
    arguments: ['-v'],
    oldest: 2,
    file: 'usr/sbin/haproxy',
    packages: ['haproxy'],
    dependencies: { of: 'haproxy', only: LIBRARIES },
  },
  promtool: {
    names: ['promtool'],
    arguments: VERSION,
    file: 'usr/bin/promtool',
    packages: ['prometheus'],
    dependencies: { of: 'prometheus', direct: true },
  },
  shellcheck: {
    names: ['shellcheck'],
    arguments: VERSION,
    file: 'usr/bin/shellcheck',
    packages: ['shellcheck'],
    dependencies: { of: 'shellcheck', direct: true },
  },
  'systemd-analyze': {
    names: ['systemd-analyze'],
    arguments: VERSION,
    file: 'usr/bin/systemd-analyze',
    packages: ['systemd'],
    dependencies: { of: 'systemd' },
  },
  python3: {
    names: ['python3'],
    arguments: VERSION,
    file: 'usr/bin/python3.*',
    packages: ['python3'],
    dependencies: { of: 'python3', only: /^(lib|python3)/ },
  },
  php: {
    names: ['php'],
    arguments: VERSION,
    file: 'usr/bin/php*.*',
    packages: ['php-cli'],
    dependencies: { of: 'php-cli', only: /^(lib|php)/ },
  },
  java: {
    names: ['java'],
    arguments: VERSION,
    oldest: 17,
    file: 'usr/lib/jvm/java-*-openjdk-*/bin/java',
    packages: ['default-jdk-headless'],
    dependencies: { of: 'default-jdk-headless', only: /^(lib|openjdk-|default-)/ },
  },
  chromium: {
    names: ['chromium', 'chromium-browser', 'google-chrome'],
    arguments: VERSION,
    // The wrapper in usr/bin requires files of an installed package.
    file: 'usr/lib/chromium/chromium',
    packages: ['chromium'],
    dependencies: { of: 'chromium', only: /^(lib|chromium-|fonts-|fontconfig|x11-common|xdg-utils)/ },
  },
} as const satisfies Record<string, Wanted>;

export type ToolName = keyof typeof TOOLS;

export function isTool(name: string): name is ToolName {
  return name in TOOLS;
}

const PROJECT = join(CACHE, '..');
const START_TIMEOUT_MS = 60_000;
const IMAGE_TIMEOUT_MS = 900_000;

const searches = new Map<ToolName, Promise<Tool>>();

/** @throws Error that names each searched place */
export function findTool(name: ToolName): Promise<Tool> {
  const search = searches.get(name) ?? findOnce(name);
  searches.set(name, search);
  return search;
}

/** Whether a program is available without a download. */
export async function isOnPath(name: ToolName): Promise<boolean> {
  return (await onPath(TOOLS[name], [])) !== undefined;
}

/**
 * Worker processes get the result from the environment, so the search and its output happen once.
 */
async function findOnce(name: ToolName): Promise<Tool> {
  const variable = `TEST_TOOL_${name.toUpperCase().replaceAll('-', '_')}`;
  const known = process.env[variable];
  if (known !== undefined) return JSON.parse(known) as Tool;
  const failures: string[] = [];
  const tool = await search(name, TOOLS[name], failures);
  if (tool === undefined) {
    const [command] = TOOLS[name].names;
    throw new Error(
      [`expected ${command} on the PATH, and could not fetch one. Tried:`, ...failures.map((one) => `- ${one}`)].join(
        '\n',
      ),
    );
  }
  process.stderr.write(`tests use ${name} ${tool.version}: ${shortened(tool.path)}\n`);
  process.env[variable] = JSON.stringify(tool);
  return tool;
}

async function search(name: ToolName, wanted: Wanted, failures: string[]): Promise<Tool | undefined> {
  const folder = join(CACHE, 'tools', `${name}-${await platform()}`);
  return (
    (await onPath(wanted, failures)) ??
    (await inFolder(wanted, folder, failures)) ??
    (await fromImage(name, wanted, failures)) ??
    (await fromPackages(name, wanted, folder, failures))
  );
}

async function onPath(wanted: Wanted, failures: string[]): Promise<Tool | undefined> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'];
  for (const path of wanted.names.flatMap((name) => folders.map((folder) => join(folder, name)))) {
    const tool = (await isExecutable(path)) ? await usable(wanted, path, {}, failures) : undefined;
    if (tool !== undefined) return tool;
  }
  failures.push('PATH: no usable one');
  return undefined;
}

async function inFolder(wanted: Wanted, folder: string, failures: string[]): Promise<Tool | undefined> {
  const path = await fileIn(folder, wanted.file.split('/'));
  if (path === undefined) return undefined;
  return usable(wanted, path, { LD_LIBRARY_PATH: (await libraryFolders(folder)).join(delimiter) }, failures);
}

async function fromPackages(
  name: ToolName,
  wanted: Wanted,
  folder: string,
  failures: string[],
): Promise<Tool | undefined> {
  const { packages, dependencies } = wanted;
  try {
    await withProgress(`fetching ${name} from Debian's packages`, () =>
      fetchInto(folder, async (aside) => {
        await unpackPackages(packages, { only: LIBRARIES, ...dependencies }, aside);
        await relink(aside, aside);
      }),
    );
  } catch (error) {
    failures.push(`Debian's packages: ${(error as Error).message}`);
    return undefined;
  }
  return inFolder(wanted, folder, failures);
}

/**
 * Copies the program and its libraries out of an image. It runs with the image's own loader as a
 * process of this machine: a test can kill and stop it.
 */
async function fromImage(name: ToolName, wanted: Wanted, failures: string[]): Promise<Tool | undefined> {
  const { image } = wanted;
  if (image === undefined || process.platform !== 'linux') return undefined;
  const folder = join(CACHE, 'tools', `${name}-image-${process.arch}`);
  const wrapper = join(folder, 'run');
  for (const engine of (await isExecutable(wrapper)) ? [] : ['docker', 'podman']) {
    const run = promisify(execFile);
    const options = { timeout: IMAGE_TIMEOUT_MS };
    try {
      await run(engine, ['info'], { timeout: START_TIMEOUT_MS });
      await withProgress(`fetching ${name} from the image ${image.name} by ${engine}`, () =>
        fetchInto(folder, async (aside) => {
          const container = (await run(engine, ['create', image.name], options)).stdout.trim().split('\n').at(-1) ?? '';
          const archive = join(aside, 'image.tar');
          await run(engine, ['export', '-o', archive, container], options);
          await run(engine, ['rm', container], options);
          await run('tar', ['-x', '-C', aside, '--exclude=dev', '-f', archive], options);
          await rm(archive);
          await writeFile(join(aside, 'run'), wrapperOf(image.file));
          await chmod(join(aside, 'run'), 0o755);
        }),
      );
      break;
    } catch (error) {
      const { message, stderr } = error as Error & { stderr?: string };
      failures.push(`${engine}: ${(stderr || message).trim().split('\n')[0]}`);
    }
  }
  return (await isExecutable(wrapper)) ? usable(wanted, wrapper, {}, failures) : undefined;
}

function wrapperOf(file: string): string {
  return `#!/bin/sh
root=$(dirname "$0")
for loader in "$root"/lib64/ld-linux-*.so.* "$root"/lib/ld-linux-*.so.* "$root"/lib/*/ld-linux-*.so.*; do
  [ -e "$loader" ] && break
done
libraries=$(find "$root/lib" "$root/usr/lib" -maxdepth 1 -type d | tr '\\n' ':')
exec "$loader" --library-path "$libraries" "$root/${file}" "$@"
`;
}

/** Returns a program that starts and is new enough. Otherwise adds a reason to the failures. */
async function usable(
  wanted: Wanted,
  path: string,
  env: Record<string, string>,
  failures: string[],
): Promise<Tool | undefined> {
  try {
    const options = { env: { ...process.env, ...env }, timeout: START_TIMEOUT_MS };
    const { stdout, stderr } = await promisify(execFile)(path, [...wanted.arguments], options);
    const version = /\d+(?:\.\d+)+/.exec(stdout + stderr)?.[0];
    if (version === undefined) throw new Error(`expected a version, got ${(stdout + stderr).trim()}`);
    const { oldest = 0 } = wanted;
    if (Number.parseInt(version, 10) < oldest) throw new Error(`${version} is older than ${oldest}`);
    return { path, version, env };
  } catch (error) {
    failures.push(`${shortened(path)}: ${(error as Error).message.trim()}`);
    return undefined;
  }
}

/** Finds the first executable in a folder that matches a path with stars. */
async function fileIn(folder: string, [part, ...rest]: string[]): Promise<string | undefined> {
  if (part === undefined) return (await isExecutable(folder)) ? folder : undefined;
  const pattern = new RegExp(`^${part.replaceAll('.', '\\.').replaceAll('*', '.*')}$`);
  const names = await readdir(folder).catch(() => []);
  for (const name of names.filter((one) => pattern.test(one)).sort()) {
    const found = await fileIn(join(folder, name), rest);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Redirects a package's links to absolute paths into its unpacked folder. */
async function relink(folder: string, root: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await relink(path, root);
    const target = entry.isSymbolicLink() ? await readlink(path) : '';
    if (!target.startsWith('/') || !(await exists(join(root, target)))) continue;
    await rm(path);
    await symlink(relative(dirname(path), join(root, target)), path);
  }
}

/** The platform of an unpacked program: the processor, and the release of its C library. */
async function platform(): Promise<string> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const [id, version] = ['ID', 'VERSION_ID'].map((key) => new RegExp(`^${key}="?([^"\n]+)`, 'm').exec(text)?.[1]);
  return `${id ?? process.platform}${version ?? ''}-${process.arch}`;
}

function shortened(path: string): string {
  return path.startsWith(PROJECT) ? relative(PROJECT, path) : path;
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
