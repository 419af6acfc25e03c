/** Answers with internal faults: a failed store, a refused sender, a stop, a TLS connection. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { SenderPolicy } from '../../../src/intake/sender.ts';
import type { TokenStore } from '../../../src/store/contract.ts';
import { makeCertificate } from '../../support/certificate.ts';
import { latch } from '../../support/latch.ts';
import { chunked, rawRequest, statusOf, undated } from '../../support/raw-http.ts';
import { Receiver, type ReceiverOptions } from '../../support/receiver.ts';
import { withPut } from '../../support/spoiled-stores.ts';
import { form } from './doors.ts';
import { OK } from './ok.ts';

let receiver: Receiver | undefined;

async function start(options: ReceiverOptions = {}): Promise<Receiver> {
  receiver = await Receiver.start({ ...options, limits: { idleGraceMs: 200, ...options.limits } });
  return receiver;
}

afterEach(async () => {
  await receiver?.stop();
  receiver = undefined;
});

/** A store whose `put` never decides. */
function spoilt(put: TokenStore['put']): ReceiverOptions {
  return { spoil: (store) => withPut(store, put) };
}

describe('a store that fails', () => {
  test.each<[string, string, TokenStore['put']]>([
    ['never answers', 'late', () => new Promise(() => {})],
    ['rejects', 'failed', () => Promise.reject(new Error('the store is broken'))],
    [
      'throws',
      'failed',
      () => {
        throw new Error('the store is broken');
      },
    ],
  ])('that %s: the post is answered and recorded as %s', async (_name, outcome, put) => {
    const { connect, recorded } = await start(spoilt(put));
    const connection = await connect();
    connection.write(rawRequest({ body: form() }));
    // The contract says within 1 s; the wait for an answer allows for a machine that is busy.
    expect(undated(await connection.answer())).toBe(OK);
    expect(recorded().map((post) => post.outcome)).toEqual([outcome]);
  });

  test('that answers after Carat was answered: the post is recorded once', async () => {
    const late = latch<'kept'>();
    const { connect, recorded } = await start(spoilt(() => late.opened));
    const connection = await connect();
    connection.write(rawRequest({ body: form() }));
    expect(undated(await connection.answer())).toBe(OK);
    late.open('kept');
    connection.write(rawRequest({ body: form() }));
    expect(undated(await connection.answer())).toBe(OK);
    expect(recorded().map((post) => post.outcome)).toEqual(['late', 'kept']);
    expect(connection.rest).toBe('');
  });
});

describe('an intake that fails', () => {
  test('with an unexpected error still answers 200', async () => {
    const sources = new SenderPolicy([], []);
    sources.senderOf = () => {
      throw new Error('a bug');
    };
    const connection = await (await start({ sources })).connect();
    connection.write(rawRequest({ body: form() }));
    expect(undated(await connection.answer())).toBe(OK);
    connection.write(rawRequest({ method: 'GET' }));
    expect(undated(await connection.answer())).toBe(OK);
  });
});

describe('senders', () => {
  const sources = new SenderPolicy(
    [{ address: '10.0.0.0', prefix: 8, family: 'ipv4' }],
    [{ address: '127.0.0.1', prefix: 32, family: 'ipv4' }],
  );

  test.each([
    ['10.1.2.3', 'kept'],
    ['192.0.2.1, 10.1.2.3', 'kept'],
    ['10.1.2.3, 192.0.2.1', 'not_allowed'],
    ['192.0.2.1', 'not_allowed'],
    ['', 'not_allowed'],
    ['10.1.2.3, nonsense', 'not_allowed'],
  ])('forwarded for %j are %s, with the same answer', async (forwarded, outcome) => {
    const { connect, recorded } = await start({ sources });
    const connection = await connect();
    const request = { headers: [['X-Forwarded-For', forwarded]] as const, body: form() };
    connection.write(rawRequest(request));
    expect(undated(await connection.answer())).toBe(OK);
    expect(recorded().map((post) => post.outcome)).toEqual([outcome]);
  });

  test('the last of many headers counts', async () => {
    const { connect, recorded } = await start({ sources });
    const connection = await connect();
    const headers: [string, string][] = Array.from({ length: 1200 }, () => ['a', '']);
    const forwarded: [string, string][] = [
      ['X-Forwarded-For', '10.1.2.3'],
      ['X-Forwarded-For', '192.0.2.1'],
    ];
    connection.write(rawRequest({ headers: [...headers, ...forwarded], body: form() }));
    expect(undated(await connection.answer())).toBe(OK);
    expect(recorded()).toMatchObject([{ outcome: 'not_allowed', from: '192.0.2.1' }]);
  });
});

describe('merchants', () => {
  test('have their own paths, two during a rotation, and their tokens never meet', async () => {
    const paths = { '/a/old': 'loja1', '/a/new': 'loja1', '/b': 'loja2' };
    const { connect, recorded, store } = await start({ paths });
    const connection = await connect();
    for (const target of ['/a/old', '/a/new', '/b/', '/b?x']) {
      connection.write(rawRequest({ target, body: 'seid=same&sid=s' }));
      expect(undated(await connection.answer())).toBe(OK);
    }
    expect(recorded().map(({ merchant, outcome }) => [merchant, outcome])).toEqual([
      ['loja1', 'kept'],
      ['loja1', 'known'],
      ['loja2', 'kept'],
      ['loja2', 'known'],
    ]);
    expect(await store.read({ merchant: 'default', by: 'sid', is: 's' })).toEqual({ state: 'none' });
  });
});

