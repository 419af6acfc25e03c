/**
 * Sends random requests to a real service and checks three promises: every complete request to an
 * authenticity path gets `200 OK`, memory stays flat, and no token of another merchant changes.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { OK, OK_HEAD } from '../listeners/authenticity/ok.ts';
import { RawConnection, undated } from '../support/raw-http.ts';
import { RunningService } from '../support/service.ts';
import { type Random, randomOf, request, spoilt } from './requests.ts';

export interface FuzzOptions {
  seed: number;
  forMs: number;
  onProgress?: (sent: number, heapMiB: number) => void;
}

export interface FuzzReport {
  seed: number;
  seconds: number;
  /** Number of complete requests, each answered 200 OK. */
  requests: number;
  /** Number of connections with bytes that may not be a request. */
  spoilt: number;
  /** Heap after a garbage collection: after the first tokens expired, and at the end. */
  heapMiB: { early: number; late: number };
  failures: string[];
}

const PATH = '/a/fuzzed';
const CONNECTIONS = 8;
const TOKEN_TTL_SECONDS = 2;
const MOST_GROWTH_MIB = 24;
const OTHERS = { seid: 'other'.repeat(13).slice(0, 64), sid: 'others' };

export async function fuzz({ seed, forMs, onProgress = () => {} }: FuzzOptions): Promise<FuzzReport> {
  // The token of the other merchant is posted repeatedly, so that it never expires. It must not
  // change.
  const env = {
    AUTHENTICITY_PATHS: `fuzzed=${PATH},other=/a/other`,
    TOKEN_TTL_SECONDS: String(TOKEN_TTL_SECONDS),
    LOG_LEVEL: 'warn',
  };
  const running = await RunningService.start({ env });
  const report: FuzzReport = { seed, seconds: 0, requests: 0, spoilt: 0, heapMiB: { early: 0, late: 0 }, failures: [] };
  const begun = performance.now();
  const over = (): boolean => performance.now() - begun > forMs || report.failures.length > 20;
  const port = Number(new URL(running.service.authenticityUrl).port);
  let othersPosts = 0;
  let toldAt = begun;
  const watch = async (): Promise<void> => {
    while (!over()) {
      othersPosts += 1;
      await running.post(OTHERS, '/a/other');
      const { status, json } = await running.worker('GET', `/v1/tokens?sid=others&merchant=other`);
      if (status === 200 && (json.value !== OTHERS.seid || json.distinct !== 1))
        report.failures.push('another merchant has another token');
      // Drop the log: it is in memory, and would grow.
      running.log.length = 0;
      const now = performance.now();
      const warm = now - begun > Math.min(forMs / 3, 30_000);
      if (warm && report.heapMiB.early === 0) report.heapMiB.early = heapMiB();
      if (now - toldAt > 10_000) {
        toldAt = now;
        onProgress(report.requests, heapMiB());
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  try {
    const clients = Array.from({ length: CONNECTIONS }, (_, at) => ask(port, randomOf(seed + at), over, report));
    const spoilers = [spoil(port, randomOf(seed - 1), over, report)];
    await Promise.all([watch(), ...clients, ...spoilers]);
    const { text } = await running.worker('GET', '/metrics');
    const others = [...text.matchAll(/posts_total\{merchant="other",[^}]*\} (\d+)/g)];
    const counted = others.reduce((sum, [, count]) => sum + Number(count), 0);
    if (counted !== othersPosts) report.failures.push(`another merchant had ${counted} posts, not ${othersPosts}`);
    if (/troubles_total\{code="bug"\} [1-9]/.test(text)) report.failures.push('a bug was logged');
  } finally {
    await running.stop();
  }
  report.heapMiB.late = heapMiB();
  if (report.heapMiB.late > report.heapMiB.early + MOST_GROWTH_MIB) report.failures.push('memory grows');
  report.seconds = Math.round((performance.now() - begun) / 1000);
  return report;
}

/** Sends requests one after the other, on one connection while the service keeps it open. */
async function ask(port: number, random: Random, over: () => boolean, report: FuzzReport): Promise<void> {
  let connection: RawConnection | undefined;
  while (!over()) {
    if (connection === undefined || connection.closed || connection.ended) {
      connection?.destroy();
      connection = await RawConnection.open(port);
    }
    const { bytes, head } = request(random, PATH);
    const answer = exchange(connection.socket, head);
    connection.socket.write(bytes);
    const got = await answer;
    // A body over the limit is answered before its end, and the connection may be closed then.
    if (got !== (head ? OK_HEAD : OK))
      report.failures.push(
        `${JSON.stringify(bytes.toString('latin1').slice(0, 400))} was answered ${JSON.stringify(got)}`,
      );
    report.requests += 1;
  }
  connection?.destroy();
}

function exchange(socket: Socket, head: boolean): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const end = (): void => {
      clearTimeout(timer);
      socket.off('data', more);
      socket.off('close', end);
      resolve(undated(received.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '')));
    };
    const more = (bytes: Buffer): void => {
      received += bytes.toString('latin1');
      if (undated(received.replace(/^HTTP\/1\.1 100 Continue\r\n\r\n/, '')).endsWith(head ? OK_HEAD : OK)) end();
    };
    const timer = setTimeout(end, 40_000);
    socket.on('data', more);
    socket.once('close', end);
  });
}

/** Random bytes: the service must answer or disconnect, and continue. */
async function spoil(port: number, random: Random, over: () => boolean, report: FuzzReport): Promise<void> {
  while (!over()) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect').catch(() => {});
    socket.write(spoilt(random, PATH));
    await new Promise((resolve) => setTimeout(resolve, 5));
    socket.destroy();
    report.spoilt += 1;
  }
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapMiB(): number {
  collect();
  return Math.round(process.memoryUsage().heapUsed / 2 ** 20);
}
