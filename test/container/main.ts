/**
 * `npm run test:container`: builds the image, runs the compose file's stack, and looks whether it does what the service
 * promises. Prints what it used, what it saw and what it measured; exits with 1 if anything was otherwise.
 */

import { checks } from './checks.ts';
import { Engine } from './engine.ts';
import { tools } from './tools.ts';

const only = process.argv[2];
let passed = 0;
let failed = 0;

async function check(what: string, look: () => Promise<string | undefined>): Promise<void> {
  const start = performance.now();
  try {
    const seen = await look();
    passed++;
    say(`ok    ${what}${seen === undefined ? '' : `: ${seen}`} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed++;
    say(`FAIL  ${what}: ${(error as Error).message}`);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (only !== 'tools') {
  const engine = await Engine.open();
  say(`used: ${engine.name}`);
  try {
    await engine.build();
    for (const [what, look] of checks(engine)) await check(what, look);
  } finally {
    await engine.close();
  }
}
for (const [what, look] of tools()) await check(what, look);
say(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
