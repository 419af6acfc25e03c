/** Every wrong parameter of every route of the worker API is named, with what was expected and what came. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, RunningService } from '../../support/service.ts';

const LONG = 'x'.repeat(65);
const SELECTORS = ['merchant_data', 'sid', 'merchant_usn', 'order_id'];

/** Method, path, body if any, the parameter that is wrong, and what came; undefined when nothing did. */
type Wrong = [method: string, path: string, body: unknown, parameter: string, received?: string | undefined];

const query = (text: string, parameter: string, received?: string): Wrong[] => [
  ['GET', `/v1/tokens?${text}`, undefined, parameter, received],
];
const wrongReads: Wrong[] = [
  ...SELECTORS.flatMap((name) => [
    ...query(`${name}=`, name, '""'),
    ...query(`${name}=${LONG}`, name, 'xxx'),
    ...query(`${name}=a%00b`, name, 'a'),
    ...query(`${name}=a%7Fb`, name, 'a'),
    ...query(`${name}=a&${name}=b`, name, '["a","b"]'),
  ]),
  ...query('', 'selector', 'none'),
  ...query('kind=seid', 'selector', 'none'),
  ...query('sid=a&order_id=b', 'order_id', 'sid and order_id'),
  ...query('merchant_data=a&sid=b&order_id=c', 'sid', 'merchant_data and sid and order_id'),
  ...query('sid=a&kind=SEID', 'kind', 'SEID'),
  ...query('sid=a&kind=', 'kind', '""'),
  ...query('sid=a&kind=seid&kind=nit', 'kind', '["seid","nit"]'),
  ...query('sid=a&merchant=', 'merchant', '""'),
  ...query('sid=a&merchant=nobody', 'merchant', 'nobody'),
  ...query('sid=a&merchant=default&merchant=loja2', 'merchant', '["default","loja2"]'),
  ...['-1', '61', '60.1', '1e1', '+5', '5s', '', ' 5', '0x10', 'NaN', 'Infinity', '1,5', '.5', '5.'].flatMap((wait) =>
    query(`sid=a&wait=${encodeURIComponent(wait)}`, 'wait', wait),
  ),
  ...query('sid=a&wait=1&wait=2', 'wait', '["1","2"]'),
  ...query('sid=a&lease=5', 'lease'),
  ...query('sid=a&Kind=seid', 'Kind'),
  ...query('sid=a&__proto__=b', '__proto__'),
  ...query('sid=a&constructor=b', 'constructor'),
];

const body =
  (method: string, path: string) =>
  (given: object, parameter: string, received?: string): Wrong => {
    return [method, path, given, parameter, received];
  };
const claiming = body('PUT', '/v1/claims/c1');
const expecting = body('POST', '/v1/expectations');
const wrongSelectors = [claiming, expecting].flatMap((wrong) => [
  ...SELECTORS.flatMap((name) => [
    wrong({ kind: 'seid', [name]: '' }, name, '""'),
    wrong({ kind: 'seid', [name]: LONG }, name, 'xxx'),
    wrong({ kind: 'seid', [name]: 'a\nb' }, name, 'a'),
    wrong({ kind: 'seid', [name]: 5 }, name, '5'),
    wrong({ kind: 'seid', [name]: null }, name, 'null'),
    wrong({ kind: 'seid', [name]: ['a'] }, name, '["a"]'),
  ]),
  wrong({ kind: 'seid', sid: 'a', order_id: 'b' }, 'order_id', 'sid and order_id'),
  wrong({ kind: 'SEID', sid: 'a' }, 'kind', 'SEID'),
  wrong({ kind: null, sid: 'a' }, 'kind', 'null'),
  wrong({ kind: 'seid', sid: 'a', merchant: '' }, 'merchant', '""'),
  wrong({ kind: 'seid', sid: 'a', merchant: 'nobody' }, 'merchant', 'nobody'),
  wrong({ kind: 'seid', sid: 'a', merchant: 1 }, 'merchant', '1'),
  wrong({ kind: 'seid', sid: 'a', unknown: 1 }, 'unknown'),
]);
const wrongBodies: Wrong[] = [
  ...wrongSelectors,
  claiming({}, 'kind', 'none'),
  claiming({ wait: 5 }, 'kind', 'none'),
  ...['5', -1, 60.5, null, true, [5]].map((wait) => claiming({ kind: 'token', wait }, 'wait', JSON.stringify(wait))),
  ...['5', 0, 0.5, -1, 601, null].map((lease) => claiming({ kind: 'token', lease }, 'lease', JSON.stringify(lease))),
  claiming({ kind: 'token', ttl: 5 }, 'ttl'),
  expecting({}, 'kind'),
  expecting({ sid: 'a' }, 'kind'),
  expecting({ kind: 'nit' }, 'selector', 'none'),
  ...['5', 0, 0.5, -1, 3601, null].map((ttl) => expecting({ kind: 'seid', ttl }, 'ttl', JSON.stringify(ttl))),
  expecting({ kind: 'seid', wait: 5 }, 'wait'),
  ['PUT', '/v1/claims/c1?merchant=loja2', { kind: 'token' }, 'merchant'],
  ['POST', '/v1/expectations?kind=seid', { kind: 'seid' }, 'kind'],
];

