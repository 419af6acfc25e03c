/** `listen` as a process, between the real service and a worker that is an HTTP server. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWorkerClient, type WorkerClient } from '../../src/client/index.ts';
import { type Latch, latch } from '../support/latch.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { type Running, runCli, startCli } from '../support/run.ts';
import { until } from '../support/until.ts';

const KEY = 'a-key-that-nobody-may-see';
const VALUE = 'a-value-that-nobody-may-see';

interface Received {
  method: string | undefined;
  type: string | undefined;
  path: string | undefined;
  token: Record<string, unknown>;
  at: number;
  response: ServerResponse;
  /** Opens when the connection of the post closes. */
  gone: Latch<void>;
}

/** A worker whose answers the test chooses. */
class Worker {
  readonly received: Received[] = [];
  readonly #server: Server;

  private constructor(answer: (response: ServerResponse, nth: number) => void) {
    this.#server = createServer((request, response) => void this.#take(request, response, answer));
  }

  static async start(answer: (response: ServerResponse, nth: number) => void, port = 0): Promise<Worker> {
    const worker = new Worker(answer);
    await new Promise<void>((resolve) => worker.#server.listen(port, LOOPBACK, resolve));
    return worker;
  }

  get url(): string {
    return `http://${LOOPBACK}:${(this.#server.address() as AddressInfo).port}/hook?secret=s3cret`;
  }

  async #take(
    request: IncomingMessage,
    response: ServerResponse,
    answer: (response: ServerResponse, nth: number) => void,
  ): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { method, url: path, headers } = request;
    const gone = latch();
    response.on('close', () => gone.open());
    const token = JSON.parse(Buffer.concat(chunks).toString());
    this.received.push({ method, path, type: headers['content-type'], token, at: performance.now(), response, gone });
    answer(response, this.received.length);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

let service: RestartableService;
let client: WorkerClient;
let open: (() => Promise<unknown>)[];
beforeEach(async () => {
  open = [];
  service = await RestartableService.start({ WORKER_API_KEYS: KEY });
  client = createWorkerClient({ url: service.workerUrl, key: KEY });
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
  await service.stop();
});

async function workerThat(answer: (response: ServerResponse, nth: number) => void, port?: number): Promise<Worker> {
  const worker = await Worker.start(answer, port);
  open.push(() => worker.stop());
  return worker;
}

/** The first token that a worker has received. */
async function firstOf(worker: Worker): Promise<Worker['received'][number] | undefined> {
  const [first] = await until('the worker has it', () => worker.received.length > 0 && worker.received);
  return first;
}

function listening(url: string, ...args: string[]): Running {
  const env = { WORKER_URL: service.workerUrl, WORKER_API_KEY: KEY };
  const running = startCli(['listen', '--forward-to', url, '--kind', 'token', '--json', ...args], env);
  open.push(async () => {
    running.child.kill('SIGKILL');
    await running.ended;
  });
  return running;
}

const eventsOf = (running: Running): Record<string, unknown>[] =>
  running
    .out()
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));
const eventsNamed = (running: Running, name: string) => eventsOf(running).filter(({ event }) => event === name);
const happened = (running: Running, name: string, count = 1) =>
  until(`${count} ${name}`, () => eventsNamed(running, name).length >= count && eventsNamed(running, name));

async function stopped(running: Running, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  running.child.kill(signal);
  const ran = await running.ended;
  expect(ran).toMatchObject({ code: 0, error: '' });
  expect(ran.out).not.toMatch(/nobody-may-see|s3cret/);
}

