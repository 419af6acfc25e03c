/** The simulator, called with plain HTTP as in Carat's documentation. */
import { once } from 'node:events';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createSimulator, type Simulator } from '../../src/simulator/simulator.ts';
import { type StoreServer, startStore } from '../support/store-server.ts';

const KEY = 'CHAVE0123456789';
const HEADERS = { merchant_id: 'LOJA1', merchant_key: KEY };
const CARD = { number: '5555555555555555', expiry_date: '1230' };

let store: StoreServer;
let simulator: Simulator;
let base: string;

beforeAll(async () => {
  store = await startStore();
  const stores = [
    { id: 'LOJA1', key: KEY },
    { id: 'LOJA2', key: 'OUTRA' },
  ];
  simulator = createSimulator({ authenticityUrl: store.url, stores });
  base = await simulator.listen();
});
afterAll(async () => {
  await simulator.close();
  await store.close();
});
beforeEach(() => {
  store.posts.length = 0;
});
afterEach(async () => {
  store.status = 200;
  store.redirect = undefined;
  await fetch(`${base}/simulator/faults`, { method: 'DELETE' });
});

interface Said {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely.
  body: any;
}

async function say(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = HEADERS,
): Promise<Said> {
  const json = body === undefined ? {} : { 'content-type': 'application/json' };
  const response = await fetch(`${base}${path}`, {
    method,
    headers: { ...headers, ...json },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : JSON.parse(text) };
}

async function activeSchedule(): Promise<string> {
  const terms = {
    amount: '1000',
    do_payment_now: 'false',
    initial_date: '03/08/2030',
    number_of_times: '3',
    interval: '1',
  };
  const order = { merchant_usn: '12055523043', order_id: '1205', authorizer_id: '2', schedule: terms };
  const created = await say('POST', '/e-sitef/api/v1/transactions', order);
  expect(created.body.schedule).toMatchObject({ status: 'NOV', sid: expect.stringMatching(/^[0-9A-Za-z]{64}$/) });
  const { sid } = created.body.schedule;
  const activated = await say('POST', `/e-sitef/api/v1/schedules/${sid}`, { card: CARD });
  expect(activated).toMatchObject({ status: 200, body: { code: '0', schedule: { status: 'ATV' } } });
  return sid;
}

describe('schedule edits', () => {
  it('posts seid, merchant_data and sid during the call, answers 201, and accepts the SEID once', async () => {
    const sid = await activeSchedule();
    const begun = await say('POST', '/e-sitef/api/v1/schedules/edits', { sid, merchant_data: '14114532781' });
    expect(begun).toMatchObject({ status: 201, body: { code: '0' } });
    expect(store.posts).toHaveLength(1);
    const { contentType, fields } = store.posts[0] ?? {};
    expect(contentType).toBe('application/x-www-form-urlencoded; charset=utf-8');
    expect(fields).toEqual({ seid: expect.stringMatching(/^[0-9A-Za-z]{64}$/), merchant_data: '14114532781', sid });

    const path = `/e-sitef/api/v1/schedules/edits/${fields?.['seid']}`;
    const edited = await say('PUT', path, { status: 'INA', amount: '', soft_descriptor: 'Novo' });
    expect(edited).toMatchObject({ status: 200, body: { code: '0', schedule_edit: { status: 'CON' } } });
    expect(edited.body.schedule).toMatchObject({ status: 'INA', amount: '1000', soft_descriptor: 'Novo' });
    expect(await say('PUT', path, { status: 'ATV' })).toMatchObject({ status: 400 });
  });

  it.each([201, 202, 204, 302, 500])(
    'fails with 115 and invalidates the SEID when the post is answered %i',
    async (status) => {
      const sid = await activeSchedule();
      store.status = status;
      store.redirect = status === 302 ? store.url : undefined;
      const begun = await say('POST', '/e-sitef/api/v1/schedules/edits', { sid });
      expect(begun).toMatchObject({ status: 400, body: { code: '115' } });
      expect(store.posts).toHaveLength(1);
      const seid = store.posts[0]?.fields['seid'] ?? '';
      expect(simulator.world.edits.get(seid)?.status).toBe('INV');
      expect(await say('PUT', `/e-sitef/api/v1/schedules/edits/${seid}`, { status: 'INA' })).toMatchObject({
        status: 400,
      });
    },
  );

  it('lets an unused SEID expire', async () => {
    const sid = await activeSchedule();
    await say('POST', '/e-sitef/api/v1/schedules/edits', { sid });
    const seid = store.posts[0]?.fields['seid'] ?? '';
    await say('POST', '/simulator/expire');
    expect(await say('PUT', `/e-sitef/api/v1/schedules/edits/${seid}`, { status: 'INA' })).toMatchObject({
      status: 400,
    });
    expect(simulator.world.edits.get(seid)?.status).toBe('EXP');
  });

  it('refuses a schedule that is not active, and one that is unknown or of another store', async () => {
    const terms = {
      amount: '1',
      do_payment_now: 'false',
      initial_date: '03/08/2030',
      number_of_times: '3',
      interval: '1',
    };
    const created = await say('POST', '/e-sitef/api/v1/transactions', { authorizer_id: '2', schedule: terms });
    const { sid } = created.body.schedule;
    expect((await say('POST', '/e-sitef/api/v1/schedules/edits', { sid })).status).toBe(400);
    expect((await say('POST', '/e-sitef/api/v1/schedules/edits', { sid: 'a'.repeat(64) })).status).toBe(404);
    const other = { merchant_id: 'LOJA2', merchant_key: 'OUTRA' };
    expect((await say('POST', '/e-sitef/api/v1/schedules/edits', { sid }, other)).status).toBe(404);
    expect(store.posts).toHaveLength(0);
  });
});

describe('payments with a schedule', () => {
  const terms = { amount: '1000', initial_date: '03/08/2030', number_of_times: '3', interval: '1' };
  const order = {
    merchant_usn: '1',
    order_id: 'P-1',
    authorizer_id: '2',
    amount: '1000',
    installments: '1',
    installment_type: '4',
  };

  it('confirms the payment and activates the schedule together', async () => {
    const created = await say('POST', '/e-sitef/api/v1/transactions', { ...order, schedule: terms });
    const { nit } = created.body.payment;
    const paid = await say('POST', `/e-sitef/api/v1/payments/${nit}`, { card: { ...CARD, security_code: '123' } });
    expect(paid.body).toMatchObject({ code: '0', payment: { status: 'CON' }, schedule: { status: 'ATV' } });
    expect((await say('GET', `/e-sitef/api/v1/transactions/${nit}`)).body.payment.status).toBe('CON');
  });

  it.each([
    ['true', 'CON', 'ATV'],
    ['false', 'PPN', 'DES'],
  ])('late confirmation: confirm=%s makes the payment %s and its schedule %s', async (confirm, payment, schedule) => {
    const additional_data = { postpone_confirmation: 'true' };
    const created = await say('POST', '/e-sitef/api/v1/transactions', { ...order, schedule: terms, additional_data });
    const path = `/e-sitef/api/v1/payments/${created.body.payment.nit}`;
    expect((await say('POST', path, { card: CARD })).body.payment.status).toBe('PPC');
    const settled = await say('PUT', `${path}?confirm=${confirm}`);
    expect(settled.body).toMatchObject({ payment: { status: payment }, schedule: { status: schedule } });
  });

  it('cancels a confirmed payment with the NIT of its own post', async () => {
    const created = await say('POST', '/e-sitef/api/v1/transactions', order);
    const { nit } = created.body.payment;
    const { esitef_usn } = (await say('POST', `/e-sitef/api/v1/payments/${nit}`, { card: CARD })).body.payment;
    expect(await say('POST', '/e-sitef/api/v1/cancellations', { esitef_usn })).toMatchObject({ body: { code: '0' } });
    expect(store.posts[0]?.fields).toMatchObject({ pedido: 'P-1', nsu: '1' });
    const cancelled = await say('PUT', `/e-sitef/api/v1/cancellations/${store.posts[0]?.fields['nit']}`, {
      card: CARD,
    });
    expect(cancelled.body.cancellation.status).toBe('CON');
    expect((await say('GET', `/e-sitef/api/v1/transactions/${nit}`)).body.payment.status).toBe('EST');
  });
});

describe('recharges', () => {
  const begin = (more = {}) =>
    say('POST', '/e-sitef/v3/recharge', { begin_recharge_request: { merchant_key: KEY, ...more } }, {});
  const effect = (nit: string, more = {}) => {
    const do_recharge_request = {
      amount: '1500',
      dealer: { code: '001' },
      phone: { ddd: '11', number: '987654321' },
      ...more,
    };
    return say('PUT', `/e-sitef/v3/recharge/${nit}`, { do_recharge_request }, {});
  };
  const confirm = (nit: string, how: string) =>
    say('PUT', `/e-sitef/v3/recharge/${nit}`, { confirm_recharge_request: { confirm: how, merchant_key: KEY } }, {});
  const query = (nit: string) => say('GET', `/e-sitef/v3/recharge/${nit}/?merchantkey=${KEY}`, undefined, {});

  it.each([
    ['true', 'CON'],
    ['false', 'PPN'],
  ])('go from NOV over PPC: confirm %s makes it %s', async (how, status) => {
    expect((await begin({ merchant_usn: '2398' })).body).toEqual({
      begin_recharge_response: { esitef: { message: expect.any(String), code: '0' } },
    });
    expect(store.posts[0]?.fields).toMatchObject({ merchantUSN: '2398' });
    const nit = store.posts[0]?.fields['nit'] ?? '';
    const dealers = await say('GET', `/e-sitef/v3/rechargedealers?nit=${nit}`, undefined, {});
    expect(dealers.body.list_dealers_response).toMatchObject({ status: 'NOV', authorizer: { code: '000' } });
    expect(dealers.body.list_dealers_response.dealers).toContainEqual({ name: 'Tim', code: '004' });
    const branches = await say('GET', `/e-sitef/v3/rechargebranches?nit=${nit}&ddd=11&dealercode=001`, undefined, {});
    expect(branches.body.list_branch_data_response.esitef.code).toBe('0');
    const payment = { amount: '1500', authorizer_id: '2', merchant_key: KEY, card: CARD };
    expect((await effect(nit, { payment })).body.do_recharge_response).toMatchObject({
      status: 'PPC',
      payment: { status: 'PPC' },
    });
    const ended = await confirm(nit, how);
    expect(ended.body.confirm_recharge_response).toMatchObject({ status, payment: { status } });
    expect((await query(nit)).body.get_status_recharge_response).toMatchObject({ status, payment: { status } });
    expect((await confirm(nit, how)).status).toBe(400);
  });

  it('refuse a null NIT, an unknown one, and a step that the status does not allow', async () => {
    expect(
      (await say('GET', '/e-sitef/v3/rechargedealers', undefined, {})).body.list_dealers_response.esitef.code,
    ).toBe('1');
    expect((await query('b'.repeat(64))).status).toBe(404);
    await begin();
    const nit = store.posts[0]?.fields['nit'] ?? '';
    expect((await confirm(nit, 'false')).status).toBe(400);
    expect((await query(nit)).body.get_status_recharge_response.status).toBe('NOV');
  });

  it('are not started when the post is not answered 200', async () => {
    store.status = 204;
    expect(await begin()).toMatchObject({
      status: 400,
      body: { begin_recharge_response: { esitef: { code: '115' } } },
    });
  });
});

describe('generic operations and merchants', () => {
  const run = (parameters: object, operation = '100') =>
    say('POST', '/e-sitef/api/v1/genericoperations', {
      operation,
      parameters: { authorizer_id: '1', terminal_id: 'TERM0001', merchant_usn: '1', subfunction: '01', ...parameters },
    });

  it('posts only a token, which is valid once', async () => {
    expect(await say('GET', '/e-sitef/api/v1/token')).toMatchObject({ status: 200, body: { responseCode: '0' } });
    const { token } = store.posts[0]?.fields ?? {};
    expect(store.posts[0]?.fields).toEqual({ token: expect.any(String) });
    expect(await run({ token })).toMatchObject({ status: 200, body: { code: '0' } });
    expect(await run({ token })).toMatchObject({ status: 400, body: { code: '115' } });
    expect(await run({})).toMatchObject({ status: 400 });
    expect(await run({}, '1')).toMatchObject({ status: 200 });
  });

  it('burns the token before the operation runs', async () => {
    await say('GET', '/e-sitef/api/v1/token');
    const { token } = store.posts[0]?.fields ?? {};
    simulator.plan({ fault: 'denied', call: 'genericOperations.run' });
    expect(await run({ token })).toMatchObject({ status: 400, body: { code: '999' } });
    expect(await run({ token })).toMatchObject({ status: 400, body: { code: '115' } });
  });

  it('refuses a terminal that is in use', async () => {
    simulator.plan({ fault: 'hold', call: 'genericOperations.run' });
    const held = once(simulator.events, 'held');
    const first = run({}, '1');
    await held;
    expect(await run({}, '1')).toMatchObject({ status: 400, body: { code: '903' } });
    await say('POST', '/simulator/release');
    expect(await first).toMatchObject({ status: 200 });
    expect(simulator.world.terminalClashes).toBe(1);
  });

  it('registers a merchant with a token in the header', async () => {
    expect((await say('POST', '/e-sitef/api/v1/token/merchants')).body).toMatchObject({ response_code: 0 });
    const token = store.posts[0]?.fields['token'] ?? '';
    expect((await say('POST', '/e-sitef/api/v1/merchants', {}, { ...HEADERS, token })).status).toBe(201);
    expect((await say('POST', '/e-sitef/api/v1/merchants', {}, { ...HEADERS, token })).status).toBe(400);
  });
});

describe('headers', () => {
  it.each([
    ['no headers', {}],
    ['no key', { merchant_id: 'LOJA1' }],
    ['a wrong key', { merchant_id: 'LOJA1', merchant_key: 'OUTRA' }],
    ['a key that is too long', { merchant_id: 'LOJA1', merchant_key: 'x'.repeat(81) }],
  ])('answers 401 to %s', async (_name, headers) => {
    expect((await say('GET', '/e-sitef/api/v1/token', undefined, headers as Record<string, string>)).status).toBe(401);
    expect(store.posts).toHaveLength(0);
  });

  it('answers 401 to a recharge with a key it does not know', async () => {
    const body = { begin_recharge_request: { merchant_key: 'NENHUMA' } };
    expect((await say('POST', '/e-sitef/v3/recharge', body, {})).status).toBe(401);
  });
});

describe('faults', () => {
  const ask = (fault: string) =>
    say('GET', '/e-sitef/api/v1/token', undefined, { ...HEADERS, 'x-simulator-fault': fault });

  it('no-post', async () => {
    expect((await ask('no-post')).body.responseCode).toBe('0');
    expect(store.posts).toHaveLength(0);
  });
  it('double-post', async () => {
    await ask('double-post');
    expect(store.posts.map(({ fields }) => fields['token'])).toEqual(Array(2).fill(store.posts[0]?.fields['token']));
  });
  it('conflicting-post: the first token is the genuine one', async () => {
    await ask('conflicting-post');
    const values = store.posts.map(({ fields }) => fields['token'] ?? '');
    expect(new Set(values).size).toBe(2);
    expect(values.map((value) => simulator.world.tokens.has(value))).toEqual([true, false]);
  });
  it('post-after-answer', async () => {
    const posted = once(simulator.events, 'post');
    expect((await ask('post-after-answer=20')).body.responseCode).toBe('0');
    expect(store.posts).toHaveLength(0);
    await posted;
    expect(store.posts).toHaveLength(1);
  });
  it('unknown-fields, odd-charset and slow-body together', async () => {
    const { body } = await ask('unknown-fields, odd-charset=KOI8-R, slow-body=20');
    expect(body.campo_novo).toBeDefined();
    expect(store.posts[0]?.fields).toMatchObject({ campo_novo: 'ação & reação' });
    expect(store.posts[0]?.contentType).toContain('charset=KOI8-R');
  });
  it('closed-connection: Carat carries out the call', async () => {
    await expect(ask('closed-connection')).rejects.toThrow();
    expect(store.posts).toHaveLength(1);
  });
  it('closed-early: Carat does nothing', async () => {
    await expect(ask('closed-early')).rejects.toThrow();
    expect(store.posts).toHaveLength(0);
  });
  it('denied and 500', async () => {
    expect(await ask('denied=134')).toMatchObject({ status: 400, body: { responseCode: '134' } });
    expect(await ask('500')).toMatchObject({ status: 500 });
    expect(store.posts).toHaveLength(0);
  });
  it('expiry: an issued token has expired', async () => {
    await ask('expiry');
    const token = simulator.world.tokens.get(store.posts[0]?.fields['token'] ?? '');
    expect(token?.expiresAt).toBe(0);
  });

  it('are planned for calls by name and used up', async () => {
    const planned = await say('POST', '/simulator/faults', {
      fault: 'denied',
      call: 'genericOperations.askToken',
      times: 2,
    });
    expect(planned.status).toBe(201);
    const askAgain = () => say('GET', '/e-sitef/api/v1/token');
    expect((await askAgain()).status).toBe(400);
    expect((await say('GET', `/e-sitef/api/v1/transactions/${'c'.repeat(64)}`)).status).toBe(404);
    expect((await askAgain()).status).toBe(400);
    expect((await askAgain()).status).toBe(200);
  });
  it.each([{ fault: 'nonsense' }, { fault: 'delay', times: 0 }, {}])('refuses to plan %j', async (fault) => {
    expect((await say('POST', '/simulator/faults', fault)).status).toBe(400);
  });
});

describe('the simulator itself', () => {
  it('sends a status notification, and repeats it until it gets a 200', async () => {
    const body = { begin_recharge_request: { merchant_key: KEY, merchant_usn: '77' } };
    await say('POST', '/e-sitef/v3/recharge', body, {});
    const nit = store.posts[0]?.fields['nit'];
    store.status = 500;
    expect((await say('POST', '/simulator/notifications', { nit, status: 'CON' })).body.statuses).toEqual([
      500, 500, 500,
    ]);
    store.status = 200;
    expect((await say('POST', '/simulator/notifications', { nit, status: 'CON' })).body.statuses).toEqual([200]);
    expect(store.posts.at(-1)?.fields).toMatchObject({ nit, status: 'CON', nsu: '77' });
  });

  it('shows its state without keys and cards', async () => {
    await activeSchedule();
    const state = JSON.stringify((await say('GET', '/simulator/state')).body);
    expect(state).toContain('"schedules"');
    expect(state).not.toContain(KEY);
    expect(state).not.toContain(CARD.number);
  });
});
