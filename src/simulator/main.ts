/**
 * The simulator as a process: `npm run simulator`. Environment: `SIMULATOR_HOST`, `SIMULATOR_PORT`,
 * `AUTHENTICITY_URL`.
 */
import { createSimulator } from './simulator.ts';

const { SIMULATOR_HOST = '127.0.0.1', SIMULATOR_PORT = '8090' } = process.env;
const { AUTHENTICITY_URL = 'http://127.0.0.1:8080/authenticity' } = process.env;

const port = Number(SIMULATOR_PORT);
const problems = [
  ...(Number.isInteger(port) && port >= 0 && port <= 65_535 ? [] : ['SIMULATOR_PORT must be a port, 0 to 65535']),
  ...(/^https?:\/\//.test(AUTHENTICITY_URL) && URL.canParse(AUTHENTICITY_URL)
    ? []
    : ['AUTHENTICITY_URL must be an http or https address']),
];
if (problems.length > 0) {
  for (const problem of problems) process.stderr.write(`${problem}\n`);
  process.exit(2);
}

const simulator = createSimulator({ authenticityUrl: AUTHENTICITY_URL });
const stop = (): void => {
  void simulator.close().then(() => process.exit(0));
};
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
try {
  const address = await simulator.listen({ host: SIMULATOR_HOST, port });
  const line = process.argv.includes('--json')
    ? JSON.stringify({ event: 'listening', simulator: address, authenticity: AUTHENTICITY_URL })
    : `Carat simulator at ${address}, posting to ${AUTHENTICITY_URL}`;
  process.stdout.write(`${line}\n`);
} catch (error) {
  process.stderr.write(`cannot listen: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