describe('listen', () => {
  it('posts the token answer to the worker and marks the token as used when the worker answers 2xx', async () => {
    const worker = await workerThat((response) => response.writeHead(204).end());
    const listener = listening(worker.url);
    await happened(listener, 'listening');
    await service.post({ token: VALUE });
    const [used] = await happened(listener, 'used');
    const [got] = worker.received;
    expect(got).toMatchObject({ method: 'POST', type: 'application/json', path: '/hook?secret=s3cret' });
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(got?.token).toEqual({
      id: used?.['id'],
      merchant: 'default',
      kind: 'token',
      value: VALUE,
      received_at: time,
      expires_at: time,
      distinct: 1,
      claim: { id: used?.['claim'], lease_expires_at: time, deliveries: 1 },
    });
    expect(used).toMatchObject({ merchant: 'default', kind: 'token', status: 204, deliveries: 1 });
    expect(await client.claim({ kind: 'token' }, { timeout: 0 })).toBeUndefined();
    await expect(client.used({ merchant: 'default', claim: { id: String(used?.['claim']) } })).resolves.toBeUndefined();
    await stopped(listener);
  });

  it('forwards the tokens of a selector one after another', async () => {
    const worker = await workerThat((response) => response.writeHead(200).end('done'));
    const listener = startCli(['listen', '--forward-to', worker.url, '--merchant-data', 'm1'], {
      WORKER_URL: service.workerUrl,
      WORKER_API_KEY: KEY,
    });
    open.push(async () => {
      listener.child.kill('SIGKILL');
      await listener.ended;
    });
    await service.post({ seid: `${VALUE}-1`, merchant_data: 'm1' });
    await until('the first', () => listener.out().includes('used'));
    await service.post({ seid: `${VALUE}-2`, merchant_data: 'm1' });
    await until('the second', () => listener.out().split('used').length === 3);
    expect(worker.received.map(({ token }) => [token['value'], token['merchant_data']])).toEqual([
      [`${VALUE}-1`, 'm1'],
      [`${VALUE}-2`, 'm1'],
    ]);
    await stopped(listener, 'SIGINT');
  });

  it('puts the token back after each answer that is not 2xx, with growing pauses', async () => {
    const worker = await workerThat((response, nth) => {
      const status = [500, 302, 429][nth - 1] ?? 200;
      response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end();
    });
    const listener = listening(worker.url);
    await service.post({ token: VALUE });
    const [used] = await happened(listener, 'used');
    const released = eventsNamed(listener, 'released');
    expect(released.map(({ status }) => status)).toEqual([500, 302, 429]);
    expect(used).toMatchObject({ deliveries: 4 });
    const pauses = released.map(({ retry_in_ms }) => Number(retry_in_ms));
    expect(pauses).toEqual([500, 1000, 2000]);
    const gaps = worker.received.slice(1).map(({ at }, index) => at - (worker.received[index]?.at ?? Number.NaN));
    // A timer may fire a millisecond early.
    for (const [index, gap] of gaps.entries()) expect(gap).toBeGreaterThanOrEqual((pauses[index] ?? 0) - 2);
    await stopped(listener);
  });

  it('leaves the token to other workers while it pauses', async () => {
    const worker = await workerThat((response) => response.writeHead(503).end());
    const listener = listening(worker.url);
    await service.post({ token: VALUE });
    await happened(listener, 'released', 3);
    expect(await client.claim({ kind: 'token' })).toMatchObject({ value: VALUE });
    await stopped(listener);
  });

  it('continues when a worker that was down is back', async () => {
    const port = await freePort();
    const listener = listening(`http://${LOOPBACK}:${port}/`);
    await service.post({ token: VALUE });
    const [released] = await happened(listener, 'released');
    expect(released).toMatchObject({ reason: 'ECONNREFUSED', retry_in_ms: 500 });
    const worker = await workerThat((response) => response.writeHead(200).end(), port);
    await happened(listener, 'used');
    expect(worker.received).toHaveLength(1);
    await stopped(listener);
  });

  it('renews the lease while the worker is busy', async () => {
    const worker = await workerThat(() => {});
    const listener = listening(worker.url, '--lease', '3');
    await service.post({ token: VALUE });
    const got = await firstOf(worker);
    // A rival waits longer than the lease: it would get the token if the lease ended.
    expect(await client.claim({ kind: 'token' }, { timeout: 4500 })).toBeUndefined();
    got?.response.writeHead(200).end();
    expect(await happened(listener, 'used')).toMatchObject([{ deliveries: 1, status: 200 }]);
    expect(worker.received).toHaveLength(1);
    await stopped(listener);
  });

  it('aborts the post and puts the token back when the worker exceeds --timeout', async () => {
    const worker = await workerThat((response, nth) => nth > 1 && response.writeHead(200).end());
    const listener = listening(worker.url, '--timeout', '0.2');
    await service.post({ token: VALUE });
    expect(await happened(listener, 'released')).toMatchObject([{ reason: 'timeout' }]);
    await worker.received[0]?.gone.opened;
    await happened(listener, 'used');
    await stopped(listener);
  });

  it('aborts the post when the token is lost', async () => {
    const worker = await workerThat(() => {});
    const listener = listening(worker.url, '--lease', '3');
    await service.post({ token: VALUE });
    const got = await firstOf(worker);
    const claim = got?.token['claim'] as { id: string };
    await client.release({ merchant: 'default', claim });
    await got?.gone.opened;
    expect(await happened(listener, 'lost')).toMatchObject([{ reason: 'lease_lost', claim: claim.id }]);
    await stopped(listener);
  });

  it('continues after a restart of the service', async () => {
    const worker = await workerThat((response) => response.writeHead(200).end());
    const listener = listening(worker.url);
    await happened(listener, 'listening');
    await service.suspend();
    await service.resume();
    await service.post({ token: VALUE });
    await happened(listener, 'used');
    await stopped(listener);
  });

  it('settles a use when the service was down while the worker answered', async () => {
    const worker = await workerThat(() => {});
    const listener = listening(worker.url);
    await service.post({ token: VALUE });
    const got = await firstOf(worker);
    await service.suspend();
    got?.response.writeHead(200).end();
    await service.resume();
    await happened(listener, 'used');
    expect(await client.claim({ kind: 'token' }, { timeout: 0 })).toBeUndefined();
    await stopped(listener);
  });
});

