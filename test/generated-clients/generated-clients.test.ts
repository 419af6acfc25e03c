/**
 * Clients that others generate from `/openapi.json`: compiled unchanged, and run against the
 * service.
 */
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { findNpmPackages } from '../support/npm-packages.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { run } from '../support/run.ts';
import type { Seen } from './programs/surroundings.ts';

const PROGRAMS = join(import.meta.dirname, 'programs');
const KEY = 'a-key-of-the-tests';
const VALUE = 'qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjklzxcvbnm02';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'generated-clients-'));
  await cp(PROGRAMS, folder, { recursive: true });
  await symlink(await findNpmPackages('client-generators'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{"type":"module","dependencies":{"zod":"4.6.0"}}\n');
});
afterAll(() => rm(folder, { recursive: true }));

let service: RestartableService;
beforeEach(async () => {
  service = await RestartableService.start({ WORKER_API_KEYS: KEY });
  const headers = { authorization: `Bearer ${KEY}`, connection: 'close' };
  const served = await fetch(`${service.workerUrl}/openapi.json`, { headers });
  await writeFile(join(folder, 'openapi.json'), await served.text());
});
afterEach(() => service.stop());

/** Runs a program of npm packages in the folder. It must succeed. Returns its output. */
async function execute(program: string, ...args: string[]): Promise<string> {
  const { code, out, error } = await run(process.execPath, [program, ...args], {}, { cwd: folder });
  expect(code, `${program} ${args.join(' ')}\n${out}${error}`).toBe(0);
  return out;
}

/** The sources in a subfolder, at any depth. */
async function sources(subfolder: string): Promise<string[]> {
  const entries = await readdir(join(folder, subfolder), { recursive: true });
  return entries.filter((entry) => entry.endsWith('.ts')).map((entry) => join(folder, subfolder, entry));
}

/** The clients: the generator, and the program that uses it. */
const CLIENTS: Record<string, { generate: [string, ...string[]]; program: string; hasSchemas: boolean }> = {
  'openapi-typescript and openapi-fetch': {
    generate: ['openapi-typescript', 'openapi.json', '-o', 'generated/openapi-typescript.ts'],
    program: 'openapi-fetch.ts',
    hasSchemas: false,
  },
  'hey-api': {
    generate: [
      'openapi-ts',
      ...['-i', 'openapi.json', '-o', 'generated/hey-api'],
      ...['-p', '@hey-api/client-fetch', '@hey-api/sdk', '@hey-api/typescript', 'zod'],
    ],
    program: 'hey-api.ts',
    hasSchemas: true,
  },
  orval: { generate: ['orval', '--config', 'orval.config.cjs'], program: 'orval.ts', hasSchemas: true },
};

it.each(Object.entries(CLIENTS))('%s generates a client that compiles and works', async (_name, client) => {
  const [generator, ...args] = client.generate;
  await execute(join('node_modules/.bin', generator), ...args);
  const project = { extends: './tsconfig.json', files: [client.program] };
  await writeFile(join(folder, 'tsconfig.client.json'), JSON.stringify(project));
  for (const file of await sources('generated')) {
    // Git and grep treat a source with a NUL as binary.
    expect(await readFile(file, 'utf8'), file).not.toContain('\0');
  }
  await execute('node_modules/typescript/bin/tsc', '-p', 'tsconfig.client.json');

  const outfile = join(folder, client.program.replace('.ts', '.mjs'));
  const entryPoints = [join(folder, client.program)];
  await build({ entryPoints, outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'silent' });
  const env = { AUTHENTICITY_URL: service.authenticityUrl, WORKER_URL: service.workerUrl, WORKER_API_KEY: KEY };
  const { code, out, error } = await run(process.execPath, [outfile], env);
  expect({ code, error }).toEqual({ code: 0, error: '' });
  const expected: Seen = {
    announced: 201,
    read: { status: 200, value: VALUE },
    claimed: { status: 200, value: VALUE, deliveries: 1 },
    settled: 204,
    wrong: { status: 400, code: 'invalid_request' },
    unknown: { status: 404, code: 'unknown_claim' },
    ...(client.hasSchemas
      ? { schemas: { answer: true, correlator: [true, true], badCorrelator: [false, false] } }
      : {}),
  };
  expect(JSON.parse(out)).toEqual(expected);
});

it('spectral finds no error in the document', async () => {
  const spectral = join(await findNpmPackages('spectral'), '.bin/spectral');
  const lint = (document: string) => ['lint', document, '--ruleset', 'spectral.yaml', '--fail-severity', 'error'];
  await execute(spectral, ...lint('openapi.json'));

  await writeFile(join(folder, 'wrong.json'), '{"openapi":"3.1.0","paths":{"/x":{"get":{"responses":{}}}}}');
  expect((await run(process.execPath, [spectral, ...lint('wrong.json')], {}, { cwd: folder })).code).toBe(1);
});
