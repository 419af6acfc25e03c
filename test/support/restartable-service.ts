/**
 * The whole service in this process, with the same ports after a restart, and Carat's posts to it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Service } from '../../src/service.ts';
import { postForm } from '../../src/simulator/poster.ts';
import { readScaledConfig } from './config.ts';
import { freePort, LOOPBACK } from './ports.ts';
import { scaled } from './time-scale.ts';

export class RestartableService {
  readonly authenticityUrl: string;
  readonly workerUrl: string;
  readonly workerPort: number;
  readonly #env: Record<string, string>;
  readonly #folder: string;
  #service: Service | undefined;

  private constructor(env: Record<string, string>, folder: string, port: number, workerPort: number) {
    this.#env = { HOST: LOOPBACK, PORT: String(port), WORKER_PORT: String(workerPort), DATA_DIR: folder, ...env };
    this.#folder = folder;
    this.workerPort = workerPort;
    this.authenticityUrl = `http://${LOOPBACK}:${port}/authenticity`;
    this.workerUrl = `http://${LOOPBACK}:${workerPort}`;
  }

  static async start(env: Record<string, string> = {}): Promise<RestartableService> {
    const folder = await mkdtemp(join(tmpdir(), 'service-'));
    for (;;) {
      const service = new RestartableService(env, folder, await freePort(), await freePort());
      try {
        await service.resume();
        return service;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      }
    }
  }

  /** Starts the service again after `suspend`. */
  async resume(): Promise<void> {
    const service = await Service.create(readScaledConfig(this.#env), { log: pino({ level: 'silent' }) });
    await service.start();
    this.#service = service;
  }

  /** Stops the service like a SIGTERM: ends the waits, and then closes the ports. */
  async suspend(): Promise<void> {
    await this.#service?.stop();
    this.#service = undefined;
  }

  async stop(): Promise<void> {
    await this.suspend();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Number of waiting workers. */
  get waiting(): number {
    return this.#service?.waiters.count ?? 0;
  }

  /** Sends an authenticity post. Returns the status. */
  post(fields: Record<string, string>, path?: string): Promise<number> {
    const url = path === undefined ? this.authenticityUrl : new URL(path, this.authenticityUrl).href;
    return postForm(url, fields, { timeoutMs: scaled(10_000) });
  }
}
