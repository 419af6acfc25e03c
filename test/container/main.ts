/**
 * `npm run test:container [-- --json]`: builds the image, runs the compose file's stack, and checks
 * the promises of the service. Prints progress on stderr and results on stdout. Exits with 1 at the
 * first failed check. At any end, it stops and removes what it created.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checks, SERVICES } from './checks.ts';
import { Commands } from './commands.ts';
import { openDocker } from './docker.ts';
import { containerOf, type Engine, PROJECT } from './engine.ts';
import { openPodman } from './podman.ts';

/** Of the compose file. */
const PORTS = [8080, 8081, 8082, 8083, 8090];
const TELL_EVERY_MS = 10_000;
const INTERRUPTED = 130;

interface Result {
  check: string;
  ok: boolean;
  seen: string;
  seconds: number;
}

const json = process.argv.includes('--json');
const commands = new Commands(PROJECT);
const began = performance.now();
const results: Result[] = [];
let engine: Engine | undefined;
let isInterrupted = false;

const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (!isInterrupted) note(`${signal}: cleaning up`);
      isInterrupted = true;
      reject(new Error(signal));
    });
  }
});

/** Prints progress. */
function note(text: string): void {
  process.stderr.write(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${text}\n`);
}

function tell(line: string): void {
  if (!json) process.stdout.write(`${line}\n`);
}

/** Returns whether the check passed. Prints progress of a slow check. */
async function check(what: string, look: () => Promise<string | undefined>): Promise<boolean> {
  const start = performance.now();
  const watch = setInterval(() => note(`… still at: ${what}`), TELL_EVERY_MS);
  const [ok, seen] = await look()
    .then((told = '') => [true, told] as const)
    .catch(
      (error: Error) =>
        [false, `${error.message}${error.cause instanceof Error ? `; ${error.cause.message}` : ''}`] as const,
    )
    .finally(() => clearInterval(watch));
  const seconds = (performance.now() - start) / 1000;
  if (isInterrupted) return false;
  results.push({ check: what, ok, seen, seconds: Number(seconds.toFixed(1)) });
  tell(`${ok ? 'ok  ' : 'FAIL'}  ${what}${seen === '' ? '' : `: ${seen}`} (${seconds.toFixed(1)} s)`);
  return ok;
}

/** Prints an error outside of the checks. */
function failed(what: string, { message }: Error): void {
  results.push({ check: what, ok: false, seen: message, seconds: 0 });
  tell(`FAIL  ${what}: ${message}`);
}

async function run(temporary: string): Promise<void> {
  await Promise.all(PORTS.map(free));
  const opened = (await commands.works('docker', 'info'))
    ? await openDocker(commands, temporary)
    : await openPodman(commands, temporary);
  engine = opened;
  tell(`used: ${opened.name}\nbase: ${opened.base}`);
  for (const [what, look] of checks(opened, note)) {
    if (await check(what, look)) continue;
    if (!isInterrupted) await tellLogs(opened);
    return;
  }
}

/** Prints the logs of the stack after a failure. */
async function tellLogs(opened: Engine): Promise<void> {
  for (const service of SERVICES) {
    const id = await containerOf(opened, service).catch(() => undefined);
    if (id === undefined) continue;
    const log = await opened.docker('logs', '--tail', '15', id).catch((error: Error) => error.message);
    note(`the last that ${service} wrote:\n${log}`);
  }
}

/** @throws Error when another process listens there: it would get the requests */
function free(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', () => reject(new Error(`expected port ${port} to be free: the compose file publishes it`)));
    server.listen(port, () => server.close(() => resolve()));
  });
}

const temporary = await mkdtemp(join(tmpdir(), 'carat-'));
try {
  await Promise.race([run(temporary), interrupted]);
} catch (error) {
  if (!isInterrupted) failed('a machine to run it on', error as Error);
} finally {
  await commands.end();
  await engine?.close().catch((error: Error) => failed('all is removed', error));
  await rm(temporary, { recursive: true, force: true });
}
const passed = results.filter(({ ok }) => ok).length;
const wrong = results.length - passed;
if (json) {
  const all = { used: engine?.name, base: engine?.base, interrupted: isInterrupted, passed, failed: wrong, results };
  process.stdout.write(`${JSON.stringify(all)}\n`);
}
tell(`${passed} passed, ${wrong} failed${isInterrupted ? ', interrupted' : ''}`);
process.exit(isInterrupted ? INTERRUPTED : wrong === 0 ? 0 : 1);
