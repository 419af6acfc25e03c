import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { GuardedFolder } from './guarded-folder.ts';

const MAX_OUTPUT_CHARACTERS = 8_000;

export interface Launch {
  path: string;
  args: string[];
  env: Record<string, string>;
  folder: GuardedFolder;
}

/** A server process: started in its folder, killed and stopped by its pid. */
export class ServerProcess {
  readonly pid: number;
  /** Resolves when the process has ended and its output is read. */
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess, pid: number, folder: GuardedFolder) {
    this.#child = child;
    this.pid = pid;
    folder.occupiedBy(pid);
    this.ended = once(child, 'close').then(() => folder.occupiedBy(undefined));
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data) => this.#keep(String(data)));
  }

  /** Resolves when the process exists, before it serves. */
  static async start({ path, args, env, folder }: Launch): Promise<ServerProcess> {
    const child = spawn(path, args, {
      cwd: folder.path,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await once(child, 'spawn');
    if (child.pid === undefined) throw new Error(`expected a pid of ${path}`);
    return new ServerProcess(child, child.pid, folder);
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The end of the server's output on stdout and stderr. */
  get output(): string {
    return this.#output;
  }

  /**
   * SIGSTOP: connections stay open, the kernel accepts new ones, and the server does not answer.
   */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** SIGKILL, which also ends a stopped process. Resolves when the process has ended. */
  async kill(): Promise<void> {
    if (this.running) this.#child.kill('SIGKILL');
    await this.ended;
  }

  /**
   * SIGTERM. Resolves with the exit code at the end of the process; `null` if a signal ended it.
   */
  async terminate(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    await this.ended;
    return this.#child.exitCode;
  }

  #keep(text: string): void {
    this.#output = (this.#output + text).slice(-MAX_OUTPUT_CHARACTERS);
  }
}
