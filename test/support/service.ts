/** A real service on free ports with its own data directory, and short functions to call it. */
import { Agent, type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import { pino } from 'pino';
import { Service } from '../../src/service.ts';
import type { TokenStore } from '../../src/store/contract.ts';
import { readScaledConfig } from './config.ts';
import { GuardedFolder } from './guarded-folder.ts';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** The body as JSON; undefined if there is none, or it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look into what came, whatever it is.
  json: any;
}

export interface RequestOptions {
  /** An object is sent as JSON, a string unchanged with the content type of `headers`. */
  body?: unknown;
  headers?: Record<string, string>;
  /** Sent as `Authorization: Bearer`. */
  key?: string;
  signal?: AbortSignal;
}

export interface StartOptions {
  env?: Record<string, string>;
  /** Wraps the store of the service. */
  store?: TokenStore;
  /** An existing directory, which is not removed. */
  dataDir?: string;
  /** Deadline of Redis, for tests of something else. */
  redisMs?: number;
}

export class RunningService {
  readonly service: Service;
  /** Log lines, one JSON object each. */
  readonly log: string[];
  readonly #agent = new Agent({ keepAlive: true });
  readonly #folder: GuardedFolder | undefined;
  #stopped: Promise<void> | undefined;

  private constructor(service: Service, log: string[], folder: GuardedFolder | undefined) {
    this.service = service;
    this.log = log;
    this.#folder = folder;
  }

  static async start({ env, store, dataDir, redisMs }: StartOptions = {}): Promise<RunningService> {
    const folder = dataDir === undefined ? await GuardedFolder.make('service-') : undefined;
    const config = readScaledConfig(
      {
        HOST: '127.0.0.1',
        PORT: '0',
        WORKER_PORT: '0',
        DATA_DIR: dataDir ?? join(folder?.path ?? '', 'data'),
        ...env,
      },
      redisMs,
    );
    const lines: string[] = [];
    const log = pino({ level: 'trace' }, { write: (line) => lines.push(line) });
    const service = await Service.create(config, { log, store });
    try {
      await service.start();
    } catch (error) {
      await folder?.remove();
      throw error;
    }
    return new RunningService(service, lines, folder);
  }

  /** Sends a form to an authenticity path, as Carat does. */
  post(fields: Record<string, string>, path = '/authenticity'): Promise<Answer> {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const body = new URLSearchParams(fields).toString();
    return this.#send(`${this.service.authenticityUrl}${path}`, 'POST', { body, headers });
  }

  /** Asks the worker API. */
  worker(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    return this.#send(`${this.service.workerUrl}${path}`, method, options);
  }

  /** Number of waiters in `readyz`. */
  async parked(): Promise<number> {
    return (await this.worker('GET', '/readyz')).json.waiters.parked;
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.#agent.destroy();
    await this.service.stop();
    await this.#folder?.remove();
  }

  #send(url: string, method: string, { body, headers = {}, key, signal }: RequestOptions): Promise<Answer> {
    const isText = body === undefined || typeof body === 'string';
    const payload = isText ? (body as string | undefined) : JSON.stringify(body);
    const sent = {
      ...(isText ? {} : { 'content-type': 'application/json' }),
      // Node frames the body of a DELETE only with an explicit length.
      ...(payload === undefined ? {} : { 'content-length': String(Buffer.byteLength(payload)) }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...headers,
    };
    return new Promise((resolve, reject) => {
      const outgoing = request(url, { method, headers: sent, agent: this.#agent, ...(signal && { signal }) });
      outgoing.once('error', reject);
      outgoing.once('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) });
        });
      });
      outgoing.end(payload);
    });
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
