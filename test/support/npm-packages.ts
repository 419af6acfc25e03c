/**
 * npm packages for the tests that are not dependencies of the project. Each set is installed once,
 * into `.cache/npm`.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CACHE, fetchInto, withProgress } from './cache.ts';

const INSTALL_TIMEOUT_MS = 900_000;

const SETS = {
  /** The last versions that run on Node 20.19: of hey-api before 0.96, of orval before 7.14. */
  'client-generators': [
    'openapi-typescript@7.13.0',
    'openapi-fetch@0.17.0',
    '@hey-api/openapi-ts@0.95.0',
    'orval@7.13.2',
    'zod@4.6.0',
    // openapi-typescript requires TypeScript 5.
    'typescript@5.9.3',
    '@types/node@20.19.0',
  ],
  spectral: ['@stoplight/spectral-cli@6.16.3'],
} as const satisfies Record<string, readonly string[]>;

export type NpmPackages = keyof typeof SETS;

/** The `node_modules` of a set. Package scripts are disabled. @throws Error with what npm wrote */
export async function findNpmPackages(name: NpmPackages): Promise<string> {
  const packages = SETS[name];
  const versions = createHash('sha256').update(packages.join()).digest('hex').slice(0, 8);
  const folder = join(CACHE, 'npm', `${name}-${versions}`);
  const modules = join(folder, 'node_modules');
  if (!(await exists(modules))) {
    await withProgress(`fetching ${name} from npm`, () =>
      fetchInto(folder, async (aside) => {
        await writeFile(join(aside, 'package.json'), '{"private":true}\n');
        await install(aside, packages);
      }),
    );
  }
  return modules;
}

async function install(folder: string, packages: readonly string[]): Promise<void> {
  const quietly = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
  try {
    await promisify(execFile)('npm', ['install', ...quietly, '--prefix', folder, ...packages], {
      cwd: folder,
      timeout: INSTALL_TIMEOUT_MS,
    });
  } catch (error) {
    const { message, stderr } = error as Error & { stderr?: string };
    throw new Error(`expected ${packages.join(', ')} from npm: ${stderr?.trim() || message}`);
  }
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