const settling = [
  ['DELETE', '/v1/claims/c1'],
  ['POST', '/v1/claims/c1/release'],
  ['DELETE', '/v1/tokens/t1'],
  ['DELETE', '/v1/expectations/e1'],
] as const;
const wrongSettlings: Wrong[] = settling.flatMap(([method, path]): Wrong[] => [
  [method, `${path}?merchant=`, undefined, 'merchant', '""'],
  [method, `${path}?merchant=nobody`, undefined, 'merchant', 'nobody'],
  [method, `${path}?merchant=default&merchant=loja2`, undefined, 'merchant', '["default","loja2"]'],
  [method, `${path}?unknown=1`, undefined, 'unknown'],
  [method, path, { merchant: 'loja2' }, 'merchant'],
]);

const wrongClaimIds: Wrong[] = ['a.b', 'a%20b', 'a%2Fb', '%C3%A9', LONG, 'x'.repeat(500)].flatMap((id): Wrong[] => [
  ['PUT', `/v1/claims/${id}`, { kind: 'token' }, 'claim_id', decodeURIComponent(id).slice(0, 50)],
  ['DELETE', `/v1/claims/${id}`, undefined, 'claim_id', decodeURIComponent(id).slice(0, 50)],
  ['POST', `/v1/claims/${id}/release`, undefined, 'claim_id', decodeURIComponent(id).slice(0, 50)],
]);