describe('listen, stopped', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('ends at once by %s while it waits, and frees its waiter', async (signal) => {
    const worker = await workerThat((response) => response.writeHead(200).end());
    const listener = listening(worker.url);
    await until('it waits', () => service.waiting === 1);
    await stopped(listener, signal);
    await until('its place is free', () => service.waiting === 0);
  });

  it('settles the current token when the worker answers after one signal or two', async () => {
    const worker = await workerThat(() => {});
    const listener = listening(worker.url);
    await service.post({ token: VALUE });
    await service.post({ token: `${VALUE}-2` });
    const got = await firstOf(worker);
    listener.child.kill('SIGTERM');
    listener.child.kill('SIGINT');
    got?.response.writeHead(200).end();
    await stopped(listener);
    expect(eventsNamed(listener, 'used')).toHaveLength(1);
    expect(worker.received).toHaveLength(1);
    expect(await client.claim({ kind: 'token' }, { timeout: 0 })).toMatchObject({ value: `${VALUE}-2` });
  });

  it('puts the token back when the worker does not answer in time', async () => {
    const worker = await workerThat(() => {});
    const listener = listening(worker.url);
    await service.post({ token: VALUE });
    await until('the worker has it', () => worker.received.length > 0);
    await stopped(listener);
    expect(eventsNamed(listener, 'released')).toMatchObject([{ reason: 'stopped' }]);
    expect(await client.claim({ kind: 'token' }, { timeout: 0 })).toMatchObject({ value: VALUE });
  });

  it('ends during a pause', async () => {
    const worker = await workerThat((response) => response.writeHead(500).end());
    const listener = listening(worker.url);
    await service.post({ token: VALUE });
    await happened(listener, 'released', 2);
    await stopped(listener);
  });

  it('exits 4 when a use could not be settled', async () => {
    const worker = await workerThat(() => {});
    const listener = listening(worker.url);
    await service.post({ token: VALUE });
    const got = await firstOf(worker);
    await service.suspend();
    got?.response.writeHead(200).end();
    listener.child.kill('SIGTERM');
    const ran = await listener.ended;
    expect(ran.code).toBe(4);
    expect(JSON.parse(ran.error)).toMatchObject({ error: 'unreachable', exit: 4 });
    expect(ran.out + ran.error).not.toMatch(/nobody-may-see|s3cret/);
    await service.resume();
  });
});

describe('listen, refused at the start', () => {
  const AWAY = `http://${LOOPBACK}:1`;
  it.each([
    [['--kind', 'token'], 2, 'expected --forward-to URL'],
    [['--kind', 'token', '--forward-to', 'worker'], 2, 'expected an http or https address'],
    [['--kind', 'token', '--forward-to', 'http://me:s3cret@127.0.0.1'], 2, 'without user and password'],
    [['--forward-to', AWAY], 2, 'expected one of'],
    [['--forward-to', AWAY, '--kind', 'token', '--timeout', '301'], 2, 'expected seconds'],
    [['--forward-to', AWAY, '--kind', 'token', '--key', 'wrong'], 5, 'unauthorized'],
    [['--forward-to', AWAY, '--kind', 'token', '--merchant', 'x'], 2, 'merchant'],
    [['--forward-to', AWAY, '--kind', 'token', '--worker', AWAY], 4, 'cannot be reached'],
  ])('%j: one clear line, exit %i', async (args, code, says) => {
    const ran = await runCli(['listen', ...args], { WORKER_URL: service.workerUrl, WORKER_API_KEY: KEY });
    expect(ran).toMatchObject({ code, out: '' });
    expect(ran.error).toContain(says);
    expect(ran.error.trim().split('\n')).toHaveLength(1);
    expect(ran.error).not.toMatch(/s3cret|nobody-may-see/);
  });

  it('takes the address of the worker from FORWARD_TO', async () => {
    const worker = await workerThat((response) => response.writeHead(200).end());
    const env = { WORKER_URL: service.workerUrl, WORKER_API_KEY: KEY, FORWARD_TO: worker.url };
    const listener = startCli(['listen', '--kind', 'token', '--json'], env);
    await service.post({ token: VALUE });
    await happened(listener, 'used');
    await stopped(listener);
  });
});
