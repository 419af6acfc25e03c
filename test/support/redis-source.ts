/**
 * The Redis of the tests: the server on the PATH, else `TEST_REDIS_URL`, else a server from a
 * container image or from Debian's packages. The URL may be a Redis that others use. Only the store
 * contract uses it: its merchants are new in each test, and its keys expire. Tests that configure,
 * kill or empty a Redis start their own.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { findTool, isOnPath } from './tools.ts';

const PROJECT = join(import.meta.dirname, '..', '..');
const STARTS_ITS_OWN = /\bstart(?:Redis|Cluster|Sentinel)\(|describeSemantics\('Redis'\)/;

/** The address of a shared Redis; undefined if a server is on the PATH. */
export async function sharedRedisUrl(): Promise<string | undefined> {
  const url = process.env['TEST_REDIS_URL'];
  return url === undefined || (await isOnPath('redis')) ? undefined : url;
}

/**
 * The test files that need a Redis server of their own when only `TEST_REDIS_URL` exists. Printed
 * once.
 */
export async function testsWithoutRedis(): Promise<string[]> {
  const url = await sharedRedisUrl();
  if (url === undefined) return [];
  const known = process.env['TEST_FILES_WITHOUT_REDIS'];
  if (known !== undefined) return JSON.parse(known) as string[];
  const files = await findTool('redis').then(
    () => [],
    () => filesThatStartOne(),
  );
  process.env['TEST_FILES_WITHOUT_REDIS'] = JSON.stringify(files);
  process.stderr.write(`tests of the store contract use TEST_REDIS_URL\n`);
  if (files.length > 0) {
    process.stderr.write(`NOT RUN, because each needs a redis-server of its own on the PATH:\n${files.join('\n')}\n`);
  }
  return files;
}

function filesThatStartOne(): string[] {
  return readdirSync(join(PROJECT, 'test'), { recursive: true, encoding: 'utf8' })
    .map((name) => `test/${name}`)
    .filter((path) => path.endsWith('.test.ts') && STARTS_ITS_OWN.test(readFileSync(join(PROJECT, path), 'utf8')));
}
