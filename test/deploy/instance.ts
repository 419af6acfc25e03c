/** An instance of the service as it is deployed: a process of its own, on ports that it keeps over a restart. */
import { join } from 'node:path';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { ServerProcess } from '../support/server-process.ts';
import { until } from '../support/until.ts';

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;

export class Instance {
  readonly port: number;
  readonly workerPort: number;
  readonly #folder: GuardedFolder;
  readonly #env: Record<string, string>;
  #process: ServerProcess | undefined;

  private constructor(port: number, workerPort: number, folder: GuardedFolder, env: Record<string, string>) {
    this.port = port;
    this.workerPort = workerPort;
    this.#folder = folder;
    this.#env = env;
  }

  static async start(env: Record<string, string>): Promise<Instance> {
    const instance = new Instance(await freePort(), await freePort(), await GuardedFolder.make('instance-'), env);
    await instance.start();
    return instance;
  }

  /** Resolves when it is ready. */
  async start(): Promise<void> {
    const env = {
      ...this.#env,
      HOST: LOOPBACK,
      PORT: String(this.port),
      WORKER_PORT: String(this.workerPort),
      DATA_DIR: join(this.#folder.path, 'data'),
    };
    this.#process = await ServerProcess.start({ path: process.execPath, args: [MAIN], env, folder: this.#folder });
    const ready = async (): Promise<boolean> => (await fetch(`http://${LOOPBACK}:${this.workerPort}/readyz`)).ok;
    await until(`the instance at ${this.port} is ready`, ready).catch((error: Error) => {
      throw new Error(`${error.message}\n${this.#process?.output}`);
    });
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
