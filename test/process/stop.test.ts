/**
 * The end of the process: by one signal or two, with pending work. It exits with 0, and Carat gets
 * only 200.
 */
import { Agent, request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { useDataDir } from '../support/data-dir.ts';
import { RawConnection, rawRequest, statusOf } from '../support/raw-http.ts';
import { NODE, type ServiceProcess } from '../support/service-process.ts';
import { scaled } from '../support/time-scale.ts';
import { until } from '../support/until.ts';

const data = useDataDir();
const NPM_START = ['npm', 'start'] as const;
const OK_EXIT = { code: 0, signal: null };
const EXIT_DEADLINE_MS = scaled(10_000);

/** The exit, which must come in time; the clock is that of the contract. */
async function exitOf(service: ServiceProcess): Promise<unknown> {
  let exit: unknown;
  void service.exited.then((ended) => {
    exit = ended;
  });
  await until('the process ends', () => exit !== undefined, EXIT_DEADLINE_MS);
  return exit;
}

describe.each([
  ['node dist/main.js', NODE],
  ['npm start', NPM_START],
])('%s', (_name, command) => {
  test('ends with 0 by SIGTERM', async () => {
    const service = await data.start({ command });
    service.signal('SIGTERM');
    expect(await exitOf(service)).toEqual(OK_EXIT);
    expect(service.events('stopped')).toHaveLength(1);
  });

  test('ends with 0 by SIGTERM sent twice', async () => {
    const service = await data.start({ command });
    // While this post is open, the stop goes on, and the second signal comes during it.
    const halfway = await RawConnection.open(service.authenticityPort);
    halfway.write(rawRequest({ headers: [['Content-Length', '6']], body: 'sid' }));
    await seen(service);
    service.signal('SIGTERM');
    await service.logs('stopping');
    service.signal('SIGTERM');
    halfway.write('=id');
    expect(statusOf(await halfway.answer())).toBe(200);
    halfway.destroy();
    expect(await exitOf(service)).toEqual(OK_EXIT);
    expect(service.events('stopping')).toHaveLength(1);
  });
});

test('ends with 0 by SIGINT', async () => {
  const service = await data.start();
  service.signal('SIGINT');
  expect(await exitOf(service)).toEqual(OK_EXIT);
});

test('ends with 0 by a signal during the start', async () => {
  const service = data.run();
  await service.logs('starting');
  service.signal('SIGTERM');
  expect(await exitOf(service)).toEqual(OK_EXIT);
});

test.each<[string, string]>([
  ['headers', 'GET /v1/tokens?sid=x HTTP/1.1\r\nHost: x\r\n'],
  [
    'body',
    'PUT /v1/claims/c HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"kind":',
  ],
  ['event stream', 'GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n'],
])('waits for no worker with an open %s when it stops', async (_name, bytes) => {
  const service = await data.start();
  const connection = await RawConnection.open(Number(new URL(service.workerUrl).port));
  connection.write(Buffer.from(bytes));
  // The service has read the bytes once it has answered what came after them.
  expect((await service.readiness()).status).toBe(200);
  service.signal('SIGTERM');
  expect(await exitOf(service)).toEqual(OK_EXIT);
  // A stop that takes too long is cut off without a log line.
  expect(service.events('stopped')).toHaveLength(1);
  connection.destroy();
});

test('ends with a closed stdout', async () => {
  const service = await data.start();
  service.child.stdout?.destroy();
  expect(await service.post({ seid: 'x', sid: 'y' })).toBe(200);
  service.signal('SIGTERM');
  expect(await exitOf(service)).toEqual(OK_EXIT);
});

test('answers 200 to an incomplete body when it stops', async () => {
  const service = await data.start();
  const connection = await RawConnection.open(service.authenticityPort);
  connection.write(rawRequest({ headers: [['Content-Length', '100']], body: 'seid=half' }));
  await seen(service);
  service.signal('SIGTERM');
  expect(statusOf(await connection.answer())).toBe(200);
  expect(await exitOf(service)).toEqual(OK_EXIT);
  connection.destroy();
});

test('keeps a post whose second half comes during the stop', async () => {
  const service = await data.start();
  const connection = await RawConnection.open(service.authenticityPort);
  connection.write(rawRequest({ headers: [['Content-Length', '16']], body: 'seid=sl' }));
  await seen(service);
  service.signal('SIGTERM');
  await service.logs('stopping');
  connection.write('ow&sid=ly');
  expect(statusOf(await connection.answer())).toBe(200);
  connection.destroy();
  expect(await exitOf(service)).toEqual(OK_EXIT);
  const next = await data.start();
  expect(await next.read({ sid: 'ly' })).toMatchObject({ status: 200, value: 'slow' });
});

test('answers waiting workers at once, and readyz 503, while posts are still accepted', async () => {
  const service = await data.start();
  // As long as this post is open, the listeners stay.
  const halfway = await RawConnection.open(service.authenticityPort);
  halfway.write(rawRequest({ headers: [['Content-Length', '6']], body: 'sid' }));
  await seen(service);
  const waits = Array.from({ length: 20 }, (_, at) => fetch(`${service.workerUrl}/v1/tokens?sid=none${at}&wait=60`));
  await until('they wait', async () => {
    const { waiters } = await service.readiness();
    return (waiters as { parked: number }).parked === waits.length;
  });
  service.signal('SIGTERM');
  for (const answer of await Promise.all(waits)) {
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await answer.json()).toMatchObject({ code: 'draining' });
  }
  expect(await service.readiness()).toMatchObject({ status: 503 });
  expect((await fetch(`${service.workerUrl}/livez`)).status).toBe(200);
  expect(await service.post({ seid: 'late', sid: 'late' })).toBe(200);
  halfway.write('=id');
  expect(statusOf(await halfway.answer())).toBe(200);
  halfway.destroy();
  expect(await exitOf(service)).toEqual(OK_EXIT);
});

