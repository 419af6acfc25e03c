/** The worker API over real HTTP: each promised answer and its time. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, RunningService } from '../../support/service.ts';
import { until } from '../../support/until.ts';
import { expectProblem } from './problem.ts';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const VALUE = (name: string): string => name.padEnd(64, '-');

describe('the worker API', () => {
  let running: RunningService;
  let names = 0;
  beforeAll(async () => {
    running = await RunningService.start({ env: { AUTHENTICITY_PATHS: 'default=/authenticity,loja2=/two' } });
  });
  afterAll(() => running.stop());

  /** A correlator that no other case has. */
  const fresh = (): string => `k${names++}`;
  const read = (query: string): Promise<Answer> => running.worker('GET', `/v1/tokens?${query}`);
  const claim = (id: string, body: object): Promise<Answer> => running.worker('PUT', `/v1/claims/${id}`, { body });
  const use = (id: string): Promise<Answer> => running.worker('DELETE', `/v1/claims/${id}`);
  const release = (id: string): Promise<Answer> => running.worker('POST', `/v1/claims/${id}/release`);
  /** Posts a token, and answers its merchant_data and value. */
  async function posted(name = fresh(), more: Record<string, string> = {}): Promise<[string, string]> {
    const value = VALUE(`v${names++}`);
    const answer = await running.post({ seid: value, merchant_data: name, ...more });
    expect([answer.status, answer.text]).toEqual([200, 'OK']);
    return [name, value];
  }

  it('answers a read with the token: its fields, and no others', async () => {
    const name = fresh();
    await running.post({ nit: VALUE('nit'), merchant_data: name, sid: 'the-sid', merchantUSN: 'usn', pedido: 'order' });
    const { status, headers, json } = await read(`merchant_data=${name}`);
    expect(status).toBe(200);
    expect(headers['content-type']).toMatch(/^application\/json/);
    expect(headers['cache-control']).toBe('no-store');
    expect(json).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      merchant: 'default',
      kind: 'nit',
      value: VALUE('nit'),
      merchant_data: name,
      sid: 'the-sid',
      merchant_usn: 'usn',
      order_id: 'order',
      received_at: expect.stringMatching(TIME),
      expires_at: expect.stringMatching(TIME),
      distinct: 1,
      claim: null,
    });
    expect(Date.parse(json.expires_at) - Date.parse(json.received_at)).toBe(900_000);
    for (const by of ['sid=the-sid', 'merchant_usn=usn', 'order_id=order']) {
      expect((await read(by)).json).toEqual(json);
    }
  });

  it('omits absent correlators', async () => {
    const [name] = await posted();
    const { json } = await read(`merchant_data=${name}`);
    expect(Object.keys(json)).not.toContain('sid');
    expect(Object.keys(json)).not.toContain('order_id');
  });

  it('answers 204 without a body when no token came', async () => {
    for (const answer of [
      await read('sid=nothing'),
      await read('sid=nothing&wait=0.05'),
      await claim('c', { kind: 'nit' }),
    ]) {
      expect([answer.status, answer.text]).toEqual([204, '']);
    }
  });

  it('answers a waiting read when the token arrives', async () => {
    const name = fresh();
    const waiting = read(`merchant_data=${name}&kind=seid&wait=60`);
    await until('it waits', async () => (await running.parked()) === 1);
    const [, value] = await posted(name);
    expect((await waiting).json).toMatchObject({ value });
    expect(await running.parked()).toBe(0);
  });

  it.each(['0', '0.0', '0.001', '.5', '60', '60.000', '1e1', '25.5'])(
    'accepts or refuses a wait of %s seconds',
    async (wait) => {
      const [name] = await posted();
      const { status } = await read(`merchant_data=${name}&wait=${wait}`);
      expect(status).toBe(/^\d+(\.\d+)?$/.test(wait) ? 200 : 400);
    },
  );

  it('reads the newest token of the requested kind, with the number of different ones', async () => {
    const [name] = await posted();
    const [, newer] = await posted(name);
    await running.post({ nit: VALUE(`nit-${name}`), merchant_data: name });
    expect((await read(`merchant_data=${name}`)).json).toMatchObject({ kind: 'nit', distinct: 3 });
    expect((await read(`merchant_data=${name}&kind=seid`)).json).toMatchObject({ value: newer, distinct: 2 });
    expect((await read(`merchant_data=${name}&kind=token`)).status).toBe(204);
  });

  it('keeps merchants apart', async () => {
    const name = fresh();
    await running.post({ seid: VALUE('two'), merchant_data: name }, '/two');
    expect((await read(`merchant_data=${name}`)).status).toBe(204);
    const { json } = await read(`merchant_data=${name}&merchant=loja2`);
    expect(json).toMatchObject({ merchant: 'loja2', value: VALUE('two') });
    expectProblem(await running.worker('DELETE', `/v1/tokens/${json.id}`), 404, 'unknown_token');
    expect((await running.worker('DELETE', `/v1/tokens/${json.id}?merchant=loja2`)).status).toBe(204);
  });

  it('claims with a selector, and again with the same id', async () => {
    const [name, value] = await posted();
    const first = await claim('again', { merchant_data: name, lease: 30 });
    expect(first.status).toBe(200);
    expect(first.json).toMatchObject({ value, distinct: 1, claim: { id: 'again', deliveries: 1 } });
    expect(first.json.claim.lease_expires_at).toMatch(TIME);
    const again = await claim('again', { merchant_data: name, lease: 60 });
    expect(again.json).toMatchObject({ value, claim: { id: 'again', deliveries: 1 } });
    expect(Date.parse(again.json.claim.lease_expires_at)).toBeGreaterThan(
      Date.parse(first.json.claim.lease_expires_at),
    );
    expect((await read(`merchant_data=${name}`)).json.claim).toEqual(again.json.claim);
  });

  it('hands out tokens without correlator, oldest first', async () => {
    for (const name of ['p1', 'p2']) await running.post({ token: VALUE(name) });
    expect((await claim('pool-1', { kind: 'token' })).json).toMatchObject({
      value: VALUE('p1'),
      claim: { deliveries: 1 },
    });
    expect((await claim('pool-2', { kind: 'token' })).json).toMatchObject({ value: VALUE('p2') });
    expect((await claim('pool-3', { kind: 'token' })).status).toBe(204);
    expect((await release('pool-1')).status).toBe(204);
    expect((await claim('pool-3', { kind: 'token' })).json).toMatchObject({
      value: VALUE('p1'),
      claim: { deliveries: 2 },
    });
  });

  it('names the holder of a claimed token with wait 0, and hands it out when it is free', async () => {
    const [name, value] = await posted();
    const { claim: held } = (await claim('holder', { merchant_data: name })).json;
    const refused = await claim('other', { merchant_data: name });
    expectProblem(refused, 409, 'claimed');
    expect(refused.json).toMatchObject({ claim_id: 'holder', lease_expires_at: held.lease_expires_at });
    const waiting = claim('other', { merchant_data: name, wait: 60 });
    await until('it waits', async () => (await running.parked()) === 1);
    await release('holder');
    expect((await waiting).json).toMatchObject({ value, claim: { id: 'other', deliveries: 2 } });
  });

  it('hands a token out again when its lease ends', async () => {
    const [name, value] = await posted();
    await claim('short', { merchant_data: name, lease: 1 });
    expect((await claim('long', { merchant_data: name, wait: 0.01 })).status).toBe(204);
    expect((await claim('long', { merchant_data: name, wait: 20 })).json).toMatchObject({
      value,
      claim: { deliveries: 2 },
    });
    expectProblem(await use('short'), 409, 'lease_lost');
    expectProblem(await release('short'), 409, 'lease_lost');
  });

  it('accepts a use, and the same use again', async () => {
    const [name, value] = await posted();
    await claim('used', { merchant_data: name });
    for (const answer of [await use('used'), await use('used')])
      expect([answer.status, answer.text]).toEqual([204, '']);
    expectProblem(await read(`merchant_data=${name}`), 410, 'used');
    expectProblem(await read(`merchant_data=${name}&wait=0.02`), 410, 'used');
    expectProblem(await claim('later', { merchant_data: name }), 410, 'used');
    expectProblem(await claim('later', { merchant_data: name, wait: 0.02 }), 410, 'used');
    expectProblem(await release('used'), 410, 'used');
    await running.post({ seid: value, merchant_data: name });
    expectProblem(await read(`merchant_data=${name}`), 410, 'used');
  });

  it('accepts a release, and the same release again', async () => {
    const [name] = await posted();
    await claim('released', { merchant_data: name });
    for (const answer of [await release('released'), await release('released')]) expect(answer.status).toBe(204);
    expectProblem(await use('released'), 409, 'lease_lost');
    expect((await read(`merchant_data=${name}`)).json.claim).toBeNull();
  });

  // PHP's CURLOPT_POST, wget and Java send the form's type with an empty body; chunked is how some send it.
  describe.each([
    ['a form', { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '0' }],
    ['a form in chunks', { 'content-type': 'application/x-www-form-urlencoded', 'transfer-encoding': 'chunked' }],
    ['text', { 'content-type': 'text/plain; charset=utf-8', 'content-length': '0' }],
    ['a malformed type', { 'content-type': 'nonsense', 'content-length': '0' }],
    ['JSON', { 'content-type': 'application/json', 'content-length': '0' }],
    ['no type, in chunks', { 'transfer-encoding': 'chunked' }],
  ])('given an empty body as %s', (_name, headers) => {
    const settle = (method: string, path: string): Promise<Answer> => running.worker(method, path, { headers });

    it('releases and settles a claim, uses a token and cancels an expectation', async () => {
      const [name] = await posted();
      const { json } = await claim(`e-${name}`, { merchant_data: name });
      expect((await settle('POST', `/v1/claims/e-${name}/release`)).status).toBe(204);
      expect((await claim(`f-${name}`, { merchant_data: name })).status).toBe(200);
      expect((await settle('DELETE', `/v1/claims/f-${name}`)).status).toBe(204);
      expect((await settle('DELETE', `/v1/tokens/${json.id}`)).status).toBe(204);
      const expectation = await running.worker('POST', '/v1/expectations', { body: { kind: 'seid' } });
      expect((await settle('DELETE', `/v1/expectations/${expectation.json.id}`)).status).toBe(204);
    });

    it('answers 404 for an address that does not exist', async () => {
      expectProblem(await settle('POST', '/v1/nothing'), 404, 'not_found');
    });
  });

  it('refuses a body on a route without one, and changes nothing', async () => {
    const [name] = await posted();
    await claim(`g-${name}`, { merchant_data: name });
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const refused = await running.worker('POST', `/v1/claims/g-${name}/release`, { body: 'merchant=default', headers });
    expectProblem(refused, 400, 'invalid_request');
    expect(refused.json.errors).toEqual([{ parameter: 'body', expected: 'no body', received: '"merchant=default"' }]);
    expect((await claim(`h-${name}`, { merchant_data: name })).json.code).toBe('claimed');
  });

  it('answers 404 for an unknown claim, token or expectation', async () => {
    expectProblem(await use('never'), 404, 'unknown_claim');
    expectProblem(await release('never'), 404, 'unknown_claim');
    expectProblem(await running.worker('DELETE', '/v1/tokens/never'), 404, 'unknown_token');
    expectProblem(await running.worker('DELETE', '/v1/expectations/never'), 404, 'unknown_expectation');
    expectProblem(await running.worker('GET', '/v1/never'), 404, 'not_found');
    expectProblem(await running.worker('POST', '/v1/tokens'), 404, 'not_found');
    expectProblem(await running.worker('GET', '/authenticity'), 404, 'not_found');
  });

  it('accepts a use from a worker that only read the token', async () => {
    const [name] = await posted();
    const { id } = (await read(`merchant_data=${name}`)).json;
    for (let time = 0; time < 2; time++) expect((await running.worker('DELETE', `/v1/tokens/${id}`)).status).toBe(204);
    expectProblem(await read(`merchant_data=${name}`), 410, 'used');
  });

  it('opens an expectation with a new merchant_data, or under a given selector', async () => {
    const open = (body: object): Promise<Answer> => running.worker('POST', '/v1/expectations', { body });
    const own = await open({ kind: 'seid' });
    expect(own.status).toBe(201);
    expect(own.json).toEqual({
      id: expect.any(String),
      kind: 'seid',
      merchant_data: expect.stringMatching(/^[0-9a-z]{20}$/),
      expires_at: expect.stringMatching(TIME),
    });
    const given = await open({ kind: 'nit', order_id: 'o1', ttl: 3600 });
    expect(given.json).toEqual({ id: expect.any(String), kind: 'nit', order_id: 'o1', expires_at: expect.any(String) });
    expect(Date.parse(given.json.expires_at) - Date.now()).toBeGreaterThan(3_500_000);
    const place = await open({ kind: 'token' });
    expect(place.json).toEqual({ id: expect.any(String), kind: 'token', expires_at: expect.any(String) });
  });

  it('answers waiting workers 410 at once after a cancellation, with a kind or without', async () => {
    const { id, merchant_data: name } = (await running.worker('POST', '/v1/expectations', { body: { kind: 'seid' } }))
      .json;
    const waiting = [
      read(`merchant_data=${name}&wait=60`),
      read(`merchant_data=${name}&kind=seid&wait=60`),
      claim('cancelled', { merchant_data: name, wait: 60 }),
      claim('cancelled-too', { merchant_data: name, kind: 'seid', wait: 60 }),
    ];
    await until('all wait', async () => (await running.parked()) === 4);
    expect((await running.worker('DELETE', `/v1/expectations/${id}`)).status).toBe(204);
    for (const answer of await Promise.all(waiting)) expectProblem(answer, 410, 'cancelled');
    expect((await running.worker('DELETE', `/v1/expectations/${id}`)).status).toBe(204);
    expectProblem(await read(`merchant_data=${name}`), 410, 'cancelled');
  });

  it('has token values in token answers only', async () => {
    const [name, value] = await posted();
    const { id } = (await claim('secret', { merchant_data: name })).json;
    const answers = [
      await claim('secret-2', { merchant_data: name }),
      await use('secret'),
      await read(`merchant_data=${name}`),
      await claim('secret-2', { merchant_data: name }),
      await release('secret'),
      await running.worker('DELETE', `/v1/tokens/${id}`),
      await running.worker('GET', '/metrics'),
      await running.worker('GET', '/readyz'),
    ];
    expect(answers.map(({ status }) => status)).toEqual([409, 204, 410, 410, 410, 204, 200, 200]);
    for (const { text, headers } of answers) expect(text + JSON.stringify(headers)).not.toContain(value);
    expect(running.log.join('')).toContain(name);
    expect(running.log.join('')).not.toContain(value);
  });
});

describe('ON_CONFLICT=refuse', () => {
  it('answers a conflict while different values are live, and takes nothing', async () => {
    const running = await RunningService.start({ env: { ON_CONFLICT: 'refuse' } });
    const ask = (): Promise<Answer[]> =>
      Promise.all([
        running.worker('GET', '/v1/tokens?sid=x&wait=60'),
        running.worker('PUT', '/v1/claims/c1', { body: { sid: 'x', wait: 60 } }),
      ]);
    for (const name of ['a', 'b']) await running.post({ seid: VALUE(name), sid: 'x' });
    for (const answer of await ask()) expectProblem(answer, 409, 'conflict');
    expectProblem(await running.worker('DELETE', '/v1/claims/c1'), 404, 'unknown_claim');
    const narrowed = await running.worker('GET', '/v1/tokens?sid=x&kind=nit');
    expect(narrowed.status).toBe(204);
    await running.stop();
  });
});
