/** Two instances as real processes, each with its own proxy to one real Redis. */
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from '../support/build.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type RedisCluster, startCluster } from '../support/redis-cluster.ts';
import { ServerProcess } from '../support/server-process.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { scaled } from '../support/time-scale.ts';
import { until } from '../support/until.ts';
import { Api } from '../support/worker-api.ts';

/** The service that `npm run build` built. */
export const CURRENT_MAIN = join(ROOT, 'dist', 'main.js');
export const MERCHANTS = ['loja1', 'loja2'];
/** The contract limits the time of a stop. */
const STOP_WITHIN_MS = 10_000;

/** How to start an instance. Omitted fields keep their value, except `stdout`. */
export interface Setup {
  /** The path of the service's `main.js`. */
  main?: string;
  env?: Record<string, string>;
  /** The target of standard output. Default: it is read. */
  stdout?: string;
}

export class Player {
  readonly api: Api;
  readonly proxy: TcpProxy;
  readonly #folder: GuardedFolder;
  readonly #volume: string;
  #env: Record<string, string>;
  #main: string;
  #stdout: string | undefined;
  #process: ServerProcess | undefined;
  #isVolumeAway = false;

  private constructor(api: Api, proxy: TcpProxy, folder: GuardedFolder, env: Record<string, string>, main: string) {
    this.api = api;
    this.proxy = proxy;
    this.#folder = folder;
    this.#volume = env['DATA_DIR'] as string;
    this.#env = env;
    this.#main = main;
  }

  /** @param storeUrl of a cluster, which has no proxy */
  static async start(
    redis: RedisServer,
    ttlSeconds: number,
    accept: string,
    main = CURRENT_MAIN,
    storeUrl?: string,
  ): Promise<Player> {
    const proxy = await startProxy({ host: redis.host, port: redis.port });
    const folder = await GuardedFolder.make('chaos-');
    const [port, workerPort] = [await freePort(), await freePort()];
    const env = {
      HOST: LOOPBACK,
      PORT: String(port),
      WORKER_PORT: String(workerPort),
      AUTHENTICITY_PATHS: MERCHANTS.map((merchant) => `${merchant}=/${merchant}`).join(','),
      DATA_DIR: join(folder.path, 'data'),
      STORE_URL: storeUrl ?? `redis://${LOOPBACK}:${proxy.port}`,
      TOKEN_TTL_SECONDS: String(ttlSeconds),
      ACCEPT: accept,
      LOG_LEVEL: 'warn',
    };
    const at = { authenticityUrl: `http://${LOOPBACK}:${port}`, workerUrl: `http://${LOOPBACK}:${workerPort}` };
    const player = new Player(new Api(at), proxy, folder, env, main);
    await player.run();
    return player;
  }

  async run(): Promise<void> {
    const node = [process.execPath, this.#main] as const;
    const [path, ...args] =
      this.#stdout === undefined ? node : ['sh', '-c', `exec "$@" > ${this.#stdout}`, 'sh', ...node];
    const running = await ServerProcess.start({ path, args, env: this.#env, folder: this.#folder });
    this.#process = running;
    await until('the instance answers', async () => {
      if (!running.running) throw new Error(`expected the instance to run: ${running.output}`);
      return (await this.api.get('/livez')).status === 200;
    });
  }

  /**
   * Stops the instance by SIGTERM, like an update, and starts it with these options. Resolves when
   * it answers.
   */
  async restart({ main, env, stdout }: Setup): Promise<void> {
    const begun = performance.now();
    const code = await this.#process?.terminate();
    if (code !== 0) throw new Error(`expected the instance to stop with 0, got ${code}: ${this.output}`);
    const ms = performance.now() - begun;
    if (ms > scaled(STOP_WITHIN_MS)) throw new Error(`expected the instance to stop within 10 s, it took ${ms} ms`);
    this.#main = main ?? this.#main;
    this.#env = { ...this.#env, ...env };
    this.#stdout = stdout;
    await this.run();
  }

  /** Starts another version in its place. */
  async replaceBy(main: string): Promise<void> {
    await this.restart({ main });
  }

  /**
   * Simulates a volume that is not mounted: a file replaces the directory. Call it while no process
   * runs.
   */
  async takeVolume(): Promise<void> {
    this.#isVolumeAway = true;
    await rename(this.#volume, `${this.#volume}.elsewhere`);
    await writeFile(this.#volume, 'a file, where the directory will be');
  }

  /** Resolves when the process has loaded the records of the volume. */
  async returnVolume(): Promise<void> {
    await rm(this.#volume);
    await rename(`${this.#volume}.elsewhere`, this.#volume);
    await until('the disk is back', async () => (await readiness(this.api)).fallback['disk'] === 'ok', 60_000);
    this.#isVolumeAway = false;
  }

  /** While it is, the instance knows nothing of what came before. */
  get isVolumeAway(): boolean {
    return this.#isVolumeAway;
  }

  /** The environment of the next start. */
  setting(name: string): string | undefined {
    return this.#env[name];
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  get output(): string {
    return this.#process?.output ?? '';
  }

  async stop(): Promise<void> {
    await this.kill();
    await this.proxy.stop();
    await this.#folder.remove();
  }
}

export interface Stage {
  redis: RedisServer;
  /** Set if the instances use a cluster. Then `redis` is its first node. */
  cluster: RedisCluster | undefined;
  players: Player[];
  onKill(instance: number): void;
}

export interface StageOptions {
  ttlSeconds: number;
  accept: string;
  /** The first `main.js` of the instances. */
  main: string;
  isCluster: boolean;
  onKill(instance: number): void;
}

export async function startStage({ ttlSeconds, accept, main, isCluster, onKill }: StageOptions): Promise<Stage> {
  // Redis must keep what it acknowledged. By default, its file may be seconds behind on a slow
  // disk.
  const options = { config: { appendfsync: 'always' } };
  const cluster = isCluster ? await startCluster(options) : undefined;
  const redis = cluster?.nodes[0] ?? (await startRedis(options));
  const players = await Promise.all([1, 2].map(() => Player.start(redis, ttlSeconds, accept, main, cluster?.url)));
  return { redis, cluster, players, onKill };
}

export async function stopStage({ redis, cluster, players }: Stage): Promise<void> {
  await Promise.all(players.map((player) => player.stop()));
  await (cluster ?? redis).stop();
}

/**
 * If both Redis and one instance fail, records that only those two have are lost. So the next fault
 * waits until each record exists twice.
 */
export async function untilTogether(players: readonly Pick<Player, 'api'>[]): Promise<void> {
  for (const { api } of players) {
    await until(
      'the stores are brought together',
      async () => {
        const { store, fallback } = await readiness(api);
        return store['state'] === 'ok' && fallback['state'] === 'idle' && fallback['pending'] === 0;
      },
      30_000,
    );
  }
}

async function readiness(api: Api): Promise<Record<'store' | 'fallback', Record<string, unknown>>> {
  return (await api.get('/readyz')).body as Record<'store' | 'fallback', Record<string, unknown>>;
}
