/**
 * Unpacks Debian packages into a folder without installing them. apt-get downloads them as any
 * user, with its own lists and cache. Nothing outside the folder changes, and no daemon starts.
 */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Chromium has a hundred megabytes. */
const COMMAND_TIMEOUT_MS = 900_000;

/** Packages that every Debian has. The C library must match the machine's loader. */
const ALWAYS_THERE = new Set(['libc6']);

/** Dependencies of the package `of`. `direct`: only its own. `only`: those with a matching name. */
export interface Dependencies {
  of: string;
  direct?: boolean;
  only: RegExp;
}

/** Unpacks packages and dependencies into `folder`. */
export async function unpackPackages(
  packages: readonly string[],
  dependencies: Dependencies,
  folder: string,
): Promise<void> {
  const work = join(folder, 'apt');
  await mkdir(join(work, 'lists', 'partial'), { recursive: true });
  await mkdir(join(work, 'cache', 'archives', 'partial'), { recursive: true });
  const configuration = join(work, 'apt.conf');
  await writeFile(join(work, 'sources.list'), await sources());
  await writeFile(configuration, aptConfiguration(work));

  // An unreachable third-party source makes the update fail, even if Debian's own lists arrived.
  // The download decides.
  const update = await run('apt-get', ['-c', configuration, 'update'], work).catch((error: Error) => error);
  try {
    const needed = new Set([...packages, ...(await dependenciesOf(dependencies, configuration, work))]);
    await run('apt-get', ['-c', configuration, 'download', ...needed], work);
  } catch (error) {
    throw new Error(`${(error as Error).message}${update instanceof Error ? `\n${update.message}` : ''}`);
  }
  const archives = (await readdir(work)).filter((file) => file.endsWith('.deb'));
  for (const archive of archives) await run('dpkg', ['-x', archive, folder], work);
  await rm(work, { recursive: true });
}

/** The folders below an unpacked tree that hold shared libraries, for `LD_LIBRARY_PATH`. */
export async function libraryFolders(folder: string): Promise<string[]> {
  const parents = await Promise.all(['lib', 'usr/lib'].map((parent) => subfolders(join(folder, parent))));
  // Programs such as systemd have their own libraries one level deeper.
  const children = await Promise.all(parents.flat().map(subfolders));
  const candidates = [...parents.flat(), ...children.flat()];
  const libraries = await Promise.all(candidates.map(async (one) => (await readdir(one)).some(isLibrary)));
  return candidates.filter((_, at) => libraries[at]);
}

function isLibrary(file: string): boolean {
  return /^lib.*\.so(\.|$)/.test(file);
}

async function subfolders(parent: string): Promise<string[]> {
  const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory()).map((entry) => join(parent, entry.name));
}

async function dependenciesOf(
  { of, direct = false, only }: Dependencies,
  configuration: string,
  work: string,
): Promise<string[]> {
  const unwanted = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'];
  const options = [...(direct ? [] : ['--recurse']), ...unwanted.map((kind) => `--no-${kind}`)];
  const { stdout } = await run('apt-cache', ['-c', configuration, 'depends', ...options, of], work);
  // A name in angle brackets is a virtual package.
  const names = [...stdout.matchAll(/^(?:[ |]*(?:Pre)?Depends: )?([a-z0-9]\S*)$/gm)].map(([, name = '']) => name);
  return [...new Set(names)].filter((name) => only.test(name) && !ALWAYS_THERE.has(name));
}

/** The machine's own sources, on Debian with its backports, where Debian 12 has Valkey. */
async function sources(): Promise<string> {
  const configured = await readFile('/etc/apt/sources.list', 'utf8').catch(() => '');
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1];
  if (!/^ID=debian$/m.test(release) || codename === undefined) return configured;
  const keys = '/usr/share/keyrings/debian-archive-keyring.gpg';
  return `${configured}\ndeb [signed-by=${keys}] http://deb.debian.org/debian ${codename}-backports main\n`;
}

/** Clear the hooks: they serve the machine's own lists, and may need root. */
function aptConfiguration(folder: string): string {
  return `
Dir::State::lists "${folder}/lists";
Dir::Cache "${folder}/cache";
Dir::Etc::sourcelist "${folder}/sources.list";
Acquire::Retries "1";
Acquire::http::Timeout "15";
Acquire::https::Timeout "15";
Acquire::Languages "none";
APT::Sandbox::User "root";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
`;
}

async function run(command: string, args: string[], folder: string): Promise<{ stdout: string }> {
  const env = { ...process.env, LC_ALL: 'C' };
  try {
    return await promisify(execFile)(command, args, { cwd: folder, env, timeout: COMMAND_TIMEOUT_MS });
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: string };
    throw new Error(`${command} failed: ${stderr?.trim() || message}`);
  }
}
