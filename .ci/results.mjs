/**
 * Reads what vitest wrote of its runs.
 *   failed FILE.json   names the test files that failed, a line each
 *   sum RUN [RUN ...]  sums RUN.json up, and RUN.again.json where there is one; exits with 1 unless all passed in the end
 */
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

/** A run that told nothing, or failed outside of its tests, counts as one that failed. */
function read(file) {
  const told = existsSync(file)
    ? JSON.parse(readFileSync(file, 'utf8'))
    : { success: false, numPassedTests: 0, numFailedTests: 0, testResults: [] };
  const { success, numPassedTests: passed, testResults } = told;
  const files = testResults.filter(({ status }) => status === 'failed');
  const names = files.flatMap(({ name, assertionResults }) => {
    const tests = assertionResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName);
    return (tests.length > 0 ? tests : ['outside of a test']).map((test) => `${relative('.', name)}: ${test}`);
  });
  return { success, passed, failed: success ? 0 : Math.max(1, told.numFailedTests), files, names };
}

function sum(runs) {
  let passed = 0;
  let failed = 0;
  for (const run of runs) {
    const first = read(`${run}.json`);
    const again = existsSync(`${run}.again.json`) ? read(`${run}.again.json`) : undefined;
    const last = again ?? first;
    failed += last.failed;
    passed += first.passed + (again === undefined ? 0 : Math.max(0, first.failed - again.failed));
    for (const name of last.names) console.log(`failed: ${name}`);
    for (const name of first.names) if (!last.names.includes(name)) console.log(`passed only when run alone: ${name}`);
  }
  console.log(`\n${passed} passed, ${failed} failed`);
  return passed > 0 && failed === 0;
}

const [what, ...files] = process.argv.slice(2);
if (what === 'sum') process.exitCode = sum(files) ? 0 : 1;
else for (const file of files) for (const { name } of read(file).files) console.log(relative('.', name));
