/** Standard output is blocked: the service still answers posts and stops in time. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { useDataDir } from '../support/data-dir.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { NODE, type ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';

const data = useDataDir();
const EXIT_DEADLINE_MS = 10_000;
const CLIENTS = 25;
const LONG = 'x'.repeat(60);

let pipe: FileHandle | undefined;
afterEach(async () => {
  await pipe?.close();
  pipe = undefined;
});

/** A pipe that is open and that nobody reads. */
async function unreadPipe(): Promise<string> {
  const path = `${data.path}/pipe`;
  await promisify(execFile)('mkfifo', [path]);
  pipe = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  return path;
}

interface Silent {
  service: ServiceProcess;
  /** Posts this many tokens. Returns the number of answers 200. */
  post: (count: number) => Promise<number>;
  droppedLines: () => Promise<number>;
}

async function start(stdout: string, command: readonly string[]): Promise<Silent> {
  const [port, workerPort] = [await freePort(), await freePort()];
  const service = data.run({
    command: ['sh', '-c', `exec "$@" > ${stdout}`, 'sh', ...command],
    env: { PORT: String(port), WORKER_PORT: String(workerPort) },
  });
  const ask = (at: number, path: string, init?: RequestInit): Promise<Response> =>
    fetch(`http://${LOOPBACK}:${at}${path}`, init);
  await until('it listens', async () => (await ask(port, '/livez').catch(() => undefined))?.ok, 20_000);
  let sent = 0;
  const post = async (count: number): Promise<number> => {
    const last = sent + count;
    let kept = 0;
    const client = async (): Promise<void> => {
      while (sent < last) {
        sent += 1;
        const body = new URLSearchParams({ seid: `value${sent}`, sid: `${LONG}${sent}`, order_id: LONG });
        if ((await ask(port, '/authenticity', { method: 'POST', body })).status === 200) kept += 1;
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    return kept;
  };
  const droppedLines = async (): Promise<number> => {
    const metrics = await (await ask(workerPort, '/metrics')).text();
    return Number(/^carat_authenticity_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1]);
  };
  return { service, post, droppedLines };
}

async function expectToEnd(service: ServiceProcess): Promise<void> {
  service.signal('SIGTERM');
  let exit: unknown;
  void service.exited.then((ended) => {
    exit = ended;
  });
  await until('the process ends', () => exit !== undefined, EXIT_DEADLINE_MS);
  expect(exit).toEqual({ code: 0, signal: null });
}

describe.each<[string, () => Promise<string>]>([
  ['a full disk', async () => '/dev/full'],
  ['a pipe that nobody reads', unreadPipe],
])('with %s as standard output', (_name, stdout) => {
  test.each<[string, readonly string[]]>([
    ['node dist/main.js', NODE],
    // Without --silent npm writes a line of its own, and ends if it cannot.
    ['npm start --silent', ['npm', 'start', '--silent']],
  ])('%s answers posts and ends with 0', async (_command, command) => {
    const { service, post } = await start(await stdout(), command);
    expect(await post(500)).toBe(500);
    await expectToEnd(service);
  });

  test('counts the lines that it drops', async () => {
    const { service, post, droppedLines } = await start(await stdout(), NODE);
    await until('lines are dropped', async () => {
      expect(await post(500)).toBe(500);
      return (await droppedLines()) > 0;
    });
    await expectToEnd(service);
  });
});
