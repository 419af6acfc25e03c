/**
 * A load runs as its own process. Its argument defines the work, and it answers with one line of
 * JSON.
 */
import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { promisify } from 'node:util';

export type LoadName = 'posts' | 'handover' | 'claims' | 'pipeline';

export async function runLoad<T>(name: LoadName, options: object): Promise<T> {
  const { stdout } = await promisify(execFile)(process.execPath, argsOf(name, options), {
    maxBuffer: 64 * 1024 * 1024,
  });
  return JSON.parse(stdout) as T;
}

/** A load that runs until it is killed, controlled by lines on its input. */
export function startLoad(name: 'park' | 'watch', options: object): ChildProcessByStdio<Writable, Readable, null> {
  return spawn(process.execPath, argsOf(name, options), { stdio: ['pipe', 'pipe', 'inherit'] });
}

function argsOf(name: string, options: object): string[] {
  return ['--import', 'tsx', join(import.meta.dirname, `${name}.ts`), JSON.stringify(options)];
}

export function loadOptions<T>(): T {
  return JSON.parse(process.argv[2] ?? '{}') as T;
}

export function answerLoad(result: object): void {
  process.stdout.write(JSON.stringify(result), () => process.exit(0));
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
