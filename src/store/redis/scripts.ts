/**
 * Builds the Lua scripts for Redis from `lua/`. A script is one file; shared parts are in
 * `lua/shared/`. The first line of a file, `-- uses: a, b`, names the shared files that it needs.
 * They precede the file, each once.
 */
import { readFileSync } from 'node:fs';
import type { RedisClient } from './client.ts';

const FIRST_LINE = /^-- uses: ([a-z, -]+)\n/;

/** The build copies the folder beside each module that may run this one: see bundle.mjs. */
const FOLDER = new URL('./lua/', import.meta.url);

export type WithScripts<Name extends string> = RedisClient & Record<Name, (...args: string[]) => Promise<unknown>>;

/**
 * Adds each script to the client as a method. `files` maps a method to its file of `lua/`. A call
 * passes `numberOfKeys` keys, then the arguments. Each script selects its database: after a refused
 * `SELECT`, a connection would work in database 0.
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

/** Returns the text of a script, preceded by the shared files that it uses. */
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
