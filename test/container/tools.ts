/** The files of `deploy/` under the tools that read them, where the machine has these; what it has not is said. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Check } from './checks.ts';
import { works } from './engine.ts';

const PROJECT = new URL('../../', import.meta.url).pathname;
const UNIT = 'deploy/systemd/carat-authenticity.service';

export function tools(): Check[] {
  return [
    ['shell scripts, by shellcheck', () => by('shellcheck', ['test/container/stand-ins.sh'])],
    ['compose file, by docker-compose', () => by('docker-compose', ['--profile', 'scale', 'config', '-q'])],
    ['Kubernetes manifests put together, by kubectl', () => by('kubectl', ['kustomize', 'deploy/kubernetes'])],
    ['systemd unit, by systemd-analyze', verifiedUnit],
    [
      'rolling update behind nginx and Caddy',
      async () => {
        const env = { ...process.env, ROLLING_CADDY: '1' };
        const told = await run('npx', ['vitest', 'run', 'test/deploy/rolling-update.test.ts'], env);
        return told.match(/^(nginx|caddy): \d+ posts.*$/gm)?.join('; ');
      },
    ],
  ];
}

async function by(command: string, args: string[]): Promise<string | undefined> {
  if (!(await works('sh', '-c', `command -v ${command}`))) return `NOT CHECKED, no ${command} here`;
  await run(command, args, { ...process.env, WORKER_API_KEYS: 'key' });
  return undefined;
}

/** The unit is looked at with this machine's node, and with nothing that an installation would bring. */
async function verifiedUnit(): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'unit-'));
  try {
    const unit = join(folder, 'carat-authenticity.service');
    const text = await readFile(join(PROJECT, UNIT), 'utf8');
    await writeFile(unit, text.replace('/usr/bin/node', process.execPath));
    const skipped = await by('systemd-analyze', ['verify', unit]);
    if (skipped !== undefined) return skipped;
    const told = await run('systemd-analyze', ['security', '--offline=true', unit], process.env);
    return /Overall exposure level.*?: ([\d.]+)/.exec(told)?.[0];
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function run(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<string> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, args, { cwd: PROJECT, env, maxBuffer: 1 << 26 });
    return stdout + stderr;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${command} failed:\n${(stdout + stderr).slice(-3000)}`);
  }
}
