/** The outcomes of one request to an authenticity path, and the record of each. */
import { METHODS } from 'node:http';
import { gzipSync } from 'node:zlib';
import { chunked, type RawRequest } from '../../support/raw-http.ts';

export interface Door {
  name: string;
  request: RawRequest;
  outcome: string;
  /** After the answer the server closes the connection. */
  closes?: true;
  /** The answer comes after `100 Continue`. */
  interim?: true;
}

const FORM = 'application/x-www-form-urlencoded';
let tokens = 0;

/** A form with a new token. */
export function form(more = ''): string {
  tokens += 1;
  return `seid=${String(tokens).padStart(64, 'q')}&merchant_data=door${tokens}${more}`;
}

function typed(type: string, body: string | Buffer = form()): RawRequest {
  return { headers: [['Content-Type', type]], body };
}

const KIB = 1024;
const MIB = 1024 * KIB;

const FORMS: Door[] = [
  { name: 'a form', request: typed(FORM), outcome: 'kept' },
  { name: 'no content type', request: { body: form() }, outcome: 'kept' },
  { name: 'an empty content type', request: typed(''), outcome: 'kept' },
  { name: 'charset=utf-8', request: typed(`${FORM}; charset=utf-8`), outcome: 'kept' },
  { name: 'an odd charset', request: typed(`${FORM}; charset=klingon`), outcome: 'kept' },
  { name: 'a parameter without value', request: typed(`${FORM}; charset`), outcome: 'kept' },
  { name: 'broken parameters', request: typed(`${FORM};;charset="x;=`), outcome: 'kept' },
  { name: 'a charset without a semicolon', request: typed(`${FORM} charset=utf-8`), outcome: 'kept' },
  { name: 'a content type doubled by a comma', request: typed(`${FORM}, ${FORM}`), outcome: 'kept' },
  { name: 'another content type behind a comma', request: typed(`${FORM},text/plain`), outcome: 'kept' },
  { name: 'a content type in quotes', request: typed(`"${FORM}"`), outcome: 'kept' },
  {
    name: 'a doubled content type header',
    request: {
      headers: [
        ['Content-Type', FORM],
        ['Content-Type', 'text/plain'],
      ],
      body: form(),
    },
    outcome: 'kept',
  },
  ...['UTF-8', '', '8bit', 'binary', 'none', 'identity', 'utf-8, 8bit', 'bright'].map((encoding) => ({
    name: `the content encoding "${encoding}"`,
    request: encoded(encoding, form()),
    outcome: 'kept',
  })),
  { name: 'line breaks between the fields', request: { body: form().replace('&', '\r\n') }, outcome: 'kept' },
  { name: 'a shouted content type', request: typed(FORM.toUpperCase()), outcome: 'kept' },
  { name: 'chunks', request: inChunks('seid=in&merchant_', 'data=chunks'), outcome: 'kept' },
  { name: 'a raw NUL in an unknown field', request: { body: form('&x=\0') }, outcome: 'kept' },
  { name: 'bad percent signs', request: { body: form('&x=%&%zz=%&y=%e2%28') }, outcome: 'kept' },
  { name: 'bytes that are not UTF-8', request: { body: bytes(form('&x='), [0xff, 0xfe, 0x80]) }, outcome: 'kept' },
  { name: 'duplicate keys, same value', request: { body: 'seid=dup&seid=dup&SEID=dup' }, outcome: 'kept' },
  { name: 'duplicate keys', request: { body: 'seid=one&seid=two' }, outcome: 'several_tokens' },
  { name: '5,000 fields', request: { body: form(`&${'a&'.repeat(5000)}`) }, outcome: 'kept' },
  { name: '16 KiB', request: { body: padded(16 * KIB) }, outcome: 'kept' },
  { name: 'a body on a query', request: { target: '/authenticity?token=of-the-query', body: form() }, outcome: 'kept' },
];

