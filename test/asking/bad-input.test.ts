/** Bad input of every ask, and every way in which Carat can fail. Bad input is named, and nothing is sent to Carat. */
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LOOPBACK } from '../support/ports.ts';
import { type RequestOptions, RunningService } from '../support/service.ts';
import { caratEnv } from './world.ts';

const SID = 'a1'.repeat(32);
const CARD = '5222333344445555';
const JSON_TYPE = { 'content-type': 'application/json' };
const ASKS = {
  '/v1/schedule-edits': { sid: SID },
  '/v1/recharges': { merchant_usn: '1001' },
  '/v1/generic-tokens': {},
  '/v1/merchant-tokens': {},
  '/v1/cancellations': { esitef_usn: '1', merchant_usn: '1001' },
} as const;
type Path = keyof typeof ASKS;
const PATHS = Object.keys(ASKS) as Path[];
const DECISION = '/v1/recharges/nit1';

/** Fields of Carat's: their limit as the error states it, and values beyond it. */
const FIELDS: [path: Path, field: string, limit: string, beyond: unknown[]][] = [
  ['/v1/schedule-edits', 'sid', 'exactly 64 letters or digits', [CARD, `${SID}a`, `${SID.slice(1)}-`, `${SID}\n`]],
  ['/v1/schedule-edits', 'merchant_data', '1 to 20 letters or digits', ['x'.repeat(21), 'a b', 'é']],
  ['/v1/recharges', 'merchant_usn', '1 to 12 digits', ['1'.repeat(13), '-1', '1.5', '1,50', '0x1', ' 1']],
  ['/v1/recharges', 'order_id', '1 to 20 letters, digits or signs', ['x'.repeat(21), 'a b']],
  ['/v1/recharges', 'recharge_type', 'one of normal, others, invoice', ['NORMAL', 'other']],
  ['/v1/recharges', 'general_hash', 'exactly 16 letters or digits', ['a'.repeat(15), 'a'.repeat(17)]],
  ['/v1/recharges', 'settle_within', 'seconds, a number from 30 to 3600', [0, -30, 29.9, 3600.1, 1e99, '300']],
  ['/v1/cancellations', 'esitef_usn', '1 to 15 letters or digits', ['x'.repeat(16), 'a-b']],
  ['/v1/cancellations', 'merchant_usn', '1 to 12 digits', [CARD, '1'.repeat(13), 'a']],
  ['/v1/cancellations', 'order_id', '1 to 20 letters, digits or signs', ['x'.repeat(21), 'a b']],
];
const WRONG_TYPES = [null, true, {}, [], ''];

type Bad = [method: string, path: string, body: unknown, parameter: string, expected: string];
const bad: Bad[] = [
  ...FIELDS.flatMap(([path, field, limit, beyond]) => {
    const numbers = limit.startsWith('seconds') ? [] : [5];
    return [...WRONG_TYPES, ...numbers, ...beyond].map(
      (value): Bad => ['POST', path, { ...ASKS[path], [field]: value }, field, limit],
    );
  }),
  ['POST', '/v1/schedule-edits', {}, 'sid', 'exactly 64'],
  ['POST', '/v1/recharges', {}, 'merchant_usn', '1 to 12 digits'],
  ['POST', '/v1/cancellations', { merchant_usn: '1' }, 'esitef_usn', '1 to 15'],
  ['POST', '/v1/cancellations', { esitef_usn: '1' }, 'merchant_usn', 'merchant_usn or order_id'],
  ...PATHS.flatMap((path): Bad[] => [
    ...[...WRONG_TYPES, '5', -1, 0, 0.5, 60.1, 61, 1e99].map(
      (wait): Bad => ['POST', path, { ...ASKS[path], wait }, 'wait', 'seconds, a number from 1 to 60'],
    ),
    ...[...WRONG_TYPES, 5].map(
      (merchant): Bad => ['POST', path, { ...ASKS[path], merchant }, 'merchant', 'the name of a merchant'],
    ),
    ['POST', path, { ...ASKS[path], merchant: 'nobody' }, 'merchant', 'AUTHENTICITY_PATHS'],
    ...['amount', 'next_date', 'status', 'token', 'kind', 'Wait', 'ttl'].map(
      (name): Bad => ['POST', path, { ...ASKS[path], [name]: '01/13/2027' }, name, 'no such parameter'],
    ),
    ...['card', 'cardNumber', 'number', 'pan', 'security_code', 'expiry_date'].map(
      (name): Bad => ['POST', path, { ...ASKS[path], [name]: CARD }, name, 'send it to Carat directly'],
    ),
    ['POST', `${path}?wait=5`, ASKS[path], 'wait', 'no such parameter'],
    ...['[]', '5', '"x"'].map((text): Bad => ['POST', path, text, 'body', 'a JSON object']),
    ['POST', path, '{"sid":', 'body', 'valid JSON'],
  ]),
  ...[null, true, '', 'CONFIRM', 'cancel'].map(
    (decision): Bad => ['PUT', DECISION, { decision }, 'decision', 'one of confirm, undo'],
  ),
  ['PUT', DECISION, {}, 'decision', 'one of confirm, undo'],
  ['PUT', DECISION, { decision: 'undo', wait: 61 }, 'wait', 'seconds, a number from 0 to 60'],
  ['PUT', DECISION, { decision: 'undo', amount: 100 }, 'amount', 'no such parameter'],
  ['GET', `${DECISION}?wait=61`, undefined, 'wait', 'seconds, a number from 0 to 60'],
];

