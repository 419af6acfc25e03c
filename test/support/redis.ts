/** Real Redis or Valkey servers on free loopback ports, each in its own temporary folder. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from './certificate.ts';
import { GuardedFolder } from './guarded-folder.ts';
import { freePort, LOOPBACK } from './ports.ts';
import { sendCommand } from './redis-command.ts';
import { sharedRedisUrl } from './redis-source.ts';
import { ServerProcess } from './server-process.ts';
import { scaled } from './time-scale.ts';
import { findTool, type Tool } from './tools.ts';
import { until } from './until.ts';

const BIND_DEADLINE_MS = scaled(10_000);

const DEFAULT_CONFIG = {
  save: '""',
  appendonly: 'yes',
  appendfsync: 'everysec',
  'maxmemory-policy': 'noeviction',
  'repl-diskless-sync-delay': '0',
};

export interface RedisOptions {
  server?: 'redis' | 'valkey';
  /** Lines of redis.conf by directive. They extend or replace the defaults. */
  config?: Record<string, string>;
  /** Serve TLS only, with this certificate. */
  tls?: Certificate;
}

/** Options of a group of servers. Its nodes talk to each other without TLS or a password. */
export type GroupOptions = Omit<RedisOptions, 'tls'>;

/** `sentinel`: the same program, which watches other servers. */
export type RedisKind = 'server' | 'sentinel';

export type SharedRedis = Pick<RedisServer, 'url' | 'stop'>;

/** A Redis that others may use, too. It is not configured, and each test has its own merchants. */
export async function shareRedis(): Promise<SharedRedis> {
  const url = await sharedRedisUrl();
  return url === undefined ? startRedis() : { url, stop: async () => {} };
}

/** Starts one server and resolves when it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const config = { ...DEFAULT_CONFIG, ...options.config };
  return RedisServer.start('server', { ...options, config });
}

export class RedisServer {
  readonly host = LOOPBACK;
  readonly #kind: RedisKind;
  readonly #binary: Tool;
  readonly #options: RedisOptions;
  readonly #folder: GuardedFolder;
  #port = 0;
  #process: ServerProcess | undefined;

  private constructor(kind: RedisKind, options: RedisOptions, made: { binary: Tool; folder: GuardedFolder }) {
    this.#kind = kind;
    this.#options = options;
    this.#binary = made.binary;
    this.#folder = made.folder;
  }

  /** `config` is the whole configuration: this adds no defaults. */
  static async start(kind: RedisKind, options: RedisOptions): Promise<RedisServer> {
    const name = options.server ?? 'redis';
    const binary = await findTool(name);
    const folder = await GuardedFolder.make(`test-${name}-`);
    const server = new RedisServer(kind, options, { binary, folder });
    try {
      await server.#startOnFreePort();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    const password = this.#password === undefined ? '' : `:${encodeURIComponent(this.#password)}@`;
    return `${this.#options.tls ? 'rediss' : 'redis'}://${password}${this.host}:${this.#port}`;
  }

  get running(): boolean {
    return this.#process?.running === true;
  }

  get pid(): number {
    if (this.#process === undefined) throw new Error('expected a server that was started');
    return this.#process.pid;
  }

  /** Fails within seconds if the server is down or frozen. Replies have the form of RESP2. */
  command(name: string, ...args: string[]): Promise<unknown> {
    return sendCommand(
      { port: this.#port, password: this.#password, tls: this.#options.tls !== undefined },
      name,
      args,
    );
  }

  /** One section of INFO, by field. */
  async info(section: string): Promise<Map<string, string>> {
    const text = String(await this.command('INFO', section));
    return new Map([...text.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, field = '', value = '']) => [field, value]));
  }

  /**
   * SIGKILL. With `appendonly yes`, acknowledged writes exist after `restart`: the kernel has them.
   */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  /** SIGSTOP: clients stay connected and get no answer. */
  hang(): void {
    this.#process?.freeze();
  }

  /** SIGCONT: the server now executes and answers what it was sent. */
  resume(): void {
    this.#process?.thaw();
  }

  /**
   * Restarts the server on the same port and data; kills a running one. Resolves when it answers.
   */
  async restart(): Promise<void> {
    await this.kill();
    await this.#startWithRetry(async () => undefined);
  }

  /**
   * Restarts the server on the same port without data; kills a running one. Resolves when it
   * answers.
   */
  async restartEmpty(): Promise<void> {
    await this.kill();
    for (const name of ['appendonlydir', 'dump.rdb']) {
      await rm(join(this.#folder.path, name), { recursive: true, force: true });
    }
    await this.restart();
  }

  async stop(): Promise<void> {
    await this.kill();
    await this.#folder.remove();
  }

  get #password(): string | undefined {
    return this.#options.config?.['requirepass'];
  }

  async #startOnFreePort(): Promise<void> {
    await this.#startWithRetry(async () => {
      this.#port = await freePort();
      await writeFile(this.#configFile, await this.#configText());
    });
  }

  /**
   * Retries: another process may have taken the port since it was chosen, or while the server was
   * down.
   */
  async #startWithRetry(prepare: () => Promise<void>): Promise<void> {
    const deadline = performance.now() + BIND_DEADLINE_MS;
    for (;;) {
      await prepare();
      const process = await ServerProcess.start({
        path: this.#binary.path,
        args: [this.#configFile, ...(this.#kind === 'sentinel' ? ['--sentinel'] : [])],
        env: this.#binary.env,
        folder: this.#folder,
      });
      this.#process = process;
      const ready = until(`${this.url} answers`, () => !process.running || this.#answers(process.pid));
      await Promise.race([ready, process.ended]);
      if (process.running) return;
      await process.kill();
      if (performance.now() > deadline || !process.output.includes('Address already in use')) {
        throw new Error(
          `expected ${this.#options.server ?? 'redis'}-server to start, but it ended:\n${process.output}`,
        );
      }
    }
  }

  /** Whether this process answers, with its data loaded. */
  async #answers(pid: number): Promise<boolean> {
    if ((await this.command('PING')) !== 'PONG') return false;
    return (await this.info('server')).get('process_id') === String(pid);
  }

  get #configFile(): string {
    return join(this.#folder.path, 'redis.conf');
  }

  async #configText(): Promise<string> {
    const { config = {}, tls } = this.#options;
    const lines: Record<string, string> = { bind: this.host, port: String(this.#port), ...config };
    if (tls) {
      Object.assign(lines, {
        port: '0',
        'tls-port': String(this.#port),
        'tls-cert-file': tls.certFile,
        'tls-key-file': tls.keyFile,
        'tls-ca-cert-file': tls.certFile,
        'tls-auth-clients': 'no',
      });
    }
    // The bus gets a free port: the default, 10,000 above, may be in use or out of range.
    if (config['cluster-enabled'] === 'yes') lines['cluster-port'] = String(await freePort());
    return Object.entries(lines)
      .map(([directive, value]) => `${directive} ${value}\n`)
      .join('');
  }
}
