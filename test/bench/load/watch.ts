/**
 * Looks on until its input ends, as an operator and a scraper do: one reader of `/v1/events`, `/metrics` each second, and
 * the operator page as a browser has it open: its own stream of events, and the page again once a second.
 */
import { connect, type Socket } from 'node:net';
import { Connection, get } from './connection.ts';
import { answerLoad, loadOptions, pause } from './load.ts';

export interface WatchOptions {
  port: number;
}

export interface WatchResult {
  /** Bytes of both streams. */
  streamed: number;
  scrapes: number;
  pages: number;
}

const EVERY_MS = 1000;
const { port } = loadOptions<WatchOptions>();
const result: WatchResult = { streamed: 0, scrapes: 0, pages: 0 };
let done = false;

function follow(path: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.write(get(path));
    socket.on('data', (bytes) => {
      result.streamed += bytes.length;
      resolve(socket);
    });
  });
}

async function repeat(path: string, count: () => void): Promise<void> {
  const connection = await Connection.open(port);
  while (!done) {
    const { status } = await connection.request(get(path));
    if (status === 200) count();
    await pause(EVERY_MS);
  }
  connection.close();
}

const streams = await Promise.all([follow('/v1/events'), follow('/operator/changes')]);
const asking = [
  repeat('/metrics', () => {
    result.scrapes += 1;
  }),
  repeat('/', () => {
    result.pages += 1;
  }),
];
process.stdout.write('watching\n');
process.stdin.resume().on('end', async () => {
  done = true;
  for (const stream of streams) stream.destroy();
  await Promise.all(asking);
  answerLoad(result);
});
