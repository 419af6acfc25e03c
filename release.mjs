/**
 * Writes the files of a release into one folder: the npm package, the client as its own package,
 * the bill of materials, the image, and their checksums. Expects a built `dist/`: `npm run release`
 * builds it first.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const USAGE = 'Usage: npm run release -- [--out FOLDER] [--without-image]';
const ROOT = fileURLToPath(new URL('.', import.meta.url));
const { name, version, license, engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const CLIENT = `${name}-client`;

const fail = (exit, message) => {
  process.stderr.write(`release: ${message}\n`);
  process.exit(exit);
};
const run = (program, ...args) =>
  execFileSync(program, args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 26,
  });

const options = { out: { type: 'string', default: 'release' }, 'without-image': { type: 'boolean', default: false } };
let values;
try {
  ({ values } = parseArgs({ options }));
} catch (error) {
  fail(2, `${error.message}\n${USAGE}`);
}

const engine = values['without-image'] ? undefined : containerEngine();
const out = resolve(values.out);
mkdirSync(out, { recursive: true });
const files = [pack(ROOT), packClient(), billOfMaterials(), ...(engine === undefined ? [] : [image(engine)])];
const sums = files.map(
  (file) =>
    `${createHash('sha256')
      .update(readFileSync(join(out, file)))
      .digest('hex')}  ${file}`,
);
writeFileSync(join(out, 'SHA256SUMS'), `${sums.join('\n')}\n`);
process.stdout.write(`${[...files, 'SHA256SUMS'].map((file) => join(out, file)).join('\n')}\n`);
if (engine === undefined) process.stdout.write('without the image: --without-image\n');

/** Returns Docker or Podman: the first one that answers. A client without its daemon does not. */
function containerEngine() {
  const found = ['docker', 'podman'].find((program) => {
    try {
      execFileSync(program, ['info'], { stdio: 'ignore', timeout: 30_000 });
      return true;
    } catch {
      return false;
    }
  });
  if (found !== undefined) return found;
  return fail(
    1,
    'no container engine answers `docker info` or `podman info`. Start one, or leave the image out: --without-image',
  );
}

function pack(folder) {
  const [{ filename }] = JSON.parse(
    run('npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', out, folder),
  );
  return filename;
}

/** The compiler adds exactly the sources that the client imports. */
function packClient() {
  const folder = mkdtempSync(join(tmpdir(), 'client-package-'));
  try {
    const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
    run(process.execPath, tsc, '-p', 'tsconfig.client.json', '--outDir', join(folder, 'dist'));
    const manifest = {
      name: CLIENT,
      version,
      description: "Worker's client of carat-authenticity: waits for tokens, claims and settles them.",
      license,
      type: 'module',
      exports: {
        '.': { types: './dist/client/index.d.ts', default: './dist/client/index.js' },
        './package.json': './package.json',
      },
      files: ['dist'],
      engines,
    };
    writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    writeFileSync(join(folder, 'README.md'), clientReadme());
    copyFileSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));
    return pack(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * The client's document with the name of this package. Links to other documents become plain text.
 */
function clientReadme() {
  return readFileSync(join(ROOT, 'docs', 'client.md'), 'utf8')
    .replaceAll(`${name}/client`, CLIENT)
    .replaceAll(/\[([^\]]+)\]\((?!https:)[^)]+\)/g, '`$1`');
}

function billOfMaterials() {
  const file = `${name}-${version}.cdx.json`;
  writeFileSync(join(out, file), run('npm', 'sbom', '--package-lock-only', '--omit=dev', '--sbom-format=cyclonedx'));
  return file;
}

function image(program) {
  const file = `${name}-${version}.image.tar`;
  const tag = `${name}:${version}`;
  const revision = run('git', 'rev-parse', 'HEAD').trim();
  // Without it, podman omits the health check.
  const format = program === 'podman' ? ['--format', 'docker'] : [];
  const labels = ['--build-arg', `VERSION=${version}`, '--build-arg', `REVISION=${revision}`];
  run(program, 'build', ...format, ...labels, '-t', tag, '.');
  run(program, 'save', '-o', join(out, file), tag);
  return file;
}
