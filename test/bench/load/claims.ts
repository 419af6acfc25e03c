/**
 * Workers without pauses, on one instance or several: reads of existing tokens (`hits`), or claims
 * from a pool that is filled in parallel, with an immediate use of each token (`pool`).
 */
import { type Connection, get, newValue, openConnections, post, withBody } from './connection.ts';
import { answerLoad, loadOptions, pause } from './load.ts';

export interface ClaimsOptions {
  how: 'hits' | 'pool';
  postPort: number;
  workerPorts: number[];
  workers: number;
  seconds: number;
}

export interface ClaimsResult {
  answered: number;
  seconds: number;
  /** Number of tokens that more than one worker got: must be 0. */
  doubled: number;
  p50: number;
  p99: number;
}

const { how, postPort, workerPorts, workers, seconds } = loadOptions<ClaimsOptions>();
const run = `${process.pid}x${Date.now()}`;
const took: number[] = [];
const seen = new Set<string>();
let doubled = 0;
let done = false;

const posters = await openConnections(postPort, 16);
async function fill(poster: Connection, first: number): Promise<void> {
  for (let i = first; !done && (how === 'pool' || i < 1000); i += posters.length) {
    const form = how === 'pool' ? `token=${newValue()}` : `seid=${newValue()}&merchant_data=${run}x${i}`;
    await poster.request(post(form));
    // As many as are taken, and a reserve.
    while (how === 'pool' && !done && i - took.length > 2000) await pause(2);
  }
}
const filling = posters.map(fill);
if (how === 'hits') await Promise.all(filling);
else await pause(500);

const connections = await Promise.all(
  workerPorts.map((port) => openConnections(port, Math.ceil(workers / workerPorts.length))),
);
async function work(connection: Connection, worker: number): Promise<void> {
  for (let i = 0; !done; i++) {
    const at = performance.now();
    if (how === 'hits') {
      const { status } = await connection.request(get(`/v1/tokens?merchant_data=${run}x${(worker * 31 + i) % 1000}`));
      if (status === 200) took.push(performance.now() - at);
      continue;
    }
    const claim = `/v1/claims/${run}-${worker}-${i}`;
    const request = withBody('PUT', claim, 'application/json', '{"kind":"token","wait":1,"lease":60}');
    const { status, body } = await connection.request(request);
    if (status !== 200) continue;
    took.push(performance.now() - at);
    const { id } = JSON.parse(body) as { id: string };
    if (seen.has(id)) doubled += 1;
    seen.add(id);
    await connection.request(`DELETE ${claim} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  }
}
const startedAt = performance.now();
const working = connections.flat().map(work);
await pause(seconds * 1000);
done = true;
const elapsed = (performance.now() - startedAt) / 1000;
await Promise.all(working);
took.sort((a, b) => a - b);
const quantile = (q: number): number => took[Math.floor(took.length * q)] ?? 0;
const result: ClaimsResult = {
  answered: took.length,
  seconds: elapsed,
  doubled,
  p50: quantile(0.5),
  p99: quantile(0.99),
};
answerLoad(result);
