/**
 * Builds the Lua scripts that Redis runs, from `lua/`. A script is one file; what several share is in `lua/shared/`. The
 * first line of a file, `-- uses: a, b`, names the shared files that it needs: they come before it, each once.
 */
import { readFileSync } from 'node:fs';
import type { RedisClient } from './client.ts';

const FIRST_LINE = /^-- uses: ([a-z, -]+)\n/;

/** The build leaves a copy beside each module that may run this one: see bundle.mjs. */
const FOLDER = new URL('./lua/', import.meta.url);

export type WithScripts<Name extends string> = RedisClient & Record<Name, (...args: string[]) => Promise<unknown>>;

/**
 * Makes each script a method of the client. `files` says which file of `lua/` a method runs. A call passes
 * `numberOfKeys` keys, then the arguments. Each script selects its database: a connection whose `SELECT` was refused would
 * work in database 0.
 */
export function defineScripts<Name extends string>(
  client: RedisClient,
  files: Readonly<Record<Name, string>>,
  { db, numberOfKeys }: { db: number; numberOfKeys: number },
): WithScripts<Name> {
  const select = db === 0 ? '' : `redis.call('SELECT', ${db})\n`;
  for (const [name, file] of Object.entries<string>(files)) {
    client.defineCommand(name, { lua: select + sourceOf(file), numberOfKeys });
  }
  return client as WithScripts<Name>;
}

/** The text of a script, with the shared files that it uses before it. */
export function sourceOf(script: string): string {
  const parts = new Map<string, string>();
  add(script);
  return [...parts.values()].join('');

  function add(file: string): void {
    if (parts.has(file)) return;
    const text = readFileSync(new URL(`${file}.lua`, FOLDER), 'utf8');
    for (const shared of usedBy(text)) add(`shared/${shared}`);
    parts.set(file, text.replace(FIRST_LINE, ''));
  }
}

function usedBy(text: string): string[] {
  return FIRST_LINE.exec(text)?.[1]?.split(', ') ?? [];
}
