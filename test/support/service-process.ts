/**
 * The service as a process: a command of the README starts it, and signals end it. Tests read its
 * log.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from './build.ts';
import { until } from './until.ts';

const MAIN = join(ROOT, 'dist', 'main.js');

export interface Start {
  env?: Record<string, string>;
  /** The command. It runs in the project's folder. */
  command?: readonly [string, ...string[]];
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One line of the log. */
export interface LogLine {
  event?: string;
  [fact: string]: unknown;
}

export const NODE: readonly [string, ...string[]] = [process.execPath, MAIN];

export class ServiceProcess {
  readonly child: ChildProcess;
  readonly exited: Promise<Exit>;
  readonly log: LogLine[] = [];
  stderr = '';
  #gone = false;

  constructor({ env = {}, command = NODE }: Start) {
    const [program, ...args] = command;
    this.child = spawn(program, args, {
      cwd: ROOT,
      // The environment of this process must not configure the service. Only npm's needs are
      // passed.
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...LOOPBACK_ONLY, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own process group, so that the children of npm end with it.
      detached: true,
    });
    this.exited = once(this.child, 'close').then(([code, signal]) => {
      this.#gone = true;
      return { code, signal };
    });
    this.child.stderr?.on('data', (text) => {
      this.stderr += text;
    });
    if (this.child.stdout === null) throw new Error('expected a pipe');
    // The first lines of npm name the command.
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      if (line.startsWith('{')) this.log.push(JSON.parse(line));
    });
  }

  /** Resolves when the service listens. */
  static async start(options: Start): Promise<ServiceProcess> {
    const service = new ServiceProcess(options);
    try {
      await service.logs('listening');
    } catch (error) {
      await service.kill();
      throw new Error(`expected the service to start, it said: ${service.stderr}`, { cause: error });
    }
    return service;
  }

  get authenticityPort(): number {
    return this.#portOf('authenticity');
  }

  get workerUrl(): string {
    return `http://127.0.0.1:${this.#portOf('workers')}`;
  }

  /** Resolves with the first line of an event. */
  logs(event: string): Promise<LogLine> {
    return until(`the log has ${event}`, () => this.events(event)[0]);
  }

  events(event: string): LogLine[] {
    return this.log.filter((line) => line.event === event);
  }

  troubles(code: string): LogLine[] {
    return this.events('trouble').filter((line) => line['code'] === code);
  }

  /** Posts a form. Returns the status. */
  async post(form: Record<string, string>): Promise<number> {
    const url = `http://127.0.0.1:${this.authenticityPort}/authenticity`;
    const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(form) });
    await answer.text();
    return answer.status;
  }

  /** The status of a worker's read, and the token's value. */
  async read(selector: Record<string, string>): Promise<{ status: number; value?: string; id?: string }> {
    const answer = await fetch(`${this.workerUrl}/v1/tokens?${new URLSearchParams(selector)}`);
    if (answer.status === 204) return { status: 204 };
    const { value, id } = (await answer.json()) as { value: string; id: string };
    return { status: answer.status, value, id };
  }

  async readiness(): Promise<{ status: number; store: { state: string }; [part: string]: unknown }> {
    const answer = await fetch(`${this.workerUrl}/readyz`);
    return { ...((await answer.json()) as { store: { state: string } }), status: answer.status };
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** SIGKILL for all processes of the command. Resolves when they have ended. */
  async kill(): Promise<Exit> {
    if (!this.#gone && this.child.pid !== undefined) process.kill(-this.child.pid, 'SIGKILL');
    return this.exited;
  }

  #portOf(listener: 'authenticity' | 'workers'): number {
    return Number(new URL(String(this.events('listening')[0]?.[listener])).port);
  }
}

const LOOPBACK_ONLY = { HOST: '127.0.0.1', PORT: '0', WORKER_PORT: '0' };
