/** Two instances as real processes, each with its own way to one real Redis, and all the ways to harm them. */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ROOT } from '../support/build.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import type { Random } from '../support/random.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { ServerProcess } from '../support/server-process.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import type { Mode } from '../support/tcp-proxy-mode.ts';
import { until } from '../support/until.ts';
import { Api } from '../support/worker-api.ts';

/** The service as `npm run build` leaves it. */
export const CURRENT_MAIN = join(ROOT, 'dist', 'main.js');
export const MERCHANTS = ['loja1', 'loja2'];

export class Player {
  readonly api: Api;
  readonly proxy: TcpProxy;
  readonly #folder: GuardedFolder;
  readonly #env: Record<string, string>;
  #main: string;
  #process: ServerProcess | undefined;

  private constructor(api: Api, proxy: TcpProxy, folder: GuardedFolder, env: Record<string, string>, main: string) {
    this.api = api;
    this.proxy = proxy;
    this.#folder = folder;
    this.#env = env;
    this.#main = main;
  }

  static async start(redis: RedisServer, ttlSeconds: number, accept: string, main = CURRENT_MAIN): Promise<Player> {
    const proxy = await startProxy({ host: redis.host, port: redis.port });
    const folder = await GuardedFolder.make('chaos-');
    const [port, workerPort] = [await freePort(), await freePort()];
    const env = {
      HOST: LOOPBACK,
      PORT: String(port),
      WORKER_PORT: String(workerPort),
      AUTHENTICITY_PATHS: MERCHANTS.map((merchant) => `${merchant}=/${merchant}`).join(','),
      DATA_DIR: join(folder.path, 'data'),
      STORE_URL: `redis://${LOOPBACK}:${proxy.port}`,
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
    const launch = { path: process.execPath, args: [this.#main], env: this.#env, folder: this.#folder };
    const running = await ServerProcess.start(launch);
    this.#process = running;
    await until('the instance answers', async () => {
      if (!running.running) throw new Error(`expected the instance to run: ${running.output}`);
      return (await this.api.get('/livez')).status === 200;
    });
  }

  /** Stops it by SIGTERM, and starts another version in its place. */
  async replaceBy(main: string): Promise<void> {
    const code = await this.#process?.terminate();
    if (code !== 0) throw new Error(`expected the instance to stop with 0, got ${code}: ${this.output}`);
    this.#main = main;
    await this.run();
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
  players: Player[];
  onKill(instance: number): void;
}

export async function startStage(
  ttlSeconds: number,
  accept: string,
  onKill: (instance: number) => void,
): Promise<Stage> {
  // What it answered, it keeps: by default it may be seconds behind with its file when the disk is slow.
  const redis = await startRedis({ config: { appendfsync: 'always' } });
  const players = await Promise.all([1, 2].map(() => Player.start(redis, ttlSeconds, accept)));
  return { redis, players, onKill };
}

export async function stopStage({ redis, players }: Stage): Promise<void> {
  await Promise.all(players.map((player) => player.stop()));
  await redis.stop();
}

interface Fault {
  name: string;
  /** Resolves when all is well again. */
  run(stage: Stage, random: Random, signal: AbortSignal): Promise<void>;
}

const MODES: Mode[] = [
  { kind: 'refuse' },
  { kind: 'reset' },
  { kind: 'slow', toServer: 150, toClient: 150 },
  { kind: 'stall', direction: 'both' },
  { kind: 'stall', direction: 'to server' },
  { kind: 'stall', direction: 'to client' },
  { kind: 'blackhole', direction: 'both' },
  { kind: 'blackhole', direction: 'to client' },
  { kind: 'limit', toServer: 3000, toClient: 3000 },
];

const FAULTS: Fault[] = [
  {
    name: 'kill Redis',
    async run({ redis }, random, signal) {
      await redis.kill();
      await pause(200 + random.below(1500), signal);
      await redis.restart();
    },
  },
  {
    name: 'Redis comes back empty',
    async run({ redis, players }, random, signal) {
      await redis.kill();
      await pause(random.pick([0, 4000]), signal);
      await redis.restartEmpty();
      await untilTogether(players);
    },
  },
  {
    name: 'Redis loses its data',
    async run({ redis, players }) {
      await redis.command('FLUSHALL');
      await untilTogether(players);
    },
  },
  {
    name: 'Redis comes back empty, one instance after the other',
    async run({ redis, players }, random, signal) {
      const { proxy } = random.pick(players);
      await proxy.mode({ kind: 'refuse' });
      proxy.cut();
      await pause(500 + random.below(1500), signal);
      await redis.restartEmpty();
      await pause(random.below(2000), signal);
      await proxy.mode({ kind: 'pass' });
      await untilTogether(players);
    },
  },
  {
    name: 'hang Redis',
    async run({ redis }, random, signal) {
      redis.hang();
      await pause(100 + random.below(3500), signal);
      redis.resume();
    },
  },
  {
    name: 'flap Redis',
    async run({ redis }, _random, signal) {
      for (let round = 0; round < 3; round++) {
        redis.hang();
        await pause(300, signal);
        redis.resume();
        await pause(300, signal);
      }
    },
  },
  {
    name: 'trouble on the way',
    async run({ players }, random, signal) {
      const { proxy } = random.pick(players);
      await proxy.mode(random.pick(MODES));
      if (random.below(2) === 0) proxy.cut();
      await pause(200 + random.below(3500), signal);
      await proxy.mode({ kind: 'pass' });
    },
  },
  {
    name: 'trouble on both ways',
    async run({ players }, random, signal) {
      for (const { proxy } of players) await proxy.mode(random.pick(MODES));
      await pause(200 + random.below(2500), signal);
      for (const { proxy } of players) await proxy.mode({ kind: 'pass' });
    },
  },
  {
    name: 'cut',
    async run({ players }, random) {
      random.pick(players).proxy.cut();
    },
  },
  {
    name: 'forget scripts',
    async run({ redis }) {
      await redis.command('SCRIPT', 'FLUSH');
    },
  },
  {
    name: 'end subscriptions',
    async run({ redis }) {
      await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    },
  },
  {
    name: 'kill an instance',
    async run({ players, onKill }, random, signal) {
      const which = random.below(players.length);
      onKill(which);
      await players[which]?.kill();
      await pause(100 + random.below(800), signal);
      await players[which]?.run();
      onKill(which);
    },
  },
  {
    name: 'kill an instance while Redis hangs',
    async run({ redis, players, onKill }, random, signal) {
      const which = random.below(players.length);
      redis.hang();
      await pause(700, signal);
      onKill(which);
      await players[which]?.kill();
      await players[which]?.run();
      onKill(which);
      await pause(random.below(1000), signal);
      redis.resume();
    },
  },
];

/** Does harm, one fault after the other, until it is told to stop; then all is well. */
export async function monkey(
  stage: Stage,
  random: Random,
  signal: AbortSignal,
  onFault: (name: string) => void,
): Promise<void> {
  let order: Fault[] = [];
  while (!signal.aborted) {
    // Each fault comes once before any comes again.
    if (order.length === 0)
      order = FAULTS.map((fault) => ({ fault, at: random.next() }))
        .sort((a, b) => a.at - b.at)
        .map(({ fault }) => fault);
    const fault = order.pop() as Fault;
    onFault(fault.name);
    await fault.run(stage, random, signal);
    await pause(500 + random.below(2000), signal);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}

/** What only Redis and one instance know is lost with both: the next fault waits until it is known twice again. */
export async function untilTogether(players: readonly Pick<Player, 'api'>[]): Promise<void> {
  for (const { api } of players) {
    await until(
      'the stores are brought together',
      async () => {
        const body = (await api.get('/readyz')).body as Record<'store' | 'fallback', Record<string, unknown>>;
        return body.store['state'] === 'ok' && body.fallback['state'] === 'idle' && body.fallback['pending'] === 0;
      },
      30_000,
    );
  }
}
