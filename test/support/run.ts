import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { findTool, isTool } from './tools.ts';

/** The commands in the help of the command line. */
export const COMMANDS = [
  'serve',
  'simulator',
  'send',
  'wait',
  'claim',
  'used',
  'release',
  'listen',
  'ask',
  'recharge',
  'tail',
  'health',
  'doctor',
];

export interface Ran {
  code: number | null;
  out: string;
  error: string;
}

/** A running program and its output so far. */
export interface Running {
  child: ChildProcess;
  out(): string;
  error(): string;
  ended: Promise<Ran>;
}

type Options = Pick<SpawnOptions, 'cwd' | 'signal'>;

/** Starts a program with only the given environment and the PATH. */
export function start(
  program: string,
  args: readonly string[],
  env: Record<string, string | undefined> = {},
  options: Options = {},
): Running {
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  const [out, error] = [collect(child.stdout), collect(child.stderr)];
  const ended = once(child, 'close').then(([code]) => ({ code, out: out(), error: error() }));
  return { child, out, error, ended };
}

/** Runs a program to its end. */
export function run(...what: Parameters<typeof start>): Promise<Ran> {
  return start(...what).ended;
}

/** Runs a script with an interpreter that the global set-up found. */
export async function interpret(
  interpreter: string,
  args: readonly string[],
  env: Record<string, string>,
): Promise<Ran> {
  if (!isTool(interpreter)) return run(interpreter, args, env);
  const { path, env: own } = await findTool(interpreter);
  return run(path, args, { ...env, ...own });
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/** The built command line. */
const CLI = new URL('../../dist/cli/main.js', import.meta.url).pathname;

export function startCli(args: readonly string[], env: Record<string, string> = {}): Running {
  return start(process.execPath, [CLI, ...args], env);
}

export function runCli(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return startCli(args, env).ended;
}

/** The same on a terminal, where both streams are one. */
export function runCliOnTerminal(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  const command = [process.execPath, CLI, ...args].map((one) => `'${one}'`).join(' ');
  return run('script', ['-qec', command, '/dev/null'], { TERM: 'xterm', ...env });
}
