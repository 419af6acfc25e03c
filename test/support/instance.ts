/**
 * An instance of the service as in production, in this process, on free ports and in its own
 * folder.
 */
import { join } from 'node:path';
import { pino } from 'pino';
import { Service } from '../../src/service.ts';
import { readScaledConfig } from './config.ts';
import { GuardedFolder } from './guarded-folder.ts';
import { until } from './until.ts';
import { Api } from './worker-api.ts';

export interface Line {
  level: number;
  event?: string;
  code?: string;
  msg: string;
  [fact: string]: unknown;
}

export class Instance extends Api {
  readonly service: Service;
  /** Its log lines, oldest first. */
  readonly log: Line[];
  readonly folder: GuardedFolder;

  private constructor(service: Service, log: Line[], folder: GuardedFolder) {
    super({ authenticityUrl: service.authenticityUrl, workerUrl: service.workerUrl });
    this.service = service;
    this.log = log;
    this.folder = folder;
  }

  static async start(storeUrl: string, env: Record<string, string> = {}, folder?: GuardedFolder): Promise<Instance> {
    const home = folder ?? (await GuardedFolder.make('instance-'));
    const log: Line[] = [];
    const logger = pino({ base: null }, { write: (line: string) => log.push(JSON.parse(line)) });
    const data = { DATA_DIR: join(home.path, 'data'), STORE_URL: storeUrl };
    const ports = { HOST: '127.0.0.1', PORT: '0', WORKER_PORT: '0' };
    const service = await Service.create(readScaledConfig({ ...ports, ...data, ...env }), { log: logger });
    await service.start();
    return new Instance(service, log, home);
  }

  get dataDir(): string {
    return join(this.folder.path, 'data');
  }

  /** How often it logged a notice with this code. */
  told(code: string): number {
    return this.log.filter((line) => line.code === code).length;
  }

  async ready(): Promise<{ status: number; store: Record<string, unknown>; fallback: Record<string, unknown> }> {
    const { status, body } = await this.get('/readyz');
    return { ...(body as { store: Record<string, unknown>; fallback: Record<string, unknown> }), status };
  }

  /** Resolves when Redis accepts writes and has everything. */
  async settled(): Promise<void> {
    await until('the stores are brought together', async () => {
      const { store, fallback } = await this.ready();
      return store['state'] === 'ok' && fallback['state'] === 'idle' && fallback['pending'] === 0;
    });
  }

  /** Stops the instance, and keeps its folder for another one. */
  async halt(): Promise<void> {
    await this.service.stop();
  }

  async stop(): Promise<void> {
    await this.halt();
    await this.folder.remove();
  }
}
