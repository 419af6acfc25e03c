/** Programs for 1.0.0 compile with the current types. */
import { readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { ROOT } from '../support/build.ts';

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
])('compiles the $language of 1.0.0 against ./client and ./carat', ({ ending, least, strict, said }) => {
  const files = readdirSync(FIXTURES).filter((name) => name.endsWith(ending));
  expect(files.length).toBeGreaterThanOrEqual(least);
  const program = ts.createProgram(
    files.map((name) => join(FIXTURES, name)),
    {
      target: ts.ScriptTarget.ES2023,
      lib: ['lib.es2023.d.ts', 'lib.dom.d.ts'],
      module: ts.ModuleKind.NodeNext,
      types: ['node'],
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
  );
  const problems = ts
    .getPreEmitDiagnostics(program)
    .filter(({ file }) => file === undefined || file.fileName.startsWith(FIXTURES))
    .map(({ file, messageText }) => {
      const name = file === undefined ? '' : basename(file.fileName);
      return `${name}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`;
    });
  expect(problems).toEqual(said);
});
