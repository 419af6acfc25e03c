/** The receiver as a child process of the demo, with an embedded store in its own folder, on free ports. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface Receiver {
  /** The address for Carat's posts. */
  authenticityUrl: string;
  /** The address for workers. */
  workerUrl: string;
  /** Stops the receiver by a signal, removes its folder, and resolves to its exit code. */
  stop(): Promise<number | null>;
}

/** The service as built. */
const MAIN = new URL('../../main.js', import.meta.url).pathname;

/** The merchant of the demo, at the simulator and in the service. */
export const DEMO_MERCHANT = { merchantId: 'DEMO', merchantKey: 'DEMOKEY0123456789' } as const;

/**
 * Starts the receiver, and waits until it listens. It asks Carat at the given addresses.
 * `ACCEPT=expected`: an unannounced post is not handed out.
 */
export async function startReceiver(
  { portal, recharge }: { portal: string; recharge: string },
  main: string = MAIN,
): Promise<Receiver> {
  const folder = await mkdtemp(join(tmpdir(), 'carat-demo-'));
  const child = spawn(process.execPath, [main], {
    env: {
      PATH: process.env['PATH'],
      HOST: '127.0.0.1',
      PORT: '0',
      WORKER_PORT: '0',
      DATA_DIR: join(folder, 'data'),
      ACCEPT: 'expected',
      CARAT_CREDENTIALS: `default=${DEMO_MERCHANT.merchantId}:${DEMO_MERCHANT.merchantKey}`,
      CARAT_API_URL: portal,
      CARAT_RECHARGE_URL: recharge,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  const listening = await listeningLine(child);
  if (listening === undefined) {
    await rm(folder, { recursive: true, force: true });
    throw new Error('the receiver ended before it listened');
  }
  return {
    authenticityUrl: `${listening.authenticity}/authenticity`,
    workerUrl: listening.workers,
    async stop() {
      child.kill('SIGTERM');
      const [code] = await exited;
      await rm(folder, { recursive: true, force: true });
      return code;
    },
  };
}

/** Finds the log line with the service's addresses. The rest of the log is read and dropped. */
async function listeningLine(child: ChildProcess): Promise<{ authenticity: string; workers: string } | undefined> {
  if (child.stdout === null) return undefined;
  const lines = createInterface({ input: child.stdout });
  const ended = once(lines, 'close').then(() => undefined);
  const found = new Promise<{ authenticity: string; workers: string }>((resolve) => {
    lines.on('line', (line) => {
      const entry: unknown = line.startsWith('{') ? JSON.parse(line) : undefined;
      const { event, authenticity, workers } = (entry ?? {}) as Record<string, string | undefined>;
      if (event === 'listening' && authenticity && workers) resolve({ authenticity, workers });
    });
  });
  return Promise.race([found, ended]);
}
