import { type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Ran {
  code: number | null;
  out: string;
  error: string;
}

/** Runs a program to its end; its environment is what is given, and the path. */
export async function run(
  program: string,
  args: readonly string[],
  env: Record<string, string | undefined> = {},
  options: Pick<SpawnOptions, 'cwd' | 'signal'> = {},
): Promise<Ran> {
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });
  const [out, error] = [collect(child.stdout), collect(child.stderr)];
  const [code] = await once(child, 'close');
  return { code, out: out(), error: error() };
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

/** The command line as it is built. */
const CLI = new URL('../../dist/cli/main.js', import.meta.url).pathname;

export function runCli(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return run(process.execPath, [CLI, ...args], env);
}
