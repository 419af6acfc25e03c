/** An instance of the service as a process, with an address that it keeps over a restart. */
import { join } from 'node:path';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { ServerProcess } from '../support/server-process.ts';
import { until } from '../support/until.ts';

/** Generous: other tests use the machine, too. */
const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;

/** A loopback address, and the ports of both listeners there. */
export interface Place {
  host: string;
  port: number;
  workerPort: number;
}

export class Instance {
  readonly place: Place;
  readonly #folder: GuardedFolder;
  readonly #env: Record<string, string>;
  #process: ServerProcess | undefined;

  private constructor(place: Place, folder: GuardedFolder, env: Record<string, string>) {
    this.place = place;
    this.#folder = folder;
    this.#env = env;
  }

  /** An instance that does not become ready is removed. */
  static async start(place: Place, env: Record<string, string>): Promise<Instance> {
    const instance = new Instance(place, await GuardedFolder.make('instance-'), env);
    await instance.start().catch(async (error: Error) => {
      await instance.remove();
      throw error;
    });
    return instance;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    const { host, port, workerPort } = this.place;
    const env = {
      ...this.#env,
      HOST: host,
      PORT: String(port),
      WORKER_HOST: host,
      WORKER_PORT: String(workerPort),
      DATA_DIR: join(this.#folder.path, 'data'),
    };
    this.#process = await ServerProcess.start({ path: process.execPath, args: [MAIN], env, folder: this.#folder });
    const ready = async (): Promise<boolean> => (await fetch(`http://${host}:${workerPort}/readyz`)).ok;
    await until(`the instance at ${host} is ready`, ready).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.#process?.output}`);
    });
  }

  /** The end of its log. */
  get output(): string {
    return this.#process?.output ?? '';
  }

  /** SIGTERM, as a rolling update sends it. Resolves with the exit code. */
  async stop(): Promise<number | null> {
    if (this.#process === undefined) throw new Error('expected an instance that runs');
    return this.#process.terminate();
  }

  async remove(): Promise<void> {
    await this.#process?.kill();
    await this.#folder.remove();
  }
}
