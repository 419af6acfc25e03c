/** Any request to an authenticity path, on a real socket, gets the same bytes. */
import diagnostics from 'node:diagnostics_channel';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { rawRequest, undated } from '../../support/raw-http.ts';
import { Receiver } from '../../support/receiver.ts';
import { DOORS, form } from './doors.ts';
import { OK, OK_HEAD } from './ok.ts';

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

let receiver: Receiver;

beforeAll(async () => {
  receiver = await Receiver.start();
});

afterEach(() => {
  receiver.disconnect();
  receiver.recorded();
});

afterAll(() => receiver.stop());

describe.each(Object.entries(DOORS))('%s', (_group, doors) => {
  test.each(doors.map((door) => ({ ...door })))('$name', async ({ request, outcome, closes, interim }) => {
    const head = request.method === 'HEAD';
    const before = await receiver.postsCounted(outcome);
    const connection = await receiver.connect();
    connection.write(rawRequest(request));
    if (interim) expect(await connection.answer()).toBe(CONTINUE);
    expect(undated(await connection.answer({ head }))).toBe(head ? OK_HEAD : OK);
    expect(receiver.recorded().map((post) => post.outcome)).toEqual([outcome]);
    expect(await receiver.postsCounted(outcome)).toBe(before + 1);
    if (closes) {
      await connection.isClosed();
    } else {
      // The connection can be reused: no byte of the body is left in it.
      connection.write(rawRequest({ body: form() }));
      expect(undated(await connection.answer())).toBe(OK);
      expect(receiver.recorded().map((post) => post.outcome)).toEqual(['kept']);
    }
    expect(connection.rest).toBe('');
  });
});

test('publishes the handler of each post on the diagnostics channel of Fastify', async () => {
  const urls: string[] = [];
  const onStart = (message: unknown): unknown => urls.push((message as { route: { url: string } }).route.url);
  diagnostics.subscribe('tracing:fastify.request.handler:start', onStart);
  try {
    const connection = await receiver.connect();
    connection.write(rawRequest({ body: form() }));
    expect(undated(await connection.answer())).toBe(OK);
  } finally {
    diagnostics.unsubscribe('tracing:fastify.request.handler:start', onStart);
  }
  expect(urls).toEqual(['/posts/:merchant']);
});