describe('a wrong parameter', () => {
  let running: RunningService;
  beforeAll(async () => {
    running = await RunningService.start({ env: { AUTHENTICITY_PATHS: 'default=/authenticity,loja2=/two' } });
  });
  afterAll(() => running.stop());

  function expectNamed(answer: Answer, parameter: string, received?: string | undefined): void {
    expect(answer.status, answer.text).toBe(400);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(answer.json).toMatchObject({ type: 'about:blank', status: 400, code: 'invalid_request' });
    const error = answer.json.errors.find((one: { parameter: string }) => one.parameter === parameter);
    expect(error, answer.text).toMatchObject({ parameter, expected: expect.stringMatching(/\w/) });
    if (received === undefined) expect(error).not.toHaveProperty('received');
    // A long run of characters may be a token's value: the message has only its length.
    else expect(error.received).toContain(/^(x+|y+)…?$/.test(received) ? 'characters]' : received);
    expect(answer.json.detail).toContain(`${parameter}: expected ${error.expected}`);
  }

  const all = [...wrongReads, ...wrongBodies, ...wrongSettlings, ...wrongClaimIds];
  it.each(all)('%s %s %j is refused because of %s', async (method, path, given, parameter, received) => {
    expectNamed(await running.worker(method, path, { body: given }), parameter, received);
  });

  it('is named together with the others', async () => {
    const body = { kind: 'x', wait: 61, lease: 0, sid: '', unknown: 1 };
    const answer = await running.worker('PUT', '/v1/claims/a.b', { body });
    expectNamed(answer, 'claim_id', 'a.b');
    const again = await running.worker('PUT', '/v1/claims/ab', { body });
    for (const parameter of ['kind', 'wait', 'lease', 'sid']) {
      expect(again.json.errors).toContainEqual(expect.objectContaining({ parameter }));
    }
    expectNamed(again, 'unknown');
  });

  const JSON_TYPE = { 'content-type': 'application/json' };
  it.each([
    ['not JSON', '{"kind":', '{"kind":'],
    ['text', 'kind=token', 'kind=token'],
    ['a list', '[]', '[]'],
    ['a string', '"token"', '"token"'],
    ['null', 'null', 'null'],
    ['nothing', '', 'null'],
    ['a prototype', '{"kind":"token","__proto__":{"wait":60}}', '__proto__'],
  ])('can be the body: %s', async (_name, text, received) => {
    for (const [method, path] of [
      ['PUT', '/v1/claims/c1'],
      ['POST', '/v1/expectations'],
    ] as const) {
      expectNamed(await running.worker(method, path, { body: text, headers: JSON_TYPE }), 'body', received);
    }
  });

  it.each([
    ['{"kind":', 'expected valid JSON, got'],
    ['{"kind":"token","__proto__":{}}', 'expected JSON without __proto__'],
  ])('is named for the body %s', async (body, detail) => {
    const { json } = await running.worker('PUT', '/v1/claims/c1', { body, headers: JSON_TYPE });
    expect(json.detail).toContain(detail);
  });

  it('can be a body of another type or size', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'nonsense']) {
      const answer = await running.worker('PUT', '/v1/claims/c1', {
        body: 'kind=token',
        headers: { 'content-type': type },
      });
      expect([answer.status, answer.json.code]).toEqual([415, 'unsupported_media_type']);
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    }
    const large = { kind: 'token', sid: 'x'.repeat(17_000) };
    const answer = await running.worker('PUT', '/v1/claims/c1', { body: large });
    expect([answer.status, answer.json.code]).toEqual([413, 'payload_too_large']);
  });

  it.each([
    ['arrays', `${'['.repeat(8000)}${']'.repeat(8000)}`],
    ['objects', `${'{"a":'.repeat(2500)}1${'}'.repeat(2500)}`],
    ['arrays in a parameter', `{"kind":"token","wait":${'['.repeat(8000)}${']'.repeat(8000)}}`],
    ['objects in an unknown parameter', `{"kind":"token","x":${'{"a":'.repeat(2000)}1${'}'.repeat(2000)}}`],
  ])('can be a body of deeply nested %s', async (_name, text) => {
    for (const [method, path] of [
      ['PUT', '/v1/claims/c1'],
      ['POST', '/v1/expectations'],
      ['DELETE', '/v1/claims/c1'],
    ] as const) {
      const answer = await running.worker(method, path, { body: text, headers: JSON_TYPE });
      expectNamed(answer, 'body', text.slice(0, 20));
      expect(answer.text.length).toBeLessThan(1000);
    }
    expect(running.log.join('')).not.toContain('"event":"bug"');
  });

  it('can be an address with broken escapes', async () => {
    expectNamed(await running.worker('DELETE', '/v1/claims/%zz'), 'url', '%zz');
    expectNamed(await running.worker('DELETE', '/v1/tokens/%E0%A4%A'), 'url', '%E0');
  });

  it('is quoted up to a readable length', async () => {
    const answer = await running.worker('GET', `/v1/tokens?sid=${'y'.repeat(5000)}`);
    expectNamed(answer, 'sid', 'yyy');
    expect(answer.text.length).toBeLessThan(1000);
  });

  it('changes nothing', async () => {
    expect(await running.parked()).toBe(0);
    await running.post({ token: 'pooled' });
    for (const [method, path, given] of wrongBodies) await running.worker(method, path, { body: given });
    const { json } = await running.worker('PUT', '/v1/claims/right', { body: { kind: 'token' } });
    expect(json).toMatchObject({ value: 'pooled', claim: { deliveries: 1 } });
  });
});