const UNUSABLE: Door[] = [
  { name: 'an empty body', request: typed(FORM, ''), outcome: 'empty' },
  { name: 'no length and no body', request: { headers: [['Content-Length', '0']] }, outcome: 'empty' },
  { name: 'an empty chunked body', request: inChunks(), outcome: 'empty' },
  { name: 'only separators', request: { body: '&&=&;' }, outcome: 'no_token' },
  { name: 'a NUL in the token', request: { body: 'token=a\0b' }, outcome: 'bad_value' },
  { name: 'a status notification', request: { body: 'nit=1&status=CON' }, outcome: 'status_notification' },
  { name: 'JSON', request: typed('application/json', '{"seid":"x"}'), outcome: 'not_a_form' },
  { name: 'broken JSON', request: typed('application/json', '{'), outcome: 'not_a_form' },
  { name: 'poisoned JSON', request: typed('application/json', '{"__proto__":{}}'), outcome: 'not_a_form' },
  { name: 'text', request: typed('text/plain'), outcome: 'not_a_form' },
  { name: 'XML', request: typed('text/xml; charset=utf-16', '<a/>'), outcome: 'not_a_form' },
  { name: 'multipart', request: typed('multipart/form-data; boundary=x', '--x--'), outcome: 'not_a_form' },
  { name: 'multipart without boundary', request: typed('multipart/form-data', form()), outcome: 'not_a_form' },
  { name: 'a content type that is none', request: typed('nonsense'), outcome: 'not_a_form' },
  { name: 'a content type of separators', request: typed(';,/;='), outcome: 'not_a_form' },
  { name: 'a longer content type', request: typed(`${FORM}-x`), outcome: 'not_a_form' },
  { name: 'gzip', request: encoded('gzip', gzipSync(form())), outcome: 'not_a_form' },
  { name: 'gzip that is none', request: encoded('gzip', form()), outcome: 'not_a_form' },
  { name: 'several encodings', request: encoded('zstd, br', form()), outcome: 'not_a_form' },
  { name: 'an encoding behind a charset', request: encoded('utf-8;X-GZIP', form()), outcome: 'not_a_form' },
  { name: 'a form behind another type', request: typed(`text/plain, ${FORM}`), outcome: 'not_a_form' },
  { name: 'a content type with a dot behind', request: typed(`${FORM}.x`), outcome: 'not_a_form' },
];

const LARGE: Door[] = [
  { name: '16 KiB and a byte', request: { body: padded(16 * KIB + 1) }, outcome: 'too_large' },
  { name: '16 KiB and a byte in chunks', request: inChunks(padded(16 * KIB), 'x'), outcome: 'too_large' },
  { name: '50,000 fields', request: { body: form('&a=b'.repeat(50_000)) }, outcome: 'too_large' },
  { name: '500 KiB', request: { body: padded(500 * KIB) }, outcome: 'too_large' },
  { name: '500 KiB in chunks', request: inChunks(padded(500 * KIB)), outcome: 'too_large' },
  { name: '500 KiB of multipart', request: typed('multipart/form-data', padded(500 * KIB)), outcome: 'too_large' },
  { name: '1 MiB', request: { body: padded(MIB) }, outcome: 'too_large' },
  { name: 'over 1 MiB', request: { body: padded(MIB + 64 * KIB) }, outcome: 'too_large', closes: true },
  {
    name: 'over 1 MiB in chunks',
    request: inChunks(padded(MIB), padded(64 * KIB)),
    outcome: 'too_large',
    closes: true,
  },
  {
    name: 'over 1 MiB announced',
    request: { ...told(2 ** 40), body: padded(MIB + 1) },
    outcome: 'too_large',
    closes: true,
  },
  { name: 'over 1 MiB of no type', request: typed('nonsense', padded(2 * MIB)), outcome: 'too_large', closes: true },
  { name: 'over 1 MiB with GET', request: { method: 'GET', body: padded(2 * MIB) }, outcome: 'not_post', closes: true },
];

const TARGETS: Door[] = [
  { name: 'a query', request: { target: '/authenticity?a=b&c', body: form() }, outcome: 'kept' },
  { name: 'an empty query', request: { target: '/authenticity?', body: form() }, outcome: 'kept' },
  {
    name: 'bad percents in the query',
    request: { target: '/authenticity?%&a=%zz&%ff', body: form() },
    outcome: 'kept',
  },
  { name: 'a path in the query', request: { target: '/authenticity?/v1/tokens', body: form() }, outcome: 'kept' },
  { name: 'a trailing slash', request: { target: '/authenticity/', body: form() }, outcome: 'kept' },
  { name: 'a trailing slash and a query', request: { target: '/authenticity/?%', body: form() }, outcome: 'kept' },
  { name: 'the absolute form', request: { target: 'http://a.test:81/authenticity?x', body: form() }, outcome: 'kept' },
  {
    name: 'the absolute form, https',
    request: { target: 'HTTPS://a.test/authenticity', body: form() },
    outcome: 'kept',
  },
];

