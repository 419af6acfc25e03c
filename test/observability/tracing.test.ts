/** OpenTelemetry traces: what a collector receives, what it must never receive, and that nothing is loaded unasked. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Exporter } from '../../src/observability/tracing/exporter.ts';
import { readTracing, type TracingSettings } from '../../src/observability/tracing/settings.ts';
import { isWithin, newPlace, parentOf } from '../../src/observability/tracing/span.ts';
import type { Notice } from '../../src/store/notice.ts';
import { attributesOf, type CollectedSpan, Collector } from '../support/collector.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { latch } from '../support/latch.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';

const SECRET_PATH = '/a/9f2c41d07be84c51a2c8d0c5a9b3e7f1';
const KEY = 'a-worker-key-that-nobody-may-see';
const SEID = 'qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjklzxcvbnm02';
const POOLED = '1234567890abcdefghijklmnopqrstuvwxyz1234567890abcdefghijklmnopqr';
const CALLER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' };
const traceparent = (flags: string): string => `00-${CALLER.traceId}-${CALLER.spanId}-${flags}`;

let collector: Collector;
let folder: GuardedFolder;
let open: ServiceProcess[];
beforeEach(async () => {
  collector = await Collector.start();
  folder = await GuardedFolder.make('tracing-');
  open = [];
});
afterEach(async () => {
  for (const service of open) await service.kill();
  await folder.remove();
  await collector.stop();
});

async function start(env: Record<string, string> = {}): Promise<ServiceProcess> {
  const service = await ServiceProcess.start({
    env: {
      DATA_DIR: join(folder.path, 'data'),
      AUTHENTICITY_PATHS: `default=${SECRET_PATH}`,
      WORKER_API_KEYS: KEY,
      ENCRYPTION_KEYS: Buffer.alloc(32, 7).toString('base64'),
      ...env,
    },
  });
  open.push(service);
  return service;
}
const traced = (): Promise<ServiceProcess> =>
  start({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-api-key=of%20the%20collector',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
    OTEL_BSP_SCHEDULE_DELAY: '50',
  });

async function post(service: ServiceProcess, form: Record<string, string>, headers = {}): Promise<void> {
  const url = `http://127.0.0.1:${service.authenticityPort}${SECRET_PATH}`;
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(form), headers });
  expect(await answer.text()).toBe('OK');
}
async function ask(
  service: ServiceProcess,
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; id?: string }> {
  const headers = { authorization: `Bearer ${KEY}`, ...(init.headers as Record<string, string>) };
  const answer = await fetch(`${service.workerUrl}${path}`, { ...init, headers });
  const text = await answer.text();
  return { ...(text === '' ? {} : JSON.parse(text)), status: answer.status };
}
const span = (what: string, wanted: (attributes: Record<string, string | undefined>, one: CollectedSpan) => boolean) =>
  until(`a span of ${what}`, () => collector.spans.find((one) => wanted(attributesOf(one), one)));

describe('with OTEL_EXPORTER_OTLP_ENDPOINT', () => {
  it("the collector receives the span of a post, and that of the hand-over in the caller's trace, with a link", async () => {
    const service = await traced();
    const waiting = ask(service, '/v1/tokens?merchant_data=14114532781&wait=20', {
      headers: { traceparent: traceparent('01') },
    });
    // Strangers have no say in a trace.
    await post(service, { seid: SEID, merchant_data: '14114532781' }, { traceparent: traceparent('01') });
    const { id } = await waiting;
    const kept = await span('the post', ({ 'carat.outcome': outcome }) => outcome === 'kept');
    expect(kept.name).toBe('authenticity post');
    expect(attributesOf(kept)).toEqual({
      'carat.merchant': 'default',
      'carat.kind': 'seid',
      'carat.outcome': 'kept',
      'carat.token_id': id,
    });
    expect(kept.traceId).not.toBe(CALLER.traceId);
    expect(kept.parentSpanId).toBeUndefined();
    expect(BigInt(kept.endTimeUnixNano)).toBeGreaterThan(BigInt(kept.startTimeUnixNano));
    const read = await span('the read', (_attributes, { name }) => name === 'GET /v1/tokens');
    expect(read).toMatchObject({ traceId: CALLER.traceId, parentSpanId: CALLER.spanId });
    expect(read.links).toEqual([{ traceId: kept.traceId, spanId: kept.spanId }]);
    expect(attributesOf(read)).toMatchObject({ 'http.response.status_code': '200', 'carat.token_id': id });
    const [{ url, headers, body } = { url: '', headers: {}, body: '' }] = collector.requests;
    expect(url).toBe('/v1/traces');
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'x-api-key': 'of the collector' });
    for (const attribute of ['service.name', 'service.instance.id', 'deployment.environment.name']) {
      expect(body).toContain(attribute);
    }
  });

  it('the collector receives no token, path, correlator or key, and gets the last spans before the stop', async () => {
    const service = await traced();
    await post(service, { seid: SEID, merchant_data: '14114532781', sid: 'THE-SID' });
    await post(service, { seid: SEID, merchant_data: '14114532781', sid: 'THE-SID' });
    await post(service, { token: POOLED });
    await post(service, { nit: SEID, status: 'CON' });
    const headers = { 'content-type': 'application/json' };
    const body = '{"kind":"token"}';
    expect((await ask(service, '/v1/claims/job-17', { method: 'PUT', headers, body })).status).toBe(200);
    expect((await ask(service, '/v1/claims/job-17', { method: 'DELETE' })).status).toBe(204);
    expect((await ask(service, '/v1/tokens?sid=THE-SID')).status).toBe(200);
    expect((await ask(service, `/v1/tokens?sid=${POOLED}&${POOLED}=1`)).status).toBe(400);
    expect((await ask(service, `/v1/tokens/${SEID}`, { method: 'DELETE' })).status).toBe(404);
    expect((await ask(service, `/${SEID}`)).status).toBe(404);
    expect((await ask(service, '/v1/posts')).status).toBe(200);
    service.signal('SIGTERM');
    expect((await service.exited).code).toBe(0);
    expect(collector.spans.map(({ name }) => name).sort()).toEqual([
      'DELETE /v1/claims/:claim_id',
      'DELETE /v1/tokens/:id',
      'GET /v1/tokens',
      'GET /v1/tokens',
      'PUT /v1/claims/:claim_id',
      ...Array(4).fill('authenticity post'),
    ]);
    const [first, again] = ['kept', 'known'].map((outcome) =>
      collector.spans.find((one) => attributesOf(one)['carat.outcome'] === outcome),
    );
    expect(again?.links).toEqual([{ traceId: first?.traceId, spanId: first?.spanId }]);
    const received = JSON.stringify(collector.requests);
    for (const secret of [SEID, POOLED, SECRET_PATH, KEY, 'THE-SID', '14114532781']) {
      expect(received).not.toContain(secret);
    }
  });

  it("a caller's unsampled trace stays unsampled", async () => {
    const service = await traced();
    await ask(service, '/v1/tokens?sid=unrecorded', { headers: { traceparent: traceparent('00') } });
    await ask(service, '/v1/tokens?sid=recorded');
    await span('the other', (_attributes, { name }) => name === 'GET /v1/tokens');
    service.signal('SIGTERM');
    await service.exited;
    expect(collector.spans).toHaveLength(1);
    expect(collector.spans[0]?.traceId).not.toBe(CALLER.traceId);
  });

  it('a collector that refuses is logged once, and delays no request', async () => {
    collector.status = 503;
    const service = await traced();
    for (const sid of ['a', 'b', 'c']) {
      const before = collector.requests.length;
      await post(service, { seid: `${sid}${SEID}`, sid });
      await until('it was refused', () => collector.requests.length > before);
    }
    await until('it is reported', () => service.troubles('traces_lost').length > 0);
    collector.status = 200;
    await post(service, { seid: `d${SEID}`, sid: 'd' });
    await until('the recovery is reported', () => service.troubles('traces_taken').length > 0);
    expect(service.troubles('traces_lost')).toHaveLength(1);
    expect(JSON.stringify(service.log)).not.toContain('of the collector');
  });

  it('a wrong setting is logged, and disables only the traces', async () => {
    const service = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' });
    expect(service.troubles('traces_off')).toHaveLength(1);
    await post(service, { seid: SEID });
  });
});

describe('the tracing code', () => {
  /** The lazy modules of the bundle that a process executed until its end, by V8's coverage. */
  async function runLater(env: Record<string, string>): Promise<string[]> {
    const coverage = join(folder.path, 'coverage');
    const service = await start({ NODE_V8_COVERAGE: coverage, ...env });
    service.signal('SIGTERM');
    expect((await service.exited).code).toBe(0);
    const texts = await Promise.all((await readdir(coverage)).map((file) => readFile(join(coverage, file), 'utf8')));
    const scripts = texts.flatMap((text) => (JSON.parse(text) as Coverage).result);
    const { functions } = scripts.find(({ url }) => url.endsWith('/dist/main.js')) as Coverage['result'][number];
    const modules = functions.filter(({ functionName }) => functionName.startsWith('src/'));
    expect(modules.map(({ functionName }) => functionName)).toContain('src/observability/tracing/tracing.ts');
    return modules.filter(({ ranges: [whole] }) => whole.count > 0).map(({ functionName }) => functionName);
  }

  it.each([
    [{}, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1', OTEL_SDK_DISABLED: 'true' }, false],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, true],
  ] as [Record<string, string>, boolean][])('with %o is loaded: %s', async (env, isRun) => {
    expect((await runLater(env)).includes('src/observability/tracing/tracing.ts')).toBe(isRun);
  });
});

