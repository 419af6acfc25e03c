/**
 * The demo as a process: `npm run demo`. Starts a receiver and a simulator, and runs every
 * scenario. Exits with 0 only if all scenarios ended as expected. `-- --json`: one JSON object per
 * line; `-- --only TEXT`: only scenarios with that text in their name.
 */
import { parseArgs } from 'node:util';
import { createTokenSource, createWorkerClient } from '../../client/index.ts';
import { createSimulator } from '../simulator.ts';
import { runDemo } from './demo.ts';
import { createPrinter } from './narrator.ts';
import { startReceiver } from './receiver.ts';
import { SCENARIOS } from './scenarios.ts';

const { json, only } = readArguments();
const scenarios = SCENARIOS.filter(({ name }) => name.includes(only));
if (scenarios.length === 0) refuse(`no scenario has ${JSON.stringify(only)} in its name`);
const print = createPrinter((text) => process.stdout.write(text), json);

const simulator = createSimulator({ authenticityUrl: 'http://127.0.0.1:1/' });
await simulator.listen();
const receiver = await startReceiver(simulator.addresses());
simulator.postTo(receiver.authenticityUrl);
const service = createWorkerClient({ url: receiver.workerUrl });
let failed: string[] = ['the demo itself'];
try {
  failed = await runDemo({ simulator, source: createTokenSource(service), service, print, scenarios });
} finally {
  const code = await receiver.stop();
  await simulator.close();
  process.exitCode = failed.length === 0 && code === 0 ? 0 : 1;
}

function readArguments(): { json: boolean; only: string } {
  const options = { json: { type: 'boolean', default: false }, only: { type: 'string', default: '' } } as const;
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

function refuse(message: string): never {
  process.stderr.write(`demo: ${message}\n`);
  process.exit(2);
}
