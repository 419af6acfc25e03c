/** The calls, on real sockets: what is sent, every spelling of the result code, errors, deadlines, and no repetition. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ADDRESSES, type CaratError, createCaratClient } from '../../src/carat/index.ts';
import {
  CARD,
  clientOf,
  errorOf,
  everythingOf,
  MERCHANT,
  NEW_PAYMENT,
  NEW_SCHEDULE,
  NIT,
  ORDER,
  PARAMETERS,
  PLAIN_CARD,
  SECRETS,
  SID,
  startWorld,
  type World,
} from '../support/carat.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.close());

describe('against the simulator', () => {
  it('schedules, activates and queries without a payment', async () => {
    const { client } = world;
    const created = await client.schedules.create(NEW_SCHEDULE);
    expect(created.schedule?.status).toBe('NOV');
    const sid = created.schedule?.sid ?? '';
    expect((await client.schedules.activate({ sid, card: PLAIN_CARD })).schedule?.status).toBe('ATV');
    expect((await client.schedules.queryBySid({ sid })).schedule).toMatchObject({ status: 'ATV', amount: '1000' });
  });

  it.each([
    [true, 'CON', 'ATV'],
    [false, 'PPN', 'DES'],
  ])('pays late: confirm %s', async (confirm, payment, schedule) => {
    const { client } = world;
    const created = await client.schedules.createWithPayment({ ...NEW_PAYMENT, late_confirmation: true });
    const nit = created.payment?.nit ?? '';
    expect((await client.schedules.pay({ nit, card: CARD })).payment?.status).toBe('PPC');
    const settled = await client.schedules.confirmPayment({ nit, confirm });
    expect([settled.payment?.status, settled.schedule?.status]).toEqual([payment, schedule]);
    expect((await client.schedules.query({ nit })).payment?.status).toBe(payment);
  });

  it('pays and cancels', async () => {
    const { client, store } = world;
    const created = await client.schedules.createWithPayment(NEW_PAYMENT);
    const nit = created.payment?.nit ?? '';
    const paid = await client.schedules.pay({ nit, card: CARD });
    expect([paid.payment?.status, paid.schedule?.status]).toEqual(['CON', 'ATV']);
    await client.cancellations.begin({ esitef_usn: String(paid.payment?.['esitef_usn']) });
    const cancelNit = store.posts.at(-1)?.fields['nit'] ?? '';
    const cancelled = await client.cancellations.cancel({ nit: cancelNit, amount: 1000, card: CARD });
    expect(cancelled.cancellation?.status).toBe('CON');
    expect((await client.schedules.query({ nit })).payment?.status).toBe('EST');
  });

  it.each(['others', 'invoice'] as const)('lists branches by body for a recharge of type %s', async (recharge_type) => {
    const { client, store } = world;
    await client.recharges.begin({ recharge_type });
    const nit = store.posts.at(-1)?.fields['nit'] ?? '';
    expect((await client.recharges.dealers({ nit })).dealers[0]?.branches).toHaveLength(1);
    expect((await client.recharges.branchesByBody({ nit, body: { anything: 1 } })).status).toBe('NOV');
  });

  it('ignores a report callback that throws', async () => {
    const client = createCaratClient({
      environment: 'homologation',
      merchantId: MERCHANT,
      merchantKey: SECRETS.merchantKey,
      addresses: world.simulator.addresses(),
      onCall: () => {
        throw new Error('the log is full');
      },
    });
    await client.genericOperations.askToken();
  });

  it('reports each call without identifiers', () => {
    expect(world.reports.length).toBeGreaterThan(10);
    expect(JSON.stringify(world.reports)).not.toMatch(/[0-9a-f]{32}/);
    expect(world.reports[0]).toMatchObject({
      call: 'schedules.create',
      outcome: 'success',
      httpStatus: 200,
      caratCode: '0',
    });
  });
});

describe('on the wire', () => {
  interface Request {
    method: string | undefined;
    url: string | undefined;
    headers: IncomingMessage['headers'];
    body: unknown;
  }
  let seen: Request[] = [];
  let reply: { status: number; body: string } = { status: 200, body: '{"code":"0"}' };
  let wire: Awaited<ReturnType<typeof clientOf>>;
  beforeAll(async () => {
    wire = await clientOf(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      seen.push({
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: text === '' ? undefined : JSON.parse(text),
      });
      response.writeHead(reply.status, { 'content-type': 'application/json' }).end(reply.body);
    });
  });
  afterAll(() => wire.close());
  afterEach(() => {
    seen = [];
    reply = { status: 200, body: '{"code":"0"}' };
  });

  it('sends the merchant headers and amounts as text', async () => {
    await wire.client.schedules.create(NEW_SCHEDULE);
    expect(seen[0]).toMatchObject({
      method: 'POST',
      url: '/v1/transactions',
      headers: { merchant_id: MERCHANT, merchant_key: SECRETS.merchantKey, 'content-type': 'application/json' },
      body: { schedule: { amount: '1000', do_payment_now: 'false', number_of_times: '3' } },
    });
  });

  it('confirms a payment by query string', async () => {
    await wire.client.schedules.confirmPayment({ nit: NIT, confirm: true });
    expect(seen[0]).toMatchObject({ method: 'PUT', url: `/v1/payments/${NIT}?confirm=true`, body: undefined });
  });

  it('sends the recharge in its envelopes, without merchant headers', async () => {
    reply.body = '{"x_response":{"esitef":{"code":"0"},"status":"PPC"}}';
    const payment = { amount: 1500, authorizer_id: '2', installments: 1, card: CARD };
    await wire.client.recharges.effect({ nit: NIT, order: { ...ORDER, general_hash: '0123456789ABCDEF', payment } });
    await wire.client.recharges.confirm({ nit: NIT, confirm: false });
    expect(seen[0]?.headers).not.toHaveProperty('merchant_key');
    expect(seen[0]?.body).toEqual({
      do_recharge_request: {
        amount: '1500',
        dealer: { code: '001' },
        phone: { ddd: '11', number: '987654321' },
        hashes: { general: '0123456789ABCDEF' },
        payment: {
          amount: '1500',
          authorizer_id: '2',
          merchant_key: SECRETS.merchantKey,
          installment: { number: '1' },
          card: CARD,
        },
      },
    });
    expect(seen[1]?.body).toEqual({
      confirm_recharge_request: { confirm: 'false', merchant_key: SECRETS.merchantKey },
    });
  });

  it.each([
    '{"code":"0"}',
    '{"code":0,"unknown":[1]}',
    '{"responseCode":"0"}',
    '{"response_code":0}',
    '{"any_response":{"esitef":{"code":"0","message":"OK"}}}',
  ])('recognises success: %s', async (body) => {
    reply.body = body;
    await expect(wire.client.genericOperations.askToken()).resolves.toBeUndefined();
  });

  it.each([
    [400, '{"code":"115","message":"Erro"}', 'denied', 'none', '115'],
    [200, '{"code":"134","message":"Erro"}', 'denied', 'none', '134'],
    [200, '{"response_code":5}', 'denied', 'none', '5'],
    [400, 'not json', 'denied', 'none', undefined],
    [401, '', 'unauthorized', 'none', undefined],
    [403, '{}', 'unauthorized', 'none', undefined],
    [404, '{"code":"1"}', 'not_found', 'none', '1'],
    [500, '{"code":"0"}', 'unavailable', 'unknown', '0'],
    [503, '<html>', 'unavailable', 'unknown', undefined],
    [200, '<html>', 'bad_answer', 'unknown', undefined],
    [200, '{}', 'bad_answer', 'unknown', undefined],
    [202, '{"code":"0"}', 'bad_answer', 'unknown', '0'],
    [302, '{"code":"0"}', 'bad_answer', 'unknown', '0'],
  ])('HTTP %i %s is %s', async (status, body, code, effect, caratCode) => {
    reply = { status, body };
    const error = await errorOf(wire.client.genericOperations.askToken());
    expect(error).toMatchObject({ code, effect, caratCode, httpStatus: status, call: 'genericOperations.askToken' });
    expect(seen).toHaveLength(1);
  });

  it('accepts only 201 for the creation of an edit', async () => {
    expect(await errorOf(wire.client.scheduleEdits.begin({ sid: SID }))).toMatchObject({
      code: 'bad_answer',
      effect: 'unknown',
    });
    reply.status = 201;
    await wire.client.scheduleEdits.begin({ sid: SID });
  });

  it('accepts an operation without a result code, and rejects a query without a status', async () => {
    reply.body = '{"saldo":"10"}';
    const run = await wire.client.genericOperations.run({ operation: '1', parameters: PARAMETERS });
    expect(run).toEqual({ saldo: '10' });
    reply.body = '{"get_status_recharge_response":{"esitef":{"code":"0"}}}';
    const error = await errorOf(wire.client.recharges.query({ nit: NIT }));
    expect(error).toMatchObject({ code: 'bad_answer', effect: 'none', message: expect.stringContaining('status') });
  });

  it('rejects an answer of more than 1 MiB', async () => {
    reply.body = JSON.stringify({ code: '0', filler: 'x'.repeat(1024 * 1024) });
    expect(await errorOf(wire.client.genericOperations.askToken())).toMatchObject({ code: 'bad_answer' });
  });

  it('masks secrets that Carat echoes', async () => {
    const echo = `cartao ${CARD.number} cvv ${CARD.security_code} chave ${SECRETS.merchantKey} outro 5555-4444-3333-2222`;
    reply = { status: 400, body: JSON.stringify({ code: '999', message: echo }) };
    const error = await errorOf(wire.client.schedules.pay({ nit: NIT, card: CARD }));
    expect((error as CaratError).caratMessage).toBe('cartao *** cvv *** chave *** outro ***');
    for (const secret of [...Object.values(SECRETS), NIT]) expect(everythingOf(error)).not.toContain(secret);
  });

  it('leaves the code and the rest of the message unchanged', async () => {
    reply = { status: 400, body: '{"do_recharge_response":{"esitef":{"code":"115","message":"Erro 11 em 1 de 2"}}}' };
    const payment = { amount: 1500, authorizer_id: '2', installments: 1, card: CARD };
    const error = await errorOf(wire.client.recharges.effect({ nit: NIT, order: { ...ORDER, payment } }));
    expect(error).toMatchObject({ caratCode: '115', caratMessage: 'Erro 11 em 1 de 2' });
  });
});

describe('without an answer', () => {
  it('ends at its deadline and at the abort signal', async () => {
    let release: () => void = () => undefined;
    const arrived: Promise<void>[] = [];
    const { client, close } = await clientOf(() => release(), 50);
    try {
      const late = await errorOf(client.genericOperations.askToken());
      expect(late).toMatchObject({ code: 'timeout', effect: 'unknown', message: expect.stringContaining('50 ms') });
      arrived.push(
        new Promise((resolve) => {
          release = resolve;
        }),
      );
      const caller = new AbortController();
      const ended = errorOf(client.genericOperations.askToken({ signal: caller.signal, timeoutMs: 60_000 }));
      await arrived[0];
      caller.abort();
      expect(await ended).toMatchObject({ code: 'aborted', effect: 'unknown' });
      expect(await errorOf(client.genericOperations.askToken({ signal: caller.signal }))).toMatchObject({
        code: 'aborted',
        effect: 'none',
      });
    } finally {
      await close();
    }
  });

  it('reports that a refused connection changed nothing', async () => {
    const { client, close } = await clientOf(() => undefined);
    await close();
    const error = await errorOf(client.recharges.query({ nit: NIT }));
    expect(error).toMatchObject({ code: 'connection', effect: 'none', cause: 'ECONNREFUSED' });
    for (const secret of [SECRETS.merchantKey, NIT]) expect(everythingOf(error)).not.toContain(secret);
    expect(await errorOf(client.genericOperations.askToken())).toMatchObject({ effect: 'none' });
  });

  it.each(['closed-early', 'closed-connection', 'error-500'] as const)('repeats nothing: %s', async (fault) => {
    const { client, simulator, calls } = world;
    const before = calls('genericOperations.askToken');
    simulator.plan({ fault, call: 'genericOperations.askToken' });
    const error = await errorOf(client.genericOperations.askToken());
    expect(error).toMatchObject({ code: fault === 'error-500' ? 'unavailable' : 'connection', effect: 'unknown' });
    await client.genericOperations.askToken();
    expect(calls('genericOperations.askToken')).toBe(before + 2);
  });

  it('does not wait twice for a slow answer', async () => {
    const { client, simulator, calls } = world;
    simulator.plan({ fault: 'hold', call: 'recharges.begin' });
    const held = once(simulator.events, 'held');
    const failing = errorOf(client.recharges.begin({}, { timeoutMs: 300 }));
    await held;
    expect(await failing).toMatchObject({ code: 'timeout' });
    await fetch(`${simulator.addresses().recharge.replace('/e-sitef', '')}/simulator/release`, { method: 'POST' });
    expect(calls('recharges.begin')).toBeGreaterThan(0);
  });
});

it('knows both environments by name, never by IP address', () => {
  for (const { portal, recharge } of Object.values(ADDRESSES)) {
    expect(
      [portal, recharge].every((address) =>
        /^https:\/\/[a-z-]+\.softwareexpress\.com\.br\/e-sitef(\/api)?$/.test(address),
      ),
    ).toBe(true);
  }
  expect(ADDRESSES.production.recharge).toBe('https://esitef-ec.softwareexpress.com.br/e-sitef');
});
