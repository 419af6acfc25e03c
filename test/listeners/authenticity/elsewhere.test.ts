/** The public listener outside of the authenticity paths: only `/livez`. */
import { METHODS } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { rawRequest, statusOf, undated } from '../../support/raw-http.ts';
import { Receiver } from '../../support/receiver.ts';

let receiver: Receiver;

beforeAll(async () => {
  receiver = await Receiver.start({ limits: { headersDeadlineMs: 100 } });
});

afterEach(() => {
  receiver.disconnect();
  // Nothing of what these tests send is a post.
  expect(receiver.recorded()).toEqual([]);
});

afterAll(() => receiver.stop());

async function statusFor(bytes: Buffer | string, options?: { head: boolean }): Promise<number> {
  const connection = await receiver.connect();
  connection.write(bytes);
  return statusOf(await connection.answer(options));
}

const METHODS_BUT_CONNECT = METHODS.filter((method) => method !== 'CONNECT');

describe('other paths', () => {
  test.each(METHODS_BUT_CONNECT)('%s', async (method) => {
    const head = method === 'HEAD';
    for (const target of ['/', '/v1/tokens?sid=x', '/authenticity/x', '/metrics']) {
      expect([target, await statusFor(rawRequest({ method, target }), { head })]).toEqual([target, 404]);
    }
  });

  test.each([
    '*',
    '/%',
    '/%zz',
    '/authenticity%2f',
    '/authenticity//',
    '//authenticity',
    '/./authenticity',
    '/x/../authenticity',
    '/AUTHENTICITY',
    '/%61uthenticity',
    '/authenticity;x',
    '/authenticity%3fx',
    '/?/authenticity',
    '/livez/',
    '/livezz',
    'http://receiver.test/',
    'http://receiver.test',
    'ftp://receiver.test/authenticity',
    '/__proto__',
    '/posts/default',
    '/posts/default?x',
    '/posts/:merchant',
    'http://receiver.test/posts/default',
    '/constructor',
    `/${'x'.repeat(10_000)}`,
  ])('%s', async (target) => {
    expect(await statusFor(rawRequest({ target }))).toBe(404);
  });

  test.each([
    ['a large body', rawRequest({ target: '/x', body: 'x'.repeat(100_000) })],
    ['a large body that does not come', rawRequest({ target: '/x', headers: [['Content-Length', '999999999']] })],
    ['JSON', rawRequest({ target: '/x', headers: [['Content-Type', 'application/json']], body: '{' })],
    ['an odd content type', rawRequest({ target: '/x', headers: [['Content-Type', ';']], body: '{' })],
    ['an expectation', rawRequest({ target: '/x', headers: [['Expect', 'nonsense']] })],
    ['no Host', rawRequest({ target: '/x', host: null })],
  ])('%s', async (_name, bytes) => {
    expect(await statusFor(bytes)).toBe(404);
  });
});

describe('/livez', () => {
  test.each(['/livez', '/livez?x=%', '/livez?'])('%s', async (target) => {
    expect(await statusFor(rawRequest({ method: 'GET', target }))).toBe(200);
  });

  test.each(METHODS_BUT_CONNECT.filter((method) => method !== 'GET' && method !== 'HEAD'))(
    'does not answer %s',
    async (method) => {
      expect(await statusFor(rawRequest({ method, target: '/livez' }))).toBe(404);
    },
  );

  test('answers HEAD with the head of GET', async () => {
    const connection = await receiver.connect();
    connection.write(rawRequest({ method: 'HEAD', target: '/livez' }));
    const head = undated(await connection.answer({ head: true }));
    connection.write(rawRequest({ method: 'GET', target: '/livez' }));
    expect(undated(await connection.answer())).toBe(`${head}{"status":"alive"}`);
  });
});

describe('broken HTTP is refused, or its connection closed', () => {
  const POST = 'POST /authenticity HTTP/1.1\r\nHost: a\r\n';
  test.each([
    ['nonsense', 'nonsense\r\n\r\n'],
    ['an unknown method', 'FETCH /authenticity HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['TLS', Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])],
    ['a space in the target', 'POST /authenticity x HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['headers over 16 KiB', `${POST}X: ${'x'.repeat(17_000)}\r\n\r\n`],
    ['a target over 16 KiB', `POST /authenticity?${'x'.repeat(17_000)} HTTP/1.1\r\n\r\n`],
    ['a header without a name', `${POST}: x\r\n\r\n`],
    ['a header with a NUL', `${POST}X: \0\r\n\r\n`],
    ['a length that is none', `${POST}Content-Length: many\r\n\r\n`],
    ['two lengths', `${POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
    ['a length and chunks', `${POST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ])('%s', async (_name, bytes) => {
    const connection = await receiver.connect();
    connection.write(bytes);
    await connection.isClosed();
    expect(['', 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n']).toContain(
      connection.rest,
    );
  });

  test('headers that never end', async () => {
    const connection = await receiver.connect();
    connection.write(POST);
    await connection.isClosed();
    expect(connection.rest).toMatch(/^(HTTP\/1\.1 400 .*)?$/s);
  });

  test('a client that disconnects at once', async () => {
    const connection = await receiver.connect();
    connection.halfClose();
    await connection.isClosed();
    expect(connection.rest).toBe('');
  });
});