const sends =
  (status: number, body: string, headers: Record<string, string> = JSON_TYPE) =>
  (response: ServerResponse): unknown =>
    response.writeHead(status, headers).end(body);
const HTML = '<html>busy</html>';
const UNREACHABLE = 'carat_unreachable';
const FAILURES: [name: string, answer: (response: ServerResponse) => unknown, code: string][] = [
  ['nothing', () => {}, UNREACHABLE],
  ['headers, then no body', (response) => response.writeHead(200, JSON_TYPE).write(' '), UNREACHABLE],
  ['a reset', ({ socket }) => socket?.resetAndDestroy(), UNREACHABLE],
  ['a closed connection', ({ socket }) => socket?.destroy(), UNREACHABLE],
  ['500', sends(500, '{"code":"1","message":"failed"}'), UNREACHABLE],
  ['503 with HTML', sends(503, HTML, { 'content-type': 'text/html' }), UNREACHABLE],
  ['200 with HTML', sends(200, HTML, { 'content-type': 'text/html' }), UNREACHABLE],
  ['201 with broken JSON', sends(201, '{"code":"0"'), UNREACHABLE],
  ['200 with a list', sends(200, '[]'), UNREACHABLE],
  ['an empty body', sends(200, ''), UNREACHABLE],
  ['a redirect', sends(307, '', { location: '/v1/elsewhere' }), UNREACHABLE],
  ['more than 1 MiB', sends(200, `{"x":"${'y'.repeat(1024 * 1024)}"}`), UNREACHABLE],
  ['401', sends(401, ''), 'carat_refused'],
  ['403 with HTML', sends(403, HTML, { 'content-type': 'text/html' }), 'carat_refused'],
  ['400 with a code', sends(400, '{"code":"115","message":"authenticity error"}'), 'carat_refused'],
];

describe('an ask', () => {
  let carat: Server;
  let calls: string[];
  let answer: (response: ServerResponse) => unknown;
  let service: RunningService;

  beforeEach(async () => {
    calls = [];
    answer = sends(500, '');
    carat = createServer((request, response) => {
      calls.push(`${request.method} ${request.url}`);
      request.resume().once('end', () => answer(response));
    }).listen(0, LOOPBACK);
    await once(carat, 'listening');
    const url = `http://${LOOPBACK}:${(carat.address() as AddressInfo).port}`;
    service = await RunningService.start({ env: caratEnv(url, url) });
  });
  afterEach(async () => {
    await service.stop();
    carat.closeAllConnections();
    carat.close();
    await once(carat, 'close');
  });

  it.each([...PATHS, DECISION])('of %s names each bad input and its limit, without a call to Carat', async (route) => {
    const rows = bad.filter(([, path]) => path.split('?')[0] === route);
    expect(rows.length).toBeGreaterThan(5);
    for (const [method, path, body, parameter, expected] of rows) {
      const options = typeof body === 'string' ? { body, headers: JSON_TYPE } : { body };
      const { status, json, text } = await service.worker(method, path, options);
      expect([status, json.code], JSON.stringify(body)).toEqual([400, 'invalid_request']);
      const error = expect.objectContaining({ parameter, expected: expect.stringContaining(expected) });
      expect(json.errors, JSON.stringify(body)).toEqual([error]);
      expect(json.detail).toContain(`${parameter}: expected ${json.errors[0].expected}`);
      expect(text).not.toContain(CARD.slice(0, 4));
    }
    expect(calls).toEqual([]);
  });

  it.each(FAILURES)('calls Carat once and answers 502 when Carat sends %s', async (_name, fails, code) => {
    answer = fails;
    const asked = await Promise.all(
      PATHS.map((path) => service.worker('POST', path, { body: { ...ASKS[path], wait: 1 } })),
    );
    expect(asked.map(({ status, json }) => [status, json.code])).toEqual(PATHS.map(() => [502, code]));
    expect(calls).toHaveLength(PATHS.length);
  });
});

describe('an ask without credentials', () => {
  it('is answered 501, whatever its body', async () => {
    const service = await RunningService.start();
    const bodies: RequestOptions[] = [
      { body: {} },
      { body: { card: CARD } },
      { body: '{"sid":', headers: JSON_TYPE },
      { body: 'a=b', headers: { 'content-type': 'text/plain' } },
      { body: 'x'.repeat(17_000), headers: JSON_TYPE },
    ];
    for (const path of [...PATHS, DECISION]) {
      for (const options of bodies) {
        const { status, json } = await service.worker(path === DECISION ? 'PUT' : 'POST', path, options);
        expect([path, status, json.code]).toEqual([path, 501, 'not_configured']);
      }
    }
    await service.stop();
  });
});
