/** How a load runs: a process of its own, told what to do by its argument, which answers with one line of JSON. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

export type LoadName = 'posts' | 'handover' | 'claims' | 'park';

export async function runLoad<T>(name: LoadName, options: object): Promise<T> {
  const script = join(import.meta.dirname, `${name}.ts`);
  const args = ['--import', 'tsx', script, JSON.stringify(options)];
  const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout) as T;
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
