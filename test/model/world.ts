/** The service under test as processes: one on the embedded store, or two on one real Redis. */
import { Agent } from 'node:http';
import { join } from 'node:path';
import { ROOT } from '../support/build.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { ServerProcess } from '../support/server-process.ts';
import { until } from '../support/until.ts';
import { Api } from '../support/worker-api.ts';
import type { Rules } from './model.ts';

const MAIN = join(ROOT, 'dist', 'main.js');

const LOOK_EVERY_MS = 50;

export class World {
  readonly instances: readonly Instance[];
  readonly #redis: RedisServer | undefined;
  #lastAway = 0;
  #watch: NodeJS.Timeout | undefined;

  private constructor(instances: readonly Instance[], redis: RedisServer | undefined) {
    this.instances = instances;
    this.#redis = redis;
  }

  static async start(store: 'embedded' | 'redis', merchants: readonly string[], rules: Rules): Promise<World> {
    const redis = store === 'redis' ? await startRedis({ config: { appendfsync: 'always' } }) : undefined;
    const env = {
      AUTHENTICITY_PATHS: merchants.map((merchant) => `${merchant}=/${merchant}`).join(','),
      TOKEN_TTL_SECONDS: String(rules.ttlSeconds),
      ACCEPT: rules.accept,
      ON_CONFLICT: rules.onConflict,
      LOG_LEVEL: 'warn',
      ...(redis === undefined ? {} : { STORE_URL: redis.url }),
    };
    const instances: Instance[] = [];
    const world = new World(instances, redis);
    try {
      for (let count = store === 'redis' ? 2 : 1; count > 0; count--) instances.push(await Instance.start(env));
      await world.settled();
      if (redis !== undefined) world.#watch = setInterval(() => void world.#look(), LOOK_EVERY_MS);
      return world;
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  /** Resolves when the stores are reconciled. */
  async settled(): Promise<void> {
    for (const { api } of this.instances) {
      await until('the stores are brought together', async () => {
        // The embedded store has no fallback.
        const { store, fallback } = (await api.get('/readyz')).body as Record<string, Record<string, unknown> | null>;
        const isIdle = !fallback || (fallback['state'] === 'idle' && fallback['pending'] === 0);
        return store?.['state'] === 'ok' && isIdle;
      });
    }
  }

  /** Whether an instance treated Redis as away since a time, in milliseconds since 1970. */
  wasAwaySince(since: number): boolean {
    return this.#lastAway >= since;
  }

  async #look(): Promise<void> {
    for (const { api } of this.instances) {
      // A killed instance does not answer.
      const answer = await api.get('/readyz').catch(() => undefined);
      const store = answer?.body?.['store'] as { state: string } | undefined;
      if (store !== undefined && store.state !== 'ok') this.#lastAway = Date.now();
    }
  }

  async stop(): Promise<void> {
    clearInterval(this.#watch);
    await Promise.all(this.instances.map((instance) => instance.stop()));
    await this.#redis?.stop();
  }
}

class Instance {
  readonly api: Api;
  readonly #agent: Agent;
  readonly #folder: GuardedFolder;
  readonly #env: Record<string, string>;
  #process: ServerProcess | undefined;

  private constructor(api: Api, agent: Agent, folder: GuardedFolder, env: Record<string, string>) {
    this.api = api;
    this.#agent = agent;
    this.#folder = folder;
    this.#env = env;
  }

  static async start(env: Record<string, string>): Promise<Instance> {
    const folder = await GuardedFolder.make('model-');
    const [port, workerPort] = [await freePort(), await freePort()];
    const at = { authenticityUrl: `http://${LOOPBACK}:${port}`, workerUrl: `http://${LOOPBACK}:${workerPort}` };
    const agent = new Agent({ keepAlive: true });
    const own = { HOST: LOOPBACK, PORT: String(port), WORKER_PORT: String(workerPort) };
    const all = { ...own, DATA_DIR: join(folder.path, 'data'), ...env };
    const instance = new Instance(new Api(at, agent), agent, folder, all);
    await instance.#run();
    return instance;
  }

  /** SIGKILL and restart on the same directory and ports. */
  async killAndRestart(): Promise<void> {
    await this.#process?.kill();
    await this.#run();
  }

  async stop(): Promise<void> {
    this.#agent.destroy();
    await this.#process?.kill();
    await this.#folder.remove();
  }

  async #run(): Promise<void> {
    const launch = { path: process.execPath, args: [MAIN], env: this.#env, folder: this.#folder };
    const running = await ServerProcess.start(launch);
    this.#process = running;
    await until('the instance answers', async () => {
      if (!running.running) throw new Error(`expected the instance to run: ${running.output}`);
      return (await this.api.get('/livez')).status === 200;
    });
  }
}
