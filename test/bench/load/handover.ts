/**
 * Many workers wait, each for its own key. Posts come at a fixed rate, even if earlier ones are not
 * answered. Measures the time from the send of a post until its worker has the token.
 */
import { type Connection, get, newValue, openConnections, post } from './connection.ts';
import { answerLoad, loadOptions, pause } from './load.ts';

export interface HandoverOptions {
  postPort: number;
  workerPort: number;
  waiting: number;
  /** Posts a second. */
  rate: number;
  seconds: number;
}

export interface HandoverResult {
  handed: number;
  failed: number;
  /** Due posts without a waiting worker or a free connection. */
  skipped: number;
  p50: number;
  p99: number;
}

interface Worker {
  connection: Connection;
  key: string;
  sentAt: number;
}

const { postPort, workerPort, waiting, rate, seconds } = loadOptions<HandoverOptions>();
const run = `${process.pid}x${Date.now()}`;
const ready: Worker[] = [];
const took: number[] = [];
let failed = 0;
let skipped = 0;
let keys = 0;

function wait(worker: Worker): void {
  keys += 1;
  worker.key = `${run}x${keys}`;
  ask(worker);
  ready.push(worker);
}

function ask(worker: Worker): void {
  worker.connection.send(get(`/v1/tokens?merchant_data=${worker.key}&wait=60`), (status) => {
    if (status === 200) took.push(performance.now() - worker.sentAt);
    else if (status === 204 && worker.sentAt === 0) return ask(worker);
    else failed += 1;
    if (worker.connection.broken) return;
    worker.sentAt = 0;
    wait(worker);
  });
}

for (const connection of await openConnections(workerPort, waiting)) wait({ connection, key: '', sentAt: 0 });
const posters = await openConnections(postPort, 64);
await pause(1000 + waiting / 5);

const startedAt = performance.now();
let due = 0;
let next = 0;
async function tick(): Promise<void> {
  for (;;) {
    const now = performance.now();
    if (now >= startedAt + seconds * 1000) return;
    for (const until = ((now - startedAt) / 1000) * rate; due < until; due++) {
      const poster = posters.pop();
      const worker = ready[next];
      if (poster === undefined || worker === undefined) {
        skipped += 1;
        if (poster !== undefined) posters.push(poster);
        continue;
      }
      next += 1;
      worker.sentAt = performance.now();
      poster.send(post(`seid=${newValue()}&merchant_data=${worker.key}`), (status) => {
        if (status !== 200) failed += 1;
        posters.push(poster);
      });
    }
    await pause(1);
  }
}
await tick();
await pause(500);
took.sort((a, b) => a - b);
const quantile = (q: number): number => took[Math.floor(took.length * q)] ?? 0;
const result: HandoverResult = {
  handed: took.length,
  failed,
  skipped,
  p50: quantile(0.5),
  p99: quantile(0.99),
};
answerLoad(result);
