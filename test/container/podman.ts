/**
 * Containers on a machine without an engine: Debian's buildah, podman and runc as root, stand-ins
 * for registry images, and docker-compose with podman. All files are in temporary folders. Only the
 * trees of the stand-ins are kept, in `.cache/container`.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { access, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'yaml';
import { until } from '../support/until.ts';
import type { Commands } from './commands.ts';
import { COMPOSE_FILE, composeArguments, type Engine, IMAGE, KEY, labelArguments, PROJECT } from './engine.ts';

const STAND_INS = join(PROJECT, 'test', 'container', 'stand-ins.sh');
const CACHE = join(PROJECT, '.cache', 'container');
const STORAGE = join(CACHE, 'storage');
/** The trees of the current version of the script. */
const KEPT = join(CACHE, createHash('sha256').update(readFileSync(STAND_INS)).digest('hex').slice(0, 8));
const NEEDED = ['buildah', 'podman', 'runc', 'mmdebstrap', 'iptables', 'docker-compose'];
/** Programs of podman outside of the PATH. */
const PARTS = ['netavark', 'aardvark-dns'];
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const REGISTRY_IMAGES = {
  REDIS_IMAGE: 'localhost/carat-redis-stand-in',
  NGINX_IMAGE: 'localhost/carat-nginx-stand-in',
};
const GONE_WITHIN_MS = 60_000;
const MAX_STEP_CHARACTERS = 110;
const NODE_IMAGE = 'localhost/carat-node-stand-in';
const RUNTIME_IMAGE = 'localhost/carat-runtime-stand-in';