const HEADERS: Door[] = [
  { name: 'no Host', request: { host: null, body: form() }, outcome: 'kept' },
  { name: 'an odd Host', request: { host: '][', body: form() }, outcome: 'kept' },
  { name: 'two Hosts', request: { headers: [['Host', 'second']], body: form() }, outcome: 'kept' },
  { name: 'Expect: 100-continue', request: expecting('100-continue'), outcome: 'kept', interim: true },
  { name: 'Expect: nonsense', request: expecting('nonsense'), outcome: 'kept' },
  { name: 'Connection: close', request: connection('close'), outcome: 'kept', closes: true },
  { name: 'an upgrade to WebSocket', request: upgrade('websocket'), outcome: 'kept', closes: true },
  { name: 'an upgrade to HTTP/2', request: upgrade('h2c'), outcome: 'kept', closes: true },
  {
    name: 'a method override',
    request: { headers: [['X-HTTP-Method-Override', 'GET']], body: form() },
    outcome: 'kept',
  },
  { name: 'bytes over ASCII', request: { headers: [['X-Odd', '\xff\xfe']], body: form() }, outcome: 'kept' },
  {
    name: 'preconditions',
    request: {
      headers: [
        ['If-Match', '"x"'],
        ['Range', 'bytes=9-'],
      ],
      body: form(),
    },
    outcome: 'kept',
  },
  { name: '1,500 headers', request: { headers: many(1500), body: form() }, outcome: 'kept' },
  {
    name: '2,500 headers, then the type',
    request: { headers: [...many(2500), ['Content-Type', 'a/b']] },
    outcome: 'not_a_form',
  },
];

/** CONNECT has no path: see the tests of connections. */
const OTHER_METHODS: Door[] = METHODS.filter((method) => method !== 'POST' && method !== 'CONNECT').flatMap(
  (method) => [
    { name: method, request: { method, host: 'a.test' }, outcome: 'not_post' },
    { name: `${method} with a form`, request: { method, ...typed(FORM) }, outcome: 'not_post' },
    { name: `${method} with JSON`, request: { method, ...typed('application/json', '{') }, outcome: 'not_post' },
    { name: `${method} in chunks`, request: { method, ...inChunks(form()) }, outcome: 'not_post' },
  ],
);

export const DOORS: Record<string, readonly Door[]> = {
  'content types and forms': FORMS,
  'unusable posts': UNUSABLE,
  'large bodies': LARGE,
  'request targets': TARGETS,
  headers: HEADERS,
  'other methods': OTHER_METHODS,
};

function inChunks(...chunks: (string | Buffer)[]): RawRequest {
  return { headers: [['Transfer-Encoding', 'chunked']], body: chunked(...chunks) };
}

function encoded(encoding: string, body: string | Buffer): RawRequest {
  return {
    headers: [
      ['Content-Type', FORM],
      ['Content-Encoding', encoding],
    ],
    body,
  };
}

function expecting(what: string): RawRequest {
  return { headers: [['Expect', what]], body: form() };
}

function connection(what: string): RawRequest {
  return { headers: [['Connection', what]], body: form() };
}

function upgrade(to: string): RawRequest {
  return {
    headers: [
      ['Connection', 'Upgrade'],
      ['Upgrade', to],
    ],
    body: form(),
  };
}

function told(length: number): RawRequest {
  return { headers: [['Content-Length', String(length)]] };
}

function many(count: number): [string, string][] {
  return Array.from({ length: count }, () => ['a', '']);
}

function bytes(text: string, more: number[]): Buffer {
  return Buffer.concat([Buffer.from(text), Buffer.from(more)]);
}

/** A form with a token and this many bytes. */
function padded(length: number): string {
  return form('&x=').padEnd(length, 'x');
}
