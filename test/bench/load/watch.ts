/**
 * Simulates an operator and a scraper while it is switched on: one reader of `/v1/events`,
 * `/metrics` each second, and an open operator page with its own event stream and a reload each
 * second. Lines on its input switch it: `on` and `off`. After `off`, it reports what it received.
 */
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { Connection, get } from './connection.ts';
import { loadOptions, pause } from './load.ts';

export interface WatchOptions {
  port: number;
}

export interface WatchResult {
  /** Received bytes of both streams. */
  streamed: number;
  scrapes: number;
  pages: number;
}

const EVERY_MS = 1000;
const { port } = loadOptions<WatchOptions>();

class Watch {
  readonly #result: WatchResult = { streamed: 0, scrapes: 0, pages: 0 };
  readonly #streams: Socket[] = [];
  #asking: Promise<void>[] = [];
  #isOver = false;

  async begin(): Promise<void> {
    await Promise.all([this.#follow('/v1/events'), this.#follow('/operator/changes')]);
    this.#asking = [this.#repeat('/metrics', 'scrapes'), this.#repeat('/', 'pages')];
  }

  async end(): Promise<WatchResult> {
    this.#isOver = true;
    for (const stream of this.#streams) stream.destroy();
    await Promise.all(this.#asking);
    return this.#result;
  }

  #follow(path: string): Promise<void> {
    return new Promise((resolve) => {
      const stream = connect(port, '127.0.0.1');
      this.#streams.push(stream);
      stream.write(get(path));
      stream.on('data', (bytes) => {
        this.#result.streamed += bytes.length;
        resolve();
      });
    });
  }

  async #repeat(path: string, what: 'scrapes' | 'pages'): Promise<void> {
    const connection = await Connection.open(port);
    while (!this.#isOver) {
      const { status } = await connection.request(get(path));
      if (status === 200) this.#result[what] += 1;
      for (let waited = 0; waited < EVERY_MS && !this.#isOver; waited += 50) await pause(50);
    }
    connection.close();
  }
}

let watch: Watch | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'on') {
    watch = new Watch();
    await watch.begin();
    process.stdout.write('watching\n');
  } else process.stdout.write(`${JSON.stringify(await watch?.end())}\n`);
}
