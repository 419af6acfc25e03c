/** The process: environment, signals, exit code. Exit 0 after a signal, 2 for a wrong configuration, 1 for the rest. */
import process from 'node:process';
import { pino } from 'pino';
import { type Config, ConfigError, misspelt, readConfig } from './config/config.ts';
import { unusableHosts } from './config/hosts.ts';
import { timeText } from './observability/event.ts';
import { LogOutput } from './observability/log-output.ts';
import { readTracing, type TracingSettings } from './observability/tracing/settings.ts';
import type { Tracing } from './observability/tracing/tracing.ts';
import { Service } from './service.ts';
import { DirectoryInUse } from './store/embedded/level.ts';

/** Deadline for a stop that hangs. A normal stop takes less. */
const STOP_AT_LATEST_MS = 9500;

const SOCKET_ERRORS: ReadonlySet<string> = new Set([
  'ECONNABORTED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOTCONN',
  'EPIPE',
  'ETIMEDOUT',
]);

function refuse(exitCode: number, lines: string[]): never {
  process.stderr.write(`${lines.map((line) => `carat-authenticity: ${line}`).join('\n')}\n`);
  process.exit(exitCode);
}

/** Only `npm start` passes this option: elsewhere, a `.env` in the working directory may belong to another project. */
const READ_DOTENV = '--dotenv';

/** Reads `.env` of the working directory, if it exists. Variables that are already set take precedence. */
function readDotenv(): void {
  try {
    process.loadEnvFile('.env');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') refuse(2, [`.env: expected a file that can be read, got ${code ?? message}`]);
  }
}

async function configuration(): Promise<Config> {
  if (process.argv.includes(READ_DOTENV)) readDotenv();
  const problems = await unusableHosts(process.env);
  try {
    const read = readConfig(process.env);
    if (problems.length === 0) return read;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    problems.push(...error.problems);
  }
  return refuse(
    2,
    problems.map(({ variable, message }) => `${variable}: ${message}`),
  );
}

/** Loads the tracing code only when tracing is enabled. */
async function tracingBy(settings: TracingSettings): Promise<Tracing> {
  const { Tracing } = await import('./observability/tracing/tracing.ts');
  return new Tracing(settings);
}

const config = await configuration();
const forPeople = process.stdout.isTTY && !process.argv.includes('--json');
const output = new LogOutput();
const log = pino(
  { level: config.logLevel, base: null, timestamp: () => `,"time":"${timeText(Date.now())}"` },
  forPeople
    ? (await import('pino-pretty')).default({ ignore: 'event', singleLine: true, translateTime: 'SYS:HH:MM:ss.l' })
    : output,
);

for (const { variable, meant } of misspelt(process.env)) {
  const message = `${variable} is unknown and ignored. Did you mean ${meant}?`;
  log.warn({ event: 'trouble', code: 'unknown_variable', variable, meant }, message);
}

const traces = readTracing(process.env);
if (traces !== undefined && 'problem' in traces) log.warn({ event: 'trouble', code: 'traces_off' }, traces.problem);
const tracing = traces !== undefined && 'settings' in traces ? await tracingBy(traces.settings) : undefined;
const service = await Service.create(config, { log, tracing, droppedLines: () => output.dropped });

let starting: Promise<void> | undefined;
let stopping = false;
process.on('uncaughtException', (error) => {
  if (isSocketError(error)) return service.bug(error, 'error');
  service.bug(error);
  void stop('unexpected error', 1);
});
async function stop(why: string, exitCode: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  log.info({ event: 'stopping' }, `stopping: ${why}`);
  setTimeout(() => process.exit(exitCode), STOP_AT_LATEST_MS).unref();
  await starting;
  await service.stop();
  log.info({ event: 'stopped' }, 'stopped');
  log.flush(() => process.exit(exitCode));
}
// Registered before anything is opened: the first process of a container ignores signals without a handler.
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal, 0));

log.info({ event: 'starting' }, 'starting');
try {
  starting = service.start();
  await starting;
} catch (error) {
  await new Promise<void>((resolve) => log.flush(() => resolve()));
  refuse(error instanceof DirectoryInUse ? 2 : 1, [(error as Error).message]);
}

const [merchant] = config.paths.values();
const selector = `merchant_data=14114532781&wait=25${merchant === 'default' ? '' : `&merchant=${merchant}`}`;
const key = config.workerKeys.length === 0 ? '' : `-H 'Authorization: Bearer KEY' `;
const { authenticityUrl, workerUrl } = service.addresses();
const commands = [
  `curl -d 'seid=first&merchant_data=14114532781' ${authenticityUrl}`,
  `curl ${key}'${workerUrl}/v1/tokens?${selector}'`,
];
const addresses = { authenticity: service.authenticityUrl, workers: service.workerUrl };
log.info({ event: 'listening', ...addresses, ...(forPeople ? {} : { try: commands }) }, 'listening');
// On a terminal, each command has its own line, ready to copy.
if (forPeople) process.stdout.write(`\nTry it in a second terminal:\n\n${commands.join('\n')}\n\n`);

/** True for the failure of one connection, which does not affect the rest of the process. */
function isSocketError({ code = '', syscall = '' }: NodeJS.ErrnoException): boolean {
  return SOCKET_ERRORS.has(code) && ['read', 'write', 'writev', 'shutdown'].includes(syscall);
}