interface Coverage {
  result: { url: string; functions: { functionName: string; ranges: [{ count: number }] }[] }[];
}

describe('the variables', () => {
  const settings = (env: Record<string, string>): TracingSettings | undefined => {
    const wish = readTracing(env);
    return wish !== undefined && 'settings' in wish ? wish.settings : undefined;
  };
  const at = { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:4318/' };

  it.each([
    [{}],
    [{ ...at, OTEL_SDK_DISABLED: 'TRUE' }],
    [{ ...at, OTEL_TRACES_EXPORTER: 'none' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: '' }],
    [{ OTEL_SERVICE_NAME: 'carat' }],
  ] as Record<string, string>[][])('%o disable traces', (env = {}) => {
    expect(readTracing(env)).toBeUndefined();
  });

  it.each([
    [{ OTEL_TRACES_EXPORTER: 'zipkin' }],
    [{ ...at, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'grpc' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }],
  ] as Record<string, string>[][])('%o are refused', (env = {}) => {
    expect(readTracing(env)).toEqual({ problem: expect.stringMatching(/^OTEL_\w+: expected /) });
  });

  it.each([
    [at, { endpoint: 'https://collector:4318/v1/traces', ratio: 1, parentDecides: true, sendEveryMs: 5000 }],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, { endpoint: 'http://localhost:4318/v1/traces' }],
    [{ ...at, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other/x' }, { endpoint: 'http://other/x' }],
    [{ ...at, OTEL_EXPORTER_OTLP_HEADERS: 'a=1, b = x%3Dy ,nonsense' }, { headers: { a: '1', b: 'x=y' } }],
    [
      { ...at, OTEL_RESOURCE_ATTRIBUTES: 'service.name=one,team=a' },
      { attributes: { 'service.name': 'one', team: 'a' } },
    ],
    [
      { ...at, OTEL_RESOURCE_ATTRIBUTES: 'service.name=one', OTEL_SERVICE_NAME: 'two' },
      { attributes: { 'service.name': 'two' } },
    ],
    [
      { ...at, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' },
      { ratio: 0.25, parentDecides: false },
    ],
    [
      { ...at, OTEL_TRACES_SAMPLER: 'parentbased_always_off' },
      { ratio: 0, parentDecides: true },
    ],
    [{ ...at, OTEL_EXPORTER_OTLP_TIMEOUT: 'soon' }, { timeoutMs: 10_000 }],
  ] as [Record<string, string>, Partial<TracingSettings>][])('%o are read', (env, expected) => {
    expect(settings(env)).toMatchObject(expected);
  });
});

it.each([
  ['', undefined],
  ['00-00000000000000000000000000000000-00f067aa0ba902b7-01', undefined],
  [`ff-${CALLER.traceId}-${CALLER.spanId}-01`, undefined],
  [`00-${CALLER.traceId.toUpperCase()}-${CALLER.spanId}-01`, undefined],
  [`00-${CALLER.traceId}-${CALLER.spanId}`, undefined],
  [traceparent('01'), { ...CALLER, isSampled: true }],
  [traceparent('02'), { ...CALLER, isSampled: false }],
  [`01-${CALLER.traceId}-${CALLER.spanId}-03-of-the-future`, { ...CALLER, isSampled: true }],
])('the header traceparent %j is read as %o', (header, parent) => {
  expect(parentOf(header)).toEqual(parent);
});

it('samples about the configured share of traces, by the trace id alone', () => {
  const ids = Array.from({ length: 4000 }, () => newPlace().traceId);
  const chosen = ids.filter((id) => isWithin(0.25, id));
  expect(chosen.length).toBeGreaterThan(700);
  expect(chosen.length).toBeLessThan(1300);
  expect(chosen.every((id) => isWithin(0.25, id) && isWithin(0.5, id))).toBe(true);
  expect(ids.some((id) => isWithin(0, id)) || !ids.every((id) => isWithin(1, id))).toBe(false);
});

it('a slow collector fills no memory: excess spans are dropped and counted', async () => {
  const answers = latch();
  collector.answers = answers.opened;
  const wish = readTracing({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: '20' });
  if (wish === undefined || !('settings' in wish)) return expect.unreachable();
  const troubles: Notice[] = [];
  const exporter = new Exporter({
    settings: wish.settings,
    attributes: {},
    version: '0',
    onNotice: (trouble) => troubles.push(trouble),
  });
  const one = { name: 'x', startedAt: 1, endedAt: 2, attributes: {}, failed: false };
  for (let at = 0; at < 10_000; at++) exporter.add({ ...newPlace(), ...one });
  await until('the first are sent', () => collector.requests.length > 0);
  answers.open();
  // 512 were on their way, and 4,096 waited.
  await until('all others are sent', () => collector.spans.length >= 512 + 4096);
  await exporter.stop();
  expect(collector.spans).toHaveLength(512 + 4096);
  expect(troubles).toMatchObject([
    { code: 'traces_taken', message: expect.stringContaining(`${10_000 - 512 - 4096} spans`) },
  ]);
});
