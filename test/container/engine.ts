/** The interface of a container engine, and the parts that all engines share. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Commands } from './commands.ts';

export const PROJECT = new URL('../../', import.meta.url).pathname;
export const IMAGE = 'localhost/carat-authenticity:test';
export const KEY = 'a-key-for-the-test';
export const COMPOSE_FILE = join(PROJECT, 'docker-compose.yml');
const COMPOSE_PROJECT = 'carat-test';

export interface Engine {
  /** Its programs, with versions. */
  readonly name: string;
  /** The base image, for the report. */
  readonly base: string;
  build(step: (step: string) => void): Promise<void>;
  /** Like `docker`: exec, inspect, stop. Returns its output. */
  docker(...args: string[]): Promise<string>;
  /** Like `docker compose` with the project's file. */
  compose(...args: string[]): Promise<string>;
  /** Whether a container gets an answer from an address, over its own network. */
  reaches(container: string, url: string): Promise<boolean>;
  /** Removes everything that it started and created, except the cache for the next run. */
  close(): Promise<void>;
}

/** The arguments of `compose`: its file, and the variables of the given one instead of `.env`. */
export function composeArguments(envFile: string, file = COMPOSE_FILE): string[] {
  return ['-p', COMPOSE_PROJECT, '--project-directory', PROJECT, '--env-file', envFile, '-f', file];
}

/** The build arguments that go to the labels. */
export async function labelArguments(commands: Commands): Promise<string[]> {
  const revision = await commands.run(['git', 'rev-parse', 'HEAD']).catch(() => 'unknown');
  return ['--build-arg', `VERSION=${version()}`, '--build-arg', `REVISION=${revision}`];
}

export function version(): string {
  return (JSON.parse(readFileSync(join(PROJECT, 'package.json'), 'utf8')) as { version: string }).version;
}

/** The id of a service's container. */
export async function containerOf(engine: Engine, service: string): Promise<string> {
  const filters = [`com.docker.compose.project=${COMPOSE_PROJECT}`, `com.docker.compose.service=${service}`];
  const ids = await engine.docker('ps', '-aq', ...filters.flatMap((label) => ['--filter', `label=${label}`]));
  const [id = ''] = ids.split('\n');
  if (id === '') throw new Error(`expected a container of ${service}`);
  return id;
}

/** One field of a container, or of the image without a name. */
export async function inspect<Value>(engine: Engine, format: string, name = IMAGE): Promise<Value> {
  return JSON.parse(await engine.docker('inspect', '--format', `{{json ${format}}}`, name)) as Value;
}
