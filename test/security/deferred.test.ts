/**
 * ACCEPT=expected while Redis is away: a verdict that only Redis can make is deferred until it is
 * back.
 */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { RunningService } from '../support/service.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

let redis: RedisServer;
let proxy: TcpProxy;
/** `cut` loses its connection to Redis; `near` keeps it. */
let cut: RunningService;
let near: RunningService;

beforeEach(async () => {
  redis = await startRedis();
  proxy = await startProxy({ host: redis.host, port: redis.port });
  const start = (port: number): Promise<RunningService> =>
    RunningService.start({ env: { ACCEPT: 'expected', STORE_URL: `redis://127.0.0.1:${port}` } });
  [cut, near] = await Promise.all([start(proxy.port), start(redis.port)]);
});
afterEach(async () => {
  await Promise.all([cut.stop(), near.stop()]);
  await proxy.stop();
  await redis.stop();
});

const announce = async (at: RunningService, body: object): Promise<string> => {
  const answer = await at.worker('POST', '/v1/expectations', { body });
  expect(answer.status).toBe(201);
  return answer.json.id;
};
const post = async (sid: string, seid: string): Promise<void> => {
  expect(await cut.post({ seid, sid })).toMatchObject({ status: 200, text: 'OK' });
};
const read = (at: RunningService, sid: string) => at.worker('GET', `/v1/tokens?sid=${sid}`);
const outcomes = (): string[] =>
  cut.log
    .map((line) => JSON.parse(line))
    .filter(({ event }) => event === 'post')
    .map(({ outcome }) => outcome);
const counted = async (at: RunningService, what: string): Promise<number> => {
  const { text } = await at.worker('GET', '/metrics');
  return Number(new RegExp(`expired_total\\{[^}]*what="${what}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
};

test('judges posts of an absence: expected, unexpected, cancelled, and announced during it', async () => {
  await announce(near, { kind: 'seid', sid: 'expected' });
  const cancelled = await announce(near, { kind: 'seid', sid: 'cancelled' });
  expect((await near.worker('DELETE', `/v1/expectations/${cancelled}`)).status).toBe(204);
  await announce(near, { kind: 'seid', sid: 'silent', ttl: 1 });
  await announce(near, { kind: 'seid', sid: 'one' });

  await proxy.mode({ kind: 'refuse' });
  proxy.cut();
  await until(
    'the cut-off service knows',
    async () => (await cut.worker('GET', '/readyz')).json.store.state === 'away',
  );

  await post('expected', 'expected-value');
  await post('nobody', 'unexpected-value');
  await post('cancelled', 'cancelled-value');
  await post('one', 'first-value');
  await post('one', 'second-value');
  await until('all are reported', () => outcomes().length === 5);
  expect(new Set(outcomes())).toEqual(new Set(['deferred']));
  // The verdict is unknown: no token is handed out, and no answer says that there is none.
  for (const sid of ['expected', 'nobody', 'cancelled', 'one']) {
    expect(await read(cut, sid)).toMatchObject({ status: 503, json: { code: 'store_away' } });
  }

  // This instance can judge its own announcements: at once, and one value for each.
  await announce(cut, { kind: 'seid', sid: 'local' });
  const locally = await announce(cut, { kind: 'seid', sid: 'local-cancelled' });
  expect((await cut.worker('DELETE', `/v1/expectations/${locally}`)).status).toBe(204);
  const waiting = cut.worker('GET', '/v1/tokens?sid=local&wait=20');
  await post('local', 'local-value');
  expect((await waiting).json).toMatchObject({ value: 'local-value', distinct: 1 });
  await post('local', 'planted-value');
  expect((await read(cut, 'local')).json).toMatchObject({ value: 'local-value', distinct: 1 });
  await post('local-cancelled', 'late-value');
  await announce(cut, { kind: 'seid', sid: 'local-silent', ttl: 1 });

  // A no-show is reported once, by the first instance that detects it.
  await until(
    'no-shows are reported',
    async () => (await counted(near, 'no_show')) + (await counted(cut, 'no_show')) === 2,
  );

  await proxy.mode({ kind: 'pass' });
  const merged = async (): Promise<boolean> => (await cut.worker('GET', '/readyz')).json.fallback.pending === 0;
  await until('all is brought to Redis', merged);
  for (const at of [near, cut]) {
    expect((await read(at, 'expected')).json).toMatchObject({ value: 'expected-value', distinct: 1 });
    expect((await read(at, 'one')).json).toMatchObject({ value: 'first-value', distinct: 1 });
    expect((await read(at, 'local')).json).toMatchObject({ value: 'local-value', distinct: 1 });
    expect((await read(at, 'nobody')).status).toBe(204);
    expect((await read(at, 'cancelled')).status).toBe(410);
    expect((await read(at, 'local-cancelled')).status).toBe(410);
  }
  // Nor does an announcement help what came before it.
  await announce(near, { kind: 'seid', sid: 'nobody' });
  expect((await read(near, 'nobody')).status).toBe(204);
  expect((await counted(near, 'no_show')) + (await counted(cut, 'no_show'))).toBe(2);
  const told = [...near.log, ...cut.log].filter((line) => line.includes('expectation ended without its post'));
  expect(told).toHaveLength(2);
});

test('reports a token that was kept through an absence and that nobody got as an orphan, once', async () => {
  await Promise.all([cut.stop(), near.stop()]);
  const env = { TOKEN_TTL_SECONDS: '1', STORE_URL: `redis://127.0.0.1:${proxy.port}` };
  cut = await RunningService.start({ env });
  await proxy.mode({ kind: 'refuse' });
  proxy.cut();
  await until('it knows', async () => (await cut.worker('GET', '/readyz')).json.store.state === 'away');
  await cut.post({ seid: 'meanwhile', sid: 'x' });
  await until('the one that only it has is reported', async () => (await counted(cut, 'orphan')) === 1);
  await until(
    'it is not pending for ever',
    async () => (await cut.worker('GET', '/readyz')).json.fallback.pending === 0,
  );
});
