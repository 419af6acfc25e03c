/** The measured processes: the shipped service, and the peers. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../support/ports.ts';
import { pause } from './load/load.ts';

const PROJECT = join(import.meta.dirname, '..', '..');
const LISTEN_DEADLINE_MS = 30_000;

export class Measured {
  readonly name: string;
  /** The addresses for posts and for workers; the same for a peer. */
  readonly postPort: number;
  readonly workerPort: number;
  /** From the start of the process until it listened. */
  startMs = 0;
  readonly #child: ChildProcess;

  constructor(name: string, child: ChildProcess, postPort: number, workerPort: number) {
    this.name = name;
    this.#child = child;
    this.postPort = postPort;
    this.workerPort = workerPort;
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  /** Processor time so far in seconds, with child processes; 0 without /proc. */
  cpuSeconds(): number {
    return [this.pid, ...childrenOf(this.pid)].reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  }

  /** Resident memory in bytes. */
  residentBytes(): number {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
    } catch {
      return 0;
    }
  }

  async listening(): Promise<this> {
    const startedAt = performance.now();
    for (const port of [this.postPort, this.workerPort]) {
      while (!(await isOpen(port))) {
        if (this.#child.exitCode !== null) throw new Error(`${this.name} ended with ${this.#child.exitCode}`);
        if (performance.now() - startedAt > LISTEN_DEADLINE_MS) throw new Error(`${this.name} does not listen`);
        await pause(5);
      }
    }
    this.startMs = performance.now() - startedAt;
    return this;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

const CLOCK_TICKS = ticksASecond();

function ticksASecond(): number {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' })) || 100;
  } catch {
    return 100;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

export function cpuSecondsOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS;
  } catch {
    return 0;
  }
}

/** The built service. It logs as it does by default, to a file in `folder`. */
export async function startService(
  name: string,
  folder: string,
  settings: Record<string, string> = {},
  nodeOptions: string[] = [],
): Promise<Measured> {
  const postPort = await freePort();
  const workerPort = await freePort();
  const env = {
    ...clean(process.env),
    NODE_ENV: 'production',
    HOST: '127.0.0.1',
    PORT: String(postPort),
    WORKER_PORT: String(workerPort),
    DATA_DIR: join(folder, `${name.replaceAll(/\W/g, '-')}-${postPort}`),
    ...settings,
  };
  const log = openSync(join(folder, `${name.replaceAll(/\W/g, '-')}.log`), 'a');
  const child = spawn(process.execPath, [...nodeOptions, join(PROJECT, 'dist', 'main.js')], {
    env,
    stdio: ['ignore', log, 'inherit'],
  });
  closeSync(log);
  return new Measured(name, child, postPort, workerPort).listening();
}

/** A peer: a small program in `peers/`, which listens on PORT. */
export async function startPeer(
  name: string,
  file: string,
  settings: Record<string, string> = {},
  nodeOptions: string[] = [],
  node: string = process.execPath,
): Promise<Measured> {
  const port = await freePort();
  const env = { ...clean(process.env), NODE_ENV: 'production', PORT: String(port), ...settings };
  const script = join(import.meta.dirname, 'peers', `${file}.ts`);
  const child = spawn(node, [...nodeOptions, '--import', 'tsx', script], {
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return new Measured(name, child, port, port).listening();
}

/** The environment without variables of the service from a test runner or shell. */
function clean(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ours =
    /^(PORT|HOST|WORKER_|STORE_URL|DATA_DIR|ENCRYPTION_KEYS|ACCEPT|NODE_OPTIONS|AUTHENTICITY_|LOG_LEVEL|OTEL_)/;
  return Object.fromEntries(Object.entries(env).filter(([key]) => !ours.test(key)));
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