/** @param temporary a folder with a short path, for sockets; removed after the run */
export async function openPodman(commands: Commands, temporary: string): Promise<Engine> {
  await allThere(commands);
  const used = [...NEEDED.slice(0, 3), 'docker-compose'].map((name) => [name, '--version']);
  const name = `no container engine, but ${(await commands.versions(...used)).join(', ')}`;
  await removeStorage(commands);
  await mkdir(STORAGE, { recursive: true });
  const configuration = join(temporary, 'containers.conf');
  await writeFile(configuration, await containersConf(commands));
  const variables = { WORKER_API_KEYS: KEY, IMAGE, ...REGISTRY_IMAGES };
  const envFile = join(temporary, 'env');
  await writeFile(
    envFile,
    Object.entries(variables)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  );
  const store = ['--storage-driver', 'vfs', '--root', STORAGE, '--runroot', join(temporary, 'run')];
  const own = ['--tmpdir', join(temporary, 'tmp'), '--network-config-dir', join(temporary, 'networks')];
  const podman = ['podman', ...store, ...own, '--runtime', 'runc'];
  const socket = join(temporary, 'podman.sock');
  const env = { CONTAINERS_CONF: configuration, DOCKER_HOST: `unix://${socket}`, TMPDIR: temporary };
  const docker = (...args: string[]): Promise<string> => commands.run([...podman, ...args], { env });
  const [program = '', ...rest] = [...podman, 'system', 'service', '--time', '0', `unix://${socket}`];
  // Its own process group: a Ctrl-C must not reach it.
  const service = spawn(program, rest, { env: { ...process.env, ...env }, stdio: 'ignore', detached: true });
  const gone = once(service, 'close');

  async function imported(tree: string, image: string, ...changes: string[]): Promise<void> {
    const all = [`ENV PATH=${PATH}`, ...changes].flatMap((change) => ['--change', change]);
    await docker('import', ...all, join(KEPT, `${tree}.tar`), image);
  }

  return {
    name,
    base: "a stand-in made of Debian's packages and npm's Node 24, without shell",
    docker,
    async compose(...args) {
      // Check the file itself.
      const file = args.includes('config') ? undefined : await composeFile(temporary, docker);
      return commands.run(['docker-compose', ...composeArguments(envFile, file), ...args], { env });
    },
    async build(step) {
      await until('podman answers', () => access(socket).then(() => true));
      step("the stand-ins for a registry's images");
      const made = (text: string): void => (/^\w+: /.test(text) && !/^[A-Z]: /.test(text) ? step(text) : undefined);
      await commands.run(['sh', STAND_INS, KEPT, temporary], { env, line: made });
      const ca = 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt';
      await imported('node', NODE_IMAGE, ca);
      await imported('runtime', RUNTIME_IMAGE, 'ENTRYPOINT ["/nodejs/bin/node"]');
      await imported('redis', REGISTRY_IMAGES.REDIS_IMAGE, 'WORKDIR /data', 'USER 1000');
      await imported('nginx', REGISTRY_IMAGES.NGINX_IMAGE, 'CMD ["nginx", "-e", "stderr", "-g", "daemon off;"]');
      const npmrc = join(temporary, 'npmrc');
      await writeFile(npmrc, `registry=${await commands.run(['npm', 'config', 'get', 'registry'])}\n`);
      const options = ['--isolation', 'chroot', '--format', 'docker', '--secret', `id=npmrc,src=${npmrc}`];
      const bases = ['--build-arg', `BASE=${NODE_IMAGE}`, '--build-arg', `RUNTIME=${RUNTIME_IMAGE}`];
      const build = ['build', ...options, ...bases, ...(await labelArguments(commands)), '-t', IMAGE, PROJECT];
      const line = (text: string): void => {
        const [, told] = /^(\[.*?STEP .*|STEP .*)$/.exec(text) ?? [];
        if (told !== undefined) step(told.slice(0, MAX_STEP_CHARACTERS));
      };
      await commands.run(['buildah', ...store, ...build], { env, line });
    },
    async reaches(container, url) {
      const pid = await docker('inspect', '--format', '{{.State.Pid}}', container);
      const ask = `fetch('${url}', { signal: AbortSignal.timeout(5000) }).then(({ ok }) => process.exit(ok ? 0 : 1))`;
      return commands.works('nsenter', '--target', pid, '--net', process.execPath, '-e', ask);
    },
    async close() {
      // Stop this first, so that nothing new appears during the removal.
      if (service.pid !== undefined && service.exitCode === null) service.kill('SIGTERM');
      await gone;
      await docker('rm', '--all', '--force', '--time', '0');
      const networks = (await docker('network', 'ls', '-q')).split('\n').filter((one) => !['', 'podman'].includes(one));
      if (networks.length > 0) await docker('network', 'rm', '--force', ...networks);
      await removeStorage(commands);
    },
  };
}

interface Composed {
  networks: Record<string, { ipam: { config: [{ subnet: string }] } } | { external: true; name: string } | null>;
}

/**
 * The compose file for docker-compose 1. That version fails the second time with a network that has
 * its own addresses, so the network is created before.
 */
async function composeFile(folder: string, docker: Engine['docker']): Promise<string> {
  const file = join(folder, 'docker-compose.yml');
  if (
    await access(file).then(
      () => true,
      () => false,
    )
  )
    return file;
  const composed = parse(await readFile(COMPOSE_FILE, 'utf8'), { merge: true }) as Composed;
  const { scale } = composed.networks;
  if (!scale || !('ipam' in scale)) throw new Error('expected a network `scale` with a subnet');
  const name = 'carat-test-scale';
  await docker('network', 'create', '--subnet', scale.ipam.config[0].subnet, name);
  composed.networks['scale'] = { external: true, name };
  await writeFile(file, JSON.stringify(composed));
  return file;
}

/** @throws Error that names the missing programs, and how to install them */
async function allThere(commands: Commands): Promise<void> {
  const found = await Promise.all(NEEDED.map((name) => commands.works('sh', '-c', `command -v ${name}`)));
  const parts = await Promise.all(
    PARTS.map((name) =>
      commands.works('sh', '-c', `ls /usr/lib/podman/${name} /usr/libexec/podman/${name} | grep -q .`),
    ),
  );
  const missing = [...NEEDED.filter((_, at) => !found[at]), ...PARTS.filter((_, at) => !parts[at])];
  const install = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  const problems = [
    ...(process.getuid?.() === 0 ? [] : ['this user is not root']),
    ...(missing.length === 0 ? [] : [`there is no ${missing.join(', ')} (${install})`]),
  ];
  if (problems.length > 0) {
    throw new Error(
      `expected a Docker engine that answers, or root with Debian's container tools; ${problems.join('; ')}`,
    );
  }
}

/** True when a process has the storage among its arguments. */
async function isUsed(): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.some((line) => line.split('\0').slice(1).includes(STORAGE));
}

/** Do not remove a tree with mounts: the mounted folder would be emptied. */
async function removeStorage(commands: Commands): Promise<void> {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1] ?? '');
  const left = mounts.filter((mount) => mount.startsWith(`${STORAGE}/`));
  for (const mount of left.reverse()) await commands.run(['umount', mount]);
  // Podman's clean-up process still writes there for a moment after a container's end.
  const remove = (): Promise<boolean> => commands.works('rm', '-rf', '--one-file-system', STORAGE);
  await until('the storage is removed', async () => !(await isUsed()) && (await remove()), GONE_WITHIN_MS);
}

/** Inside a sandbox, containers need no limits of their own, and no systemd can start them. */
async function containersConf(commands: Commands): Promise<string> {
  const files = await commands.run(['sh', '-c', 'ulimit -n']);
  return `
[containers]
default_ulimits = ["nofile=${files}:${files}", "nproc=4096:4096"]
[network]
network_backend = "netavark"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
`;
}
