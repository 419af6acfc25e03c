/**
 * What builds and runs containers: Docker where it answers; else Debian's buildah, podman and runc as root, with stand-ins
 * for the images of a registry, and docker-compose speaking to podman.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const PROJECT = new URL('../../', import.meta.url).pathname;
const FOLDER = join(PROJECT, '.cache', 'container');
const IMAGE = 'localhost/carat-authenticity:test';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const NEEDED = ['buildah', 'podman', 'runc', 'mmdebstrap', 'iptables', 'docker-compose'];
const INSTALL = `apt-get install --no-install-recommends ${NEEDED.join(' ')} netavark aardvark-dns`;

/** The names of images that differ between engines, as the compose file's variables. */
const STAND_INS = {
  REDIS_IMAGE: 'localhost/carat-redis-stand-in:1',
  NGINX_IMAGE: 'localhost/carat-nginx-stand-in:1',
};

export class Engine {
  readonly name: string;
  readonly #command: readonly string[];
  readonly #compose: readonly string[];
  readonly #env: Record<string, string>;
  readonly #service: ChildProcess | undefined;

  private constructor(
    name: string,
    parts: { command: string[]; compose: string[]; env: Record<string, string>; service?: ChildProcess },
  ) {
    this.name = name;
    this.#command = parts.command;
    this.#compose = parts.compose;
    this.#env = { IMAGE, COMPOSE_PROJECT_NAME: 'carat-test', ...parts.env };
    this.#service = parts.service;
  }

  static async open(): Promise<Engine> {
    if (await works('docker', 'info')) {
      const compose = (await works('docker', 'compose', 'version')) ? ['docker', 'compose'] : ['docker-compose'];
      return new Engine(`Docker, ${await versions(['docker', '--version'], [...compose, 'version'])}`, {
        command: ['docker'],
        compose,
        env: { DOCKER_BUILDKIT: '1' },
      });
    }
    const found = await Promise.all(NEEDED.map((name) => works('sh', '-c', `command -v ${name}`)));
    const missing = NEEDED.filter((_, at) => !found[at]);
    if (missing.length > 0 || process.getuid?.() !== 0) {
      throw new Error(`expected a Docker engine, or root and ${missing.join(', ')} (${INSTALL})`);
    }
    return Engine.#withoutEngine();
  }

  static async #withoutEngine(): Promise<Engine> {
    await mkdir(FOLDER, { recursive: true });
    const configuration = join(FOLDER, 'containers.conf');
    await writeFile(configuration, CONTAINERS_CONF);
    const places = ['--storage-driver', 'vfs', '--root', join(FOLDER, 'root'), '--runroot', join(FOLDER, 'run')];
    const command = ['podman', ...places, '--runtime', 'runc'];
    const socket = `unix://${join(FOLDER, 'podman.sock')}`;
    const env = { CONTAINERS_CONF: configuration, DOCKER_HOST: socket, ...STAND_INS };
    const [podman = '', ...rest] = [...command, 'system', 'service', '--time', '0', socket];
    const service = spawn(podman, rest, { env: { ...process.env, ...env }, stdio: 'ignore' });
    const used = ['buildah', 'podman', 'runc', 'docker-compose'].map((name) => [name, '--version']);
    const name = `no Docker engine; ${await versions(...used)}`;
    return new Engine(name, { command, compose: ['docker-compose'], env, service });
  }

  /** Builds the image. Without an engine, its base is made first, and kept in `.cache/container`. */
  async build(): Promise<void> {
    if (this.#service === undefined) {
      await this.#run(['docker', 'build', '-t', IMAGE, PROJECT]);
      return;
    }
    await this.#run(['sh', join(PROJECT, 'test/container/stand-ins.sh'), FOLDER]);
    await this.#import('node', 'localhost/carat-node-stand-in:1');
    await this.#import('runtime', 'localhost/carat-runtime-stand-in:1');
    await this.#import('redis', STAND_INS.REDIS_IMAGE, 'WORKDIR /data', 'USER 1000');
    await this.#import('nginx', STAND_INS.NGINX_IMAGE, 'CMD ["nginx", "-e", "stderr", "-g", "daemon off;"]');
    const [, ...places] = this.#command.slice(0, 7);
    const options = ['--isolation', 'chroot', '--format', 'docker', '--layers'];
    const bases = [
      ...['--build-arg', 'BASE=localhost/carat-node-stand-in:1'],
      ...['--build-arg', 'RUNTIME=localhost/carat-runtime-stand-in:1'],
    ];
    await this.#run(['buildah', ...places, 'build', ...options, ...bases, '-t', IMAGE, PROJECT]);
  }

  /** What `docker` would do: exec, inspect, stop. Gives what it printed. */
  docker(...args: string[]): Promise<string> {
    return this.#run([...this.#command, ...args]);
  }

  compose(...args: string[]): Promise<string> {
    return this.#run([...this.#compose, '-f', join(PROJECT, 'docker-compose.yml'), ...args]);
  }

  /** The id of a service's container. */
  async container(service: string): Promise<string> {
    const filters = ['com.docker.compose.project=carat-test', `com.docker.compose.service=${service}`];
    const ids = await this.docker('ps', '-aq', ...filters.flatMap((label) => ['--filter', `label=${label}`]));
    const [id = ''] = ids.split('\n');
    if (id === '') throw new Error(`expected a container of ${service}`);
    return id;
  }

  /** One field of a container, or of the image without a name. */
  async inspect(format: string, name = IMAGE): Promise<string> {
    return this.docker('inspect', '--format', `{{json ${format}}}`, name);
  }

  async close(): Promise<void> {
    await this.compose('--profile', 'scale', '--profile', 'simulator', 'down', '-v').catch(() => undefined);
    this.#service?.kill('SIGTERM');
  }

  async #import(tree: string, image: string, ...changes: string[]): Promise<void> {
    if (await this.docker('image', 'exists', image).catch(() => false)) return;
    const ca = 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt';
    const all = [`ENV PATH=${PATH}`, ...(tree === 'node' ? [ca] : []), ...changes];
    await this.docker('import', ...all.flatMap((change) => ['--change', change]), join(FOLDER, `${tree}.tar`), image);
  }

  async #run([command = '', ...args]: string[]): Promise<string> {
    const env = { ...process.env, WORKER_API_KEYS: KEY, ...this.#env };
    try {
      const { stdout } = await promisify(execFile)(command, args, { cwd: PROJECT, env, maxBuffer: 64 * 1024 * 1024 });
      return stdout.trim();
    } catch (error) {
      const { stderr = '', stdout = '', message } = error as Error & { stderr?: string; stdout?: string };
      throw new Error(`${message.split('\n')[0]}\n${stdout.slice(-3000)}\n${stderr.slice(-3000)}`);
    }
  }
}

export const KEY = 'a-key-for-the-test';

// Containers of a sandbox have no more limits than it has, and no systemd that could start them.
const CONTAINERS_CONF = `
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
network_backend = "netavark"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
`;

export async function works(command: string, ...args: string[]): Promise<boolean> {
  return promisify(execFile)(command, args, { timeout: 20_000 }).then(
    () => true,
    () => false,
  );
}

async function versions(...commands: string[][]): Promise<string> {
  const told = await Promise.all(
    commands.map(async ([command = '', ...args]) => (await promisify(execFile)(command, args)).stdout.split('\n')[0]),
  );
  return told.join(', ');
}
