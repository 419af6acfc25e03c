/**
 * The worker API against unwanted callers: from outside, with another merchant's key, through a
 * browser.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { RawConnection, rawRequest, statusOf } from '../support/raw-http.ts';
import { RunningService } from '../support/service.ts';

const ONE = { sid: 'mine', merchant: 'one' };
const env = {
  AUTHENTICITY_PATHS: 'one=/a/one,two=/a/two',
  WORKER_API_KEYS: 'one:the-worker-key-of-one,two:the-worker-key-of-two,the-worker-key-of-all',
};

let running: RunningService;
afterEach(() => running.stop());

async function start(more: Record<string, string> = env): Promise<void> {
  running = await RunningService.start({ env: more });
}

const query = (fields: Record<string, string>): string => new URLSearchParams(fields).toString();

describe('a worker of one merchant', () => {
  test('gets nothing of another merchant', async () => {
    await start();
    await running.post({ token: 'v'.repeat(64), sid: 'mine' }, '/a/one');
    await running.post({ token: 'w'.repeat(64) }, '/a/one');
    const key = 'the-worker-key-of-two';
    const id = (await running.worker('GET', `/v1/tokens?${query(ONE)}`, { key: 'the-worker-key-of-one' })).json.id;
    const asked: [string, string, object?][] = [
      ['GET', `/v1/tokens?${query(ONE)}`],
      ['GET', `/v1/tokens?${query({ ...ONE, merchant: 'nobody' })}`],
      ['GET', '/v1/tokens?sid=mine'],
      ['DELETE', `/v1/tokens/${id}?merchant=one`],
      ['PUT', '/v1/claims/c1', { kind: 'token', merchant: 'one' }],
      ['DELETE', '/v1/claims/c1?merchant=one'],
      ['POST', '/v1/claims/c1/release?merchant=one'],
      ['POST', '/v1/expectations', { kind: 'seid', merchant: 'one' }],
      ['DELETE', '/v1/expectations/e1?merchant=one'],
      ['GET', '/metrics'],
    ];
    for (const [method, path, body] of asked) {
      const answer = await running.worker(method, path, { key, body });
      expect([method, path, answer.status, answer.json.code]).toEqual([method, path, 403, 'forbidden']);
    }
    // Under its own name it finds neither the token nor the claim.
    expect((await running.worker('GET', '/v1/tokens?sid=mine&merchant=two', { key })).status).toBe(204);
    expect((await running.worker('DELETE', `/v1/tokens/${id}?merchant=two`, { key })).status).toBe(404);
  });

  test('settles no claim of another merchant', async () => {
    await start();
    await running.post({ token: 'w'.repeat(64) }, '/a/one');
    const body = { kind: 'token', merchant: 'one' };
    expect((await running.worker('PUT', '/v1/claims/job', { key: 'the-worker-key-of-one', body })).status).toBe(200);
    for (const merchant of ['one', 'two']) {
      const path = `/v1/claims/job?merchant=${merchant}`;
      expect([403, 404]).toContain((await running.worker('DELETE', path, { key: 'the-worker-key-of-two' })).status);
      const release = `/v1/claims/job/release?merchant=${merchant}`;
      expect([403, 404]).toContain((await running.worker('POST', release, { key: 'the-worker-key-of-two' })).status);
    }
    expect(
      (await running.worker('DELETE', '/v1/claims/job?merchant=one', { key: 'the-worker-key-of-one' })).status,
    ).toBe(204);
  });
});

test('no key, a wrong one and a part of one get the same answer', async () => {
  await start();
  const answers = [
    undefined,
    'wrong',
    'the-worker-key-of-al',
    'the-worker-key-of-all2',
    'one:the-worker-key-of-one',
    ' ',
  ].map((key) => running.worker('GET', '/v1/tokens?sid=mine&merchant=one', key === undefined ? {} : { key }));
  const texts = new Set((await Promise.all(answers)).map(({ status, text }) => `${status} ${text}`));
  expect(texts.size).toBe(1);
  expect([...texts][0]).toMatch(/^401 /);
});

describe('the public listener has no worker API', () => {
  const targets = ['/v1/tokens?sid=mine', '/metrics', '/readyz', '/v1/claims/c1', '/', '/a/one/../../metrics'];
  const disguises = [
    '/a/one/..%2f..%2fmetrics',
    '//127.0.0.1/metrics',
    'http://127.0.0.1:8081/metrics',
    '/a/one;/metrics',
  ];

  test.each([...targets, ...disguises])('at %s', async (target) => {
    await start({ AUTHENTICITY_PATHS: 'one=/a/one' });
    const connection = await RawConnection.open(Number(new URL(running.service.authenticityUrl).port));
    try {
      const headers: [string, string][] = [
        ['X-Original-URL', '/v1/tokens'],
        ['X-Forwarded-Host', new URL(running.service.workerUrl).host],
      ];
      connection.write(rawRequest({ method: 'GET', target, headers, host: new URL(running.service.workerUrl).host }));
      expect(statusOf(await connection.answer())).toBe(404);
    } finally {
      connection.destroy();
    }
  });
});

describe('a web page', () => {
  const rebound = { host: 'attacker.test:8081' };
  const crossSite = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' };
  const origin = { origin: 'https://attacker.test' };
  const path = '/v1/tokens?sid=mine';

  test('gets nothing without keys after DNS rebinding', async () => {
    await start({});
    for (const host of ['attacker.test', 'localhost.attacker.test:80', '127.0.0.1.nip.io', '10.0.0.1']) {
      const answer = await running.worker('GET', path, { headers: { host } });
      expect([host, answer.status, answer.json.code]).toEqual([host, 403, 'foreign_origin']);
    }
    for (const host of ['localhost:8081', '127.0.0.1', '[::1]:9', 'LOCALHOST']) {
      expect((await running.worker('GET', path, { headers: { host } })).status).toBe(204);
    }
    expect((await running.worker('GET', '/readyz', { headers: rebound })).status).toBe(200);
  });

  test.each([{}, env])('of another site makes no request through an internal browser, %#', async (settings) => {
    await start(settings);
    const key = { key: 'the-worker-key-of-all' };
    const merchant = 'WORKER_API_KEYS' in settings ? '&merchant=one' : '';
    for (const headers of [crossSite, { 'sec-fetch-site': 'same-site' }, origin, { origin: 'null' }]) {
      for (const [method, target] of [
        ['GET', path + merchant],
        ['POST', `/v1/claims/job/release?${merchant.slice(1)}`],
        ['DELETE', `/v1/claims/job?${merchant.slice(1)}`],
      ] as const) {
        const answer = await running.worker(method, target, { ...key, headers });
        expect([method, answer.status, answer.json.code]).toEqual([method, 403, 'foreign_origin']);
      }
    }
    const own = new URL(running.service.workerUrl).origin;
    const sameSite = { 'sec-fetch-site': 'same-origin', origin: own };
    expect((await running.worker('GET', path + merchant, { ...key, headers: sameSite })).status).toBe(204);
    // A link that somebody follows leads to a page of ours, and to no answer of the API.
    const followed = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' };
    expect((await running.worker('GET', '/metrics', { ...key, headers: followed })).status).toBe(200);
    expect((await running.worker('GET', path + merchant, { ...key, headers: followed })).status).toBe(403);
  });

  test('gets no permission from a preflight request', async () => {
    await start({});
    const headers = { ...origin, 'access-control-request-method': 'PUT' };
    const answer = await running.worker('OPTIONS', '/v1/claims/c1', { headers });
    expect(answer.status).toBe(403);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

test('a sender that forges X-Forwarded-For is judged by its own address', async () => {
  await start({ ALLOWED_SOURCES: '203.0.113.0/24' });
  const forged = ['203.0.113.7', '203.0.113.7, 203.0.113.8', '::ffff:203.0.113.7'];
  const port = Number(new URL(running.service.authenticityUrl).port);
  const connection = await RawConnection.open(port);
  for (const address of forged) {
    const names = ['X-Forwarded-For', 'Forwarded', 'X-Real-IP', 'True-Client-IP', 'CF-Connecting-IP'];
    const headers = names.map((name): [string, string] => [name, name === 'Forwarded' ? `for=${address}` : address]);
    connection.write(rawRequest({ headers, body: `seid=${'x'.repeat(64)}&sid=forged` }));
    expect(statusOf(await connection.answer())).toBe(200);
  }
  // The line of the PROXY protocol is not HTTP, and has no effect either.
  connection.write(
    Buffer.concat([Buffer.from('PROXY TCP4 203.0.113.7 127.0.0.1 1 2\r\n'), rawRequest({ body: 'seid=x&sid=forged' })]),
  );
  await connection.isClosed();
  connection.destroy();
  expect((await running.worker('GET', '/v1/tokens?sid=forged')).status).toBe(204);
  expect(running.log.filter((line) => line.includes('not_allowed'))).toHaveLength(forged.length);
  expect(running.log.join('')).not.toContain('"from":"203.0.113');
});