test.each(['/', '/?x=y', '//', 'http://receiver.test', 'http://receiver.test/?x', 'HTTP://receiver.test'])(
  'the path / alone: %s',
  async (target) => {
    const { connect, recorded } = await start({ paths: { '/': 'shop' } });
    const connection = await connect();
    connection.write(rawRequest({ target, body: form() }));
    expect(undated(await connection.answer())).toBe(OK);
    expect(recorded()).toMatchObject([{ merchant: 'shop', outcome: 'kept' }]);
    for (const other of ['/x', '/posts/shop', '*']) {
      const elsewhere = await connect();
      elsewhere.write(rawRequest({ target: other, body: form() }));
      expect(statusOf(await elsewhere.answer())).toBe(404);
    }
  },
);

test('the log of the listener contains no secret', async () => {
  const { connect, logged } = await start({ paths: { '/a/5ecr37path': 'loja1' } });
  const connection = await connect();
  const value = 'SeCrEtVaLuE';
  const bodies = [
    `seid=${value}&sid=s`,
    `seid=${value}&token=${value}`,
    `nit=${value}&status=1`,
    `token=${value} ${value}`,
  ];
  for (const body of bodies) {
    connection.write(rawRequest({ target: `/a/5ecr37path?${value}`, body }));
    expect(undated(await connection.answer())).toBe(OK);
  }
  const log = logged();
  expect(log.split('\n')).toHaveLength(bodies.length);
  expect(log).not.toContain(value);
  expect(log).not.toContain('5ecr37path');
});

describe('while the service stops', () => {
  /** A stopping service also announces the end of the connection, so that no proxy reuses it. */
  const LAST_OK = OK.replace('content-type', 'connection: close\r\ncontent-type');

  /** The server has read what was written before once it has answered another connection. */
  async function isRead(connect: Receiver['connect']): Promise<void> {
    const other = await connect();
    other.write(rawRequest({ method: 'GET' }));
    await other.answer();
    other.destroy();
  }

  test('answers pending requests, and those on open and on new connections', async () => {
    const { connect, recorded, listener } = await start({ limits: { idleGraceMs: 10_000 } });
    const [halfway, kept] = [await connect(), await connect()];
    kept.write(rawRequest({ body: form() }));
    expect(undated(await kept.answer())).toBe(OK);
    const body = form();
    halfway.write(rawRequest({ headers: [['Transfer-Encoding', 'chunked']], body: chunked(body).subarray(0, 40) }));
    await isRead(connect);

    const stopped = listener.stop();
    kept.write(rawRequest({ body: form() }));
    expect(undated(await kept.answer())).toBe(LAST_OK);
    await kept.isClosed();
    const fresh = await connect();
    fresh.write(rawRequest({ body: form() }));
    expect(undated(await fresh.answer())).toBe(LAST_OK);
    halfway.write(chunked(body).subarray(40));
    expect(undated(await halfway.answer())).toBe(LAST_OK);
    await Promise.all([halfway, fresh].map((connection) => connection.isClosed()));
    await stopped;
    expect(recorded().map(({ outcome }) => outcome)).toEqual(['kept', 'not_post', 'kept', 'kept', 'kept']);
  });

  test('keeps listening until the pending requests are done', async () => {
    const { connect, listener } = await start({ limits: { idleGraceMs: 1 } });
    const halfway = await connect();
    halfway.write(rawRequest({ headers: [['Content-Length', '6']], body: 'sid' }));
    await isRead(connect);
    const stopped = listener.stop();
    for (let count = 0; count < 5; count += 1) {
      const fresh = await connect();
      fresh.write(rawRequest({ body: form() }));
      expect(undated(await fresh.answer())).toBe(LAST_OK);
    }
    halfway.write('=id');
    expect(undated(await halfway.answer())).toBe(LAST_OK);
    await stopped;
  });

  test('answers a body that never ends in time', async () => {
    const { connect, recorded, listener } = await start({ limits: { idleGraceMs: 20, stopDeadlineMs: 200 } });
    const halfway = await connect();
    halfway.write(rawRequest({ headers: [['Content-Length', '100']], body: 'seid=half' }));
    await isRead(connect);
    const stopped = listener.stop();
    expect(undated(await halfway.answer())).toBe(LAST_OK);
    await halfway.isClosed();
    await stopped;
    expect(recorded().map(({ outcome }) => outcome)).toEqual(['not_post', 'cut_off']);
  });

  test('does not wait for a connection without a request', async () => {
    const { connect, listener } = await start({ limits: { idleGraceMs: 20, stopDeadlineMs: 200 } });
    const [silent, headers] = [await connect(), await connect()];
    headers.write('POST /authenticity HTTP/1.1\r\nHost: a\r\n');
    await listener.stop();
    await Promise.all([silent, headers].map((connection) => connection.isClosed()));
  });
});

describe('over TLS', () => {
  test('answers the same bytes', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tls-'));
    try {
      const { certFile, keyFile } = await makeCertificate(folder);
      const [cert, key] = [await readFile(certFile), await readFile(keyFile)];
      const { connect, recorded } = await start({ tls: { cert, key } });
      const connection = await connect({ ca: cert });
      connection.write(Buffer.concat([{ body: form() }, { method: 'PUT' }].map(rawRequest)));
      for (let count = 0; count < 2; count += 1) expect(undated(await connection.answer())).toBe(OK);
      expect(
        recorded()
          .map(({ outcome }) => outcome)
          .sort(),
      ).toEqual(['kept', 'not_post']);
      // A client without TLS gets no answer, and does not disturb the others.
      const plain = await connect();
      plain.write(rawRequest({ body: form() }));
      await plain.isClosed();
      expect(plain.rest === '' || statusOf(plain.rest) === 400).toBe(true);
      connection.write(rawRequest({ body: form() }));
      expect(undated(await connection.answer())).toBe(OK);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
