/**
 * Access to the worker API: keys in both forms, keys for one merchant, and routes without a key.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedBench } from '../../support/embedded.ts';
import { type Answer, RunningService } from '../../support/service.ts';
import { expectProblem } from './problem.ts';

const ALL = 'a-key-of-all-merchants';
const TWO = 'a-key:of-the-loja2';
const ROUTES = (merchant: string): [string, string, object?][] => [
  ['GET', `/v1/tokens?sid=x&merchant=${merchant}`],
  ['GET', `/v1/tokens?sid=x&wait=1&merchant=${merchant}`],
  ['PUT', '/v1/claims/c1', { kind: 'token', merchant }],
  ['DELETE', `/v1/claims/c2?merchant=${merchant}`],
  ['POST', `/v1/claims/c2/release?merchant=${merchant}`],
  ['DELETE', `/v1/tokens/t1?merchant=${merchant}`],
  ['POST', '/v1/expectations', { kind: 'seid', merchant }],
  ['DELETE', `/v1/expectations/e1?merchant=${merchant}`],
];

describe('worker keys', () => {
  let running: RunningService;
  beforeAll(async () => {
    running = await RunningService.start({
      env: { AUTHENTICITY_PATHS: 'default=/authenticity,loja2=/two', WORKER_API_KEYS: `${ALL},loja2:${TWO}` },
    });
  });
  afterAll(() => running.stop());

  const basic = (user: string, key: string): string => `Basic ${Buffer.from(`${user}:${key}`).toString('base64')}`;
  const ask = (authorization?: string, path = '/v1/tokens?sid=x'): Promise<Answer> =>
    running.worker('GET', path, authorization === undefined ? {} : { headers: { authorization } });

  it.each([
    ['a bearer', `Bearer ${ALL}`],
    ['a bearer in small letters', `bearer ${ALL}`],
    ['a bearer with spaces', `Bearer   ${ALL} `],
    ['basic with any name', basic('anybody', ALL)],
    ['basic without a name', basic('', ALL)],
  ])('are accepted as %s', async (_name, authorization) => {
    expect((await ask(authorization)).status).toBe(204);
  });

  it.each([
    ['missing', undefined],
    ['wrong', 'Bearer wrong'],
    ['empty', 'Bearer '],
    ['a part of it', `Bearer ${ALL.slice(0, -1)}`],
    ['more than it', `Bearer ${ALL}x`],
    ['with its merchant', `Bearer loja2:${TWO}`],
    ['of another scheme', `Digest ${ALL}`],
    ['without a scheme', ALL],
    ['in the name of basic', basic(ALL, '')],
    ['broken basic', 'Basic !!!'],
  ])('are refused when %s', async (_name, authorization) => {
    const answer = await ask(authorization);
    expectProblem(answer, 401, 'unauthorized');
    expect(answer.headers['www-authenticate']).toMatch(/^Basic realm=".*Bearer$/);
  });

  it('are required on every route with data or actions', async () => {
    const routes = [
      ...ROUTES('default'),
      ['GET', '/metrics'],
      ['GET', '/v1/nothing'],
      ['GET', '/'],
      ['POST', '/livez'],
    ];
    for (const [method, path, body] of routes as [string, string, object?][]) {
      expect((await running.worker(method, path, { body })).status, `${method} ${path}`).toBe(401);
    }
    expect((await running.worker('GET', '/livez')).json).toEqual({ status: 'alive' });
    expect((await running.worker('GET', '/readyz')).json).toMatchObject({ status: 'ready', waiters: { parked: 0 } });
  });

  it('are not required for HEAD on the health paths', async () => {
    for (const path of ['/livez', '/readyz']) {
      const [head, get] = [await running.worker('HEAD', path), await running.worker('GET', path)];
      expect([head.status, head.text], path).toEqual([200, '']);
      expect(head.headers['content-length']).toBe(get.headers['content-length']);
      expect(head.headers['content-type']).toBe(get.headers['content-type']);
    }
  });

  it('are checked before the request', async () => {
    expectProblem(await running.worker('PUT', '/v1/claims/a.b', { body: { wrong: 1 } }), 401, 'unauthorized');
  });

  it('for one merchant give access to that merchant only, on every route', async () => {
    for (const [method, path, body] of ROUTES('loja2')) {
      const { status } = await running.worker(method, path, { body, key: TWO });
      expect([200, 201, 204, 404], `${method} ${path}`).toContain(status);
    }
    for (const merchant of ['default', 'nobody']) {
      for (const [method, path, body] of ROUTES(merchant)) {
        expectProblem(await running.worker(method, path, { body, key: TWO }), 403, 'forbidden');
      }
    }
    // The default merchant is another one, too.
    expectProblem(await running.worker('GET', '/v1/tokens?sid=x', { key: TWO }), 403, 'forbidden');
    expectProblem(await running.worker('GET', '/metrics', { key: TWO }), 403, 'forbidden');
  });

  it('for all merchants give access to each of them', async () => {
    for (const merchant of ['default', 'loja2']) {
      for (const [method, path, body] of ROUTES(merchant)) {
        expect((await running.worker(method, path, { body, key: ALL })).status).toBeLessThan(405);
      }
    }
    const metrics = await running.worker('GET', '/metrics', { key: ALL });
    expect(metrics.status).toBe(200);
    expect(metrics.headers['content-type']).toMatch(/^text\/plain; version=/);
    expect(metrics.text).toMatch(/^carat_authenticity_waiters\{.*\} 0$/m);
  });

  it('are never logged', () => {
    for (const key of [ALL, TWO]) expect(running.log.join('')).not.toContain(key);
  });
});

describe('without keys', () => {
  it('every client of this machine has access, with any key', async () => {
    const running = await RunningService.start();
    expect((await running.worker('GET', '/v1/tokens?sid=x')).status).toBe(204);
    expect((await running.worker('GET', '/v1/tokens?sid=x', { key: 'any' })).status).toBe(204);
    expect((await running.worker('GET', '/metrics')).status).toBe(200);
    await running.stop();
  });
});

/** The text of an error has the path of DATA_DIR or the address of Redis. */
const SECRET_PLACE = '/srv/secret-place/tokens';

