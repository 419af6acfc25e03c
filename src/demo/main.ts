/**
 * The demo as a process: `npm run demo`, or `npm run demo -- --json` for one JSON object per line. Starts a receiver and
 * a simulator, plays every scenario, and exits with 0 only if all of them ended as they should.
 */
import { runDemo } from './demo.ts';
import { createHttpTokenSource } from './http-token-source.ts';
import { teller } from './narrator.ts';
import { startReceiver } from './receiver.ts';

const json = process.argv.includes('--json');
const tell = teller((text) => process.stdout.write(text), json);

const receiver = await startReceiver();
let failed: string[] = ['the demo itself'];
try {
  failed = await runDemo({ receiver, source: createHttpTokenSource({ url: receiver.workerUrl }), tell });
} finally {
  const code = await receiver.stop();
  process.exitCode = failed.length === 0 && code === 0 ? 0 : 1;
}
