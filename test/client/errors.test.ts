/** How the client handles wrong addresses, keys and answers, and how it spaces retries. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from 'vitest';
import type { z } from 'zod';
import type { ServiceCode } from '../../src/client/errors.ts';
import { createWorkerClient, isWorkerError, WorkerError } from '../../src/client/index.ts';
import type { WireExpectation, WireToken } from '../../src/client/wire.ts';
import type { ExpectationAnswer } from '../../src/listeners/workers/schemas/expectations.ts';
import type { ProblemCode } from '../../src/listeners/workers/schemas/problems.ts';
import type { TokenAnswer } from '../../src/listeners/workers/schemas/tokens.ts';
import { RestartableService } from '../support/restartable-service.ts';

const KEY = 'a-key-that-nobody-may-see';
const VALUE = 'a-value-that-nobody-may-see';

describe('the service refuses', () => {
  let service: RestartableService;
  beforeEach(async () => {
    service = await RestartableService.start({
      AUTHENTICITY_PATHS: 'one=/one,two=/two',
      WORKER_API_KEYS: `one:${KEY}`,
      ON_CONFLICT: 'refuse',
    });
  });
  afterEach(() => service.stop());

  const failureOf = async (promise: Promise<unknown>): Promise<WorkerError> => {
    const error = await promise.catch((caught: unknown) => caught);
    if (!(error instanceof WorkerError)) return expect.unreachable();
    const told = `${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`;
    expect(told).not.toContain('nobody-may-see');
    return error;
  };

  it('rejects at once with the code for a wrong key, another merchant and a wrong parameter', async () => {
    const wrong = createWorkerClient({ url: service.workerUrl, key: `${KEY}-not`, merchant: 'one' });
    expect(await failureOf(wrong.waitForToken({ sid: 'x' }))).toMatchObject({ code: 'unauthorized', status: 401 });
    const client = createWorkerClient({ url: `${service.workerUrl}/`, key: KEY, merchant: 'one' });
    expect(await failureOf(client.claim({ kind: 'token', merchant: 'two' }))).toMatchObject({ code: 'forbidden' });
    expect(await failureOf(client.claim({ kind: 'token', lease: 1 }))).toMatchObject({ code: 'invalid_request' });
    expect(await failureOf(client.useToken({ id: 'none', merchant: 'one' }))).toMatchObject({ code: 'unknown_token' });
  });

  it('rejects conflicting tokens without their values', async () => {
    for (const at of [1, 2]) await service.post({ seid: `${VALUE}-${at}`, merchant_data: 'M' }, '/one');
    const client = createWorkerClient({ url: service.workerUrl, key: KEY, merchant: 'one' });
    const error = await failureOf(client.waitForToken({ merchantData: 'M' }));
    expect(isWorkerError(error, 'conflict')).toBe(true);
    expect(isWorkerError(error, 'used')).toBe(false);
  });
});

describe('something else answers', () => {
  let server: Server;
  let url = '';
  let answer: [status: number, headers: Record<string, string>, body: string];
  beforeEach(async () => {
    server = createServer((_request, response) => {
      response.writeHead(answer[0], { ...answer[1], connection: 'close' }).end(answer[2]);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(() => new Promise<void>((resolve) => server.close(() => resolve())));

  it.each([
    [200, {}, 'OK'],
    [404, {}, '<html>not here</html>'],
    [301, { location: 'https://elsewhere.example/' }, ''],
    [200, {}, '"text"'],
  ])('reports answer %i %o', async (...given) => {
    answer = given as unknown as typeof answer;
    const failing = createWorkerClient({ url, key: KEY }).waitForToken({ sid: 'x' });
    await expect(failing).rejects.toMatchObject({ code: 'unexpected_answer', status: given[0] });
  });

  it('retries when a proxy answers for a service that is down', async () => {
    answer = [502, {}, 'Bad Gateway'];
    let asked = 0;
    const counted: typeof fetch = (...args) => {
      asked += 1;
      if (asked === 3) answer = [204, {}, ''];
      return fetch(...args);
    };
    await createWorkerClient({ url, fetch: counted }).used({ merchant: 'default', claim: { id: 'any' } });
    expect(asked).toBe(3);
  });
});

it.each(['', 'carat', 'ftp://host', 'http://user:secret@host', 'http://host?key=secret'])(
  'refuses the address %j',
  (url) => {
    const make = () => createWorkerClient({ url });
    expect(make).toThrow(expect.objectContaining({ code: 'invalid_url' }));
    expect(make).not.toThrow(/secret/);
  },
);

describe('pace', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });
  const away = (headers: Record<string, string>) =>
    Response.json({ code: 'draining', detail: 'stopping' }, { status: 503, headers });

  it('waits as long as `Retry-After` says', async () => {
    const asked: number[] = [];
    const began = performance.now();
    const paced: typeof fetch = async () => {
      asked.push(performance.now() - began);
      return asked.length < 3 ? away({ 'retry-after': '4' }) : new Response(null, { status: 204 });
    };
    const done = createWorkerClient({ url: 'http://service', fetch: paced }).used(
      { merchant: 'default', claim: { id: 'any' } },
      { timeout: 60_000 },
    );
    await vi.runAllTimersAsync();
    await done;
    const pauses = asked.slice(1).map((at, before) => at - (asked[before] ?? 0));
    expect(pauses).toHaveLength(2);
    for (const pause of pauses) expect(pause >= 4000 && pause <= 5000).toBe(true);
  });

  it('pauses longer and with jitter each time, and rejects with the last error', async () => {
    const asked: number[] = [];
    const paced: typeof fetch = async () => {
      asked.push(performance.now());
      throw new TypeError('fetch failed', { cause: { code: 'ECONNREFUSED' } });
    };
    const failing = createWorkerClient({ url: 'http://service', fetch: paced })
      .waitForToken({ sid: 'x' }, { timeout: 60_000 })
      .catch((error: unknown) => error);
    await vi.runAllTimersAsync();
    expect(await failing).toMatchObject({ code: 'unreachable', message: expect.stringContaining('ECONNREFUSED') });
    const pauses = asked.slice(1).map((at, before) => at - (asked[before] ?? 0));
    expect(pauses[0]).toBeLessThanOrEqual(100);
    expect(Math.max(...pauses)).toBeGreaterThan(2000);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(5000);
    // In whole milliseconds; a few may be the same by chance.
    expect(new Set(pauses).size).toBeGreaterThan(pauses.length - 4);
  });

  it('waits in slices of at most 25 s, of different length', async () => {
    const slices: number[] = [];
    const sliced: typeof fetch = async (input) => {
      const wait = Number(new URL(String(input)).searchParams.get('wait'));
      slices.push(wait);
      await vi.advanceTimersByTimeAsync(wait * 1000);
      return new Response(null, { status: 204 });
    };
    const waiting = createWorkerClient({ url: 'http://service', fetch: sliced }).waitForToken(
      { sid: 'x' },
      { timeout: 90_000 },
    );
    expect(await waiting).toBeUndefined();
    expect(slices.reduce((sum, slice) => sum + slice)).toBeCloseTo(90, 1);
    for (const slice of slices) expect(slice).toBeLessThanOrEqual(25);
    expect(new Set(slices).size).toBe(slices.length);
  });

  it('treats a service that never answers as unreachable', async () => {
    const silent: typeof fetch = (_input, init) =>
      new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => reject(init.signal?.reason));
      });
    const asking = createWorkerClient({ url: 'http://service', fetch: silent })
      .expect({ kind: 'seid' })
      .catch((error: unknown) => error);
    await vi.runAllTimersAsync();
    expect(await asking).toMatchObject({ code: 'unreachable', message: expect.stringContaining('no answer') });
  });
});

it('has the types of the wire', () => {
  expectTypeOf<z.output<typeof TokenAnswer>>().toExtend<WireToken>();
  expectTypeOf<z.output<typeof ExpectationAnswer>>().toExtend<WireExpectation>();
  expectTypeOf<ProblemCode>().toExtend<ServiceCode>();
});