describe('readyz while the store is unavailable', () => {
  const start = async (env: Record<string, string>): Promise<[RunningService, EmbeddedBench]> => {
    const bench = await EmbeddedBench.make();
    bench.store.health = () => ({ kind: 'embedded', state: 'degraded', detail: `ENOSPC: open '${SECRET_PLACE}'` });
    return [await RunningService.start({ store: bench.store, env }), bench];
  };

  it('shows the address of the store only to a key for all merchants', async () => {
    const env = { AUTHENTICITY_PATHS: 'default=/authenticity,loja2=/two', WORKER_API_KEYS: `${ALL},loja2:${TWO}` };
    const [running, bench] = await start(env);
    for (const key of [undefined, 'wrong', TWO]) {
      const answer = await running.worker('GET', '/readyz', key === undefined ? {} : { key });
      expect(answer.json).toMatchObject({ status: 'ready', store: { kind: 'embedded', state: 'degraded' } });
      expect(answer.text, String(key)).not.toContain(SECRET_PLACE);
    }
    expect((await running.worker('GET', '/readyz', { key: ALL })).json.store.detail).toContain(SECRET_PLACE);
    await running.stop();
    await bench.remove();
  });

  it('shows the address without keys to this machine, and not to a page of another site', async () => {
    const [running, bench] = await start({});
    expect((await running.worker('GET', '/readyz')).json.store.detail).toContain(SECRET_PLACE);
    for (const headers of [{ host: 'evil.test' }, { origin: 'http://evil.test' }]) {
      const answer = await running.worker('GET', '/readyz', { headers });
      expect([answer.status, answer.json.store.detail]).toEqual([200, undefined]);
    }
    await running.stop();
    await bench.remove();
  });
});
