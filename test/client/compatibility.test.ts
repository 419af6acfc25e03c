/** Programs for 1.0.0 compile with the current types. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ROOT } from '../support/build.ts';
import { run } from '../support/run.ts';

/** The examples and the snippets of 1.0.0's documents, as they were published. */
const FIXTURES = join(ROOT, 'test/client/fixtures/1.0.0');

/** What an editor said of the JavaScript in 1.0.0, too: both run. */
const SAID_BEFORE = [
  expect.stringContaining("recharge.mjs: Property 'status' does not exist on type 'RechargeOutcome'"),
  "settings.mjs: Type 'string' is not assignable to type 'Environment'.",
];

it.each([
  { language: 'TypeScript', ending: '.ts', least: 3, strict: true, said: [] },
  { language: 'JavaScript', ending: '.mjs', least: 6, strict: false, said: SAID_BEFORE },
])('compiles the $language of 1.0.0 against ./client and ./carat', async ({ ending, least, strict, said }) => {
  const files = (await readdir(FIXTURES)).filter((name) => name.endsWith(ending));
  expect(files.length).toBeGreaterThanOrEqual(least);
  const folder = await mkdtemp(join(tmpdir(), 'compatibility-'));
  try {
    const config = {
      compilerOptions: {
        target: 'es2023',
        lib: ['es2023', 'dom'],
        module: 'nodenext',
        types: ['node'],
        typeRoots: [join(ROOT, 'node_modules/@types')],
        strict,
        checkJs: true,
        allowImportingTsExtensions: true,
        skipLibCheck: true,
        noEmit: true,
        paths: {
          'carat-authenticity/client': [join(ROOT, 'src/client/index.ts')],
          'carat-authenticity/carat': [join(ROOT, 'src/carat/index.ts')],
        },
      },
      files: files.map((name) => join(FIXTURES, name)),
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const { out } = await run(process.execPath, [tsc, '-p', folder, '--pretty', 'false'], {}, { cwd: FIXTURES });
    // Further lines of a problem are indented.
    const problems = out.trim() === '' ? [] : out.trim().split(/\n(?! )/);
    expect(problems.map(problemOf).filter((problem) => problem !== undefined)).toEqual(said);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** As `file: message`; undefined for a file of `src`, which is written for other options. */
function problemOf(problem: string): string | undefined {
  const [, file = '', message = ''] = /^([^(]+)\(\d+,\d+\): error TS\d+: (.*)/s.exec(problem) ?? ['', '', problem];
  return file.includes('/') ? undefined : `${file}: ${message.replaceAll(/\s*\n\s*/g, ' ')}`;
}