describe.each([
  ['node dist/main.js', NODE],
  ['npm start', NPM_START],
])('under load, %s', (_name, command) => {
  test('every answer is 200, and every answered post is kept', async () => {
    const service = await data.start({ command });
    const keeping = new Posters(service.authenticityPort, 16, new Agent({ keepAlive: true }));
    const connecting = new Posters(service.authenticityPort, 16, new Agent({ keepAlive: false }));
    const all = [keeping, connecting];
    await until('posts are answered', () => all.every(({ answered }) => answered.length > 200));
    service.signal('SIGTERM');
    expect(await exitOf(service)).toEqual(OK_EXIT);
    await Promise.all(all.map((posters) => posters.stop()));
    for (const { statuses, failures } of all) {
      expect([...new Set(statuses)]).toEqual([200]);
      // A client may send a refused post elsewhere. A disconnected one may have been kept or not.
      expect([...new Set(failures)]).toEqual(['ECONNREFUSED']);
    }
    const next = await data.start();
    expect(await missing(next, [...keeping.answered, ...connecting.answered])).toEqual([]);
  });
});

/** Resolves when the service has read what was sent to it before: it has answered a later connection. */
async function seen(service: ServiceProcess): Promise<void> {
  const later = await RawConnection.open(service.authenticityPort);
  later.write(rawRequest({ method: 'GET' }));
  await later.answer();
  later.destroy();
}

async function missing(service: ServiceProcess, sids: readonly string[]): Promise<string[]> {
  const found: boolean[] = [];
  for (let at = 0; at < sids.length; at += 50) {
    const some = sids.slice(at, at + 50).map(async (sid) => (await service.read({ sid })).status === 200);
    found.push(...(await Promise.all(some)));
  }
  return sids.filter((_, at) => !found[at]);
}

let sids = 0;

/** Clients that post one after another until one of their posts fails. */
class Posters {
  readonly statuses: number[] = [];
  /** The code of the error that ended each client. */
  readonly failures: (string | undefined)[] = [];
  /** The SIDs of the posts that were answered 200. */
  readonly answered: string[] = [];
  readonly #agent: Agent;
  readonly #port: number;
  readonly #done: Promise<unknown>;

  constructor(port: number, clients: number, agent: Agent) {
    this.#port = port;
    this.#agent = agent;
    this.#done = Promise.all(Array.from({ length: clients }, () => this.#postUntilRefused()));
  }

  async stop(): Promise<void> {
    await this.#done;
    this.#agent.destroy();
  }

  async #postUntilRefused(): Promise<void> {
    for (;;) {
      sids += 1;
      const sid = `load${sids}`;
      const status = await this.#post(`seid=value-of-${sid}&sid=${sid}`);
      if (status === undefined) return;
      this.statuses.push(status);
      if (status === 200) this.answered.push(sid);
    }
  }

  /** The status; none when the post failed. */
  #post(body: string): Promise<number | undefined> {
    return new Promise((resolve) => {
      const options = { agent: this.#agent, port: this.#port, method: 'POST', path: '/authenticity' };
      const sent = request({ host: '127.0.0.1', ...options }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode));
      });
      sent.on('error', ({ code }: NodeJS.ErrnoException) => {
        this.failures.push(code);
        resolve(undefined);
      });
      sent.end(body);
    });
  }
}
