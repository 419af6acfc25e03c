/**
 * Sums up the result files of vitest, and names the failed tests. Exits with 1 unless all passed.
 */
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

let passed = 0;
let failed = 0;
for (const file of process.argv.slice(2)) {
  // A run without results, or with a failure outside of its tests, counts as one failure.
  const { success, numPassedTests, numFailedTests, testResults } = existsSync(file)
    ? JSON.parse(readFileSync(file, 'utf8'))
    : { success: false, numPassedTests: 0, numFailedTests: 0, testResults: [] };
  passed += numPassedTests;
  failed += success ? 0 : Math.max(1, numFailedTests);
  for (const { name, status, assertionResults } of testResults) {
    if (status !== 'failed') continue;
    const tests = assertionResults.filter((test) => test.status === 'failed').map(({ fullName }) => fullName);
    for (const test of tests.length > 0 ? tests : ['outside of a test']) {
      console.log(`failed: ${relative('.', name)}: ${test}`);
    }
  }
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = passed > 0 && failed === 0 ? 0 : 1;
