import { describe, expect, test } from 'vitest';
import { type PostReading, readPost } from '../../src/intake/parse-post.ts';
import type { Correlators, TokenPost } from '../../src/token.ts';

function read(body: string): TokenPost {
  const reading = readPost(body);
  if (!reading.usable) throw new Error(`expected a token, got ${reading.reason}`);
  return reading.post;
}

function reason(reading: PostReading): string {
  return reading.usable ? `token of kind ${reading.post.kind}` : reading.reason;
}

const V64 = 'q'.repeat(64);
const V66 = 'q'.repeat(66);

describe("the posts of Carat's documentation", () => {
  test('schedule edit', () => {
    expect(read(`seid=${V64}&merchant_data=14114532781&sid=${V64}`)).toEqual({
      kind: 'seid',
      value: V64,
      correlators: { merchant_data: '14114532781', sid: V64 },
      pooled: false,
      dropped: [],
      unusualLength: false,
    });
  });

  test('recharge', () => {
    const post = read(`nit=${V64}&merchantUSN=000123&merchantWhatever=x`);
    expect(post).toMatchObject({ kind: 'nit', value: V64, correlators: { merchant_usn: '000123' }, pooled: false });
  });

  test.each([V64, V66])('generic operation', (value) => {
    const post = read(`token=${value}`);
    expect(post).toEqual({ kind: 'token', value, correlators: {}, pooled: true, dropped: [], unusualLength: false });
  });

  test('cancellation', () => {
    const post = read(`nit=${V64}&pedido=77&nsu=12&codigoLoja=5`);
    expect(post.correlators).toEqual({ merchant_usn: '12', order_id: '77' });
  });
});

describe('separators', () => {
  const expected = { kind: 'seid', value: V64, correlators: { merchant_data: '14114532781', sid: V64 }, dropped: [] };

  test.each([
    ['line breaks', '\n', ''],
    ['carriage returns', '\r', ''],
    ['both', '\r\n', ''],
    ['a line break and an ampersand', '\n&', ''],
    ['an ampersand and a line break', '&\r\n', ''],
    ['an escaped ampersand', '&amp;', ''],
    ['an ampersand, with a line break at the end', '&', '\n'],
    ['an ampersand, with spaces around', ' & ', ' '],
    ['blank lines', '\n\n\n', '\r\n\r\n'],
  ])('%s', (_name, separator, end) => {
    const body = [`seid=${V64}`, 'merchant_data=14114532781', `sid=${V64}`].join(separator) + end;
    expect(readPost(body)).toMatchObject({ usable: true, post: { ...expected, pooled: false } });
  });

  test('ignores a field with the name amp;…', () => {
    expect(read('token=t&amp=1&ampsid=x').correlators).toEqual({});
  });

  test.each(['token=a%0Ab', 'token=a%0D%0A', 'token=%0Aa'])(
    '%s: keeps an encoded line break as a bad value',
    (body) => {
      expect(readPost(body)).toMatchObject({ usable: false, reason: 'bad_value', dropped: ['token'] });
    },
  );

  test.each([
    ['token= t ', 't'],
    ['token =\tt', 't'],
  ])('%j: drops white space at the ends', (body, value) => {
    expect(read(body).value).toBe(value);
  });

  test('parses 16 KiB of white space as fast as other bytes', () => {
    expect(reason(readPost(`token=x${' '.repeat(16_000)}x`))).toBe('bad_value');
    expect(reason(readPost(' '.repeat(16_000)))).toBe('no_token');
  });
});

describe('names', () => {
  test.each<[string, Correlators]>([
    ['merchant_data=x', { merchant_data: 'x' }],
    ['merchantData=x', { merchant_data: 'x' }],
    ['MERCHANT_DATA=x', { merchant_data: 'x' }],
    ['m_e_r_c_h_a_n_t_data__=x', { merchant_data: 'x' }],
    ['%6derchant%5Fdata=x', { merchant_data: 'x' }],
    ['SID=x', { sid: 'x' }],
    ['merchantUSN=x', { merchant_usn: 'x' }],
    ['merchant_usn=x', { merchant_usn: 'x' }],
    ['NSU=x', { merchant_usn: 'x' }],
    ['merchant_usn=x&nsu=y', { merchant_usn: 'x' }],
    ['nsu=y&merchant_usn=x', { merchant_usn: 'x' }],
    ['merchant_usn=&nsu=y', { merchant_usn: 'y' }],
    ['order_id=x', { order_id: 'x' }],
    ['orderId=x', { order_id: 'x' }],
    ['Pedido=x', { order_id: 'x' }],
    ['pedido=y&order_id=x', { order_id: 'x' }],
    ['merchant-data=x', {}],
    [' merchant_data=x', { merchant_data: 'x' }],
    ['\tsid\t=x', { sid: 'x' }],
    ['+sid=x', {}],
    ['sid%0A=x', {}],
    ['sid%00=x', {}],
    ['merchant_data2=x', {}],
    ['__proto__=x&constructor=y&toString=z', {}],
    // The Kelvin sign and the long s turn into k and s when the case is ignored carelessly.
    ['\u017Fid=x', {}],
    ['%C5%BFid=x', {}],
  ])('%s', (fields, expected) => {
    expect(read(`token=t&${fields}`).correlators).toEqual(expected);
  });

  test.each([
    ['SEID=v', 'seid'],
    ['_s_e_id=v', 'seid'],
    ['Nit=v', 'nit'],
    ['TOKEN=v', 'token'],
    ['%54oken=v', 'token'],
  ])('%s is a %s', (body, kind) => {
    expect(read(body)).toMatchObject({ kind, value: 'v' });
  });

  test.each([
    'to\u212Aen=v',
    'to%E2%84%AAen=v',
    '\u017Feid=v',
    'tоken=v',
    'token[]=v',
    'token.=v',
    'tokens=v',
    '=token',
  ])('%s is not a token', (body) => {
    expect(reason(readPost(body))).toBe('no_token');
  });
});

describe('unusable posts', () => {
  test.each([
    ['', 'empty'],
    ['&', 'no_token'],
    ['=', 'no_token'],
    [' ', 'no_token'],
    ['seid', 'no_token'],
    ['seid=', 'no_token'],
    ['token=&seid=&nit=', 'no_token'],
    ['merchant_data=x&sid=y', 'no_token'],
    ['{"token":"x"}', 'no_token'],
    ['status=CON', 'no_token'],
    ['__proto__=x', 'no_token'],
    ['constructor=x', 'no_token'],
    ['token=%20', 'bad_value'],
    ['token=+', 'bad_value'],
    ['token=a+b', 'bad_value'],
    ['token=a%20b', 'bad_value'],
    ['token=a%0Ab', 'bad_value'],
    ['token=a%0A', 'bad_value'],
    ['token=%00', 'bad_value'],
    ['token=a\0', 'bad_value'],
    ['token=%7F', 'bad_value'],
    ['token=%C3%A9', 'bad_value'],
    ['token=é', 'bad_value'],
    ['token=%ff', 'bad_value'],
    [`token=${'a'.repeat(129)}`, 'bad_value'],
    [`token=${'a'.repeat(15_000)}`, 'bad_value'],
    ['seid=a&nit=b', 'several_tokens'],
    ['seid=a&token=a', 'several_tokens'],
    ['seid=a&seid=b', 'several_tokens'],
    ['seid=a&SEID=b&s_eid=a', 'several_tokens'],
    ['nit=a&token=b&seid=c', 'several_tokens'],
    ['nit=a&status=CON', 'status_notification'],
    ['status=CON&nit=a&pedido=1&nsu=2&autorizadora=1', 'status_notification'],
    ['NIT=a&Status=0', 'status_notification'],
    ['nit=a&nit=b&status=CON', 'status_notification'],
  ])('%j: %s', (body, expected) => {
    expect(reason(readPost(body))).toBe(expected);
  });

  test('a status with another kind than a NIT is not a status notification', () => {
    expect(reason(readPost('seid=a&status=CON'))).toBe('token of kind seid');
    expect(reason(readPost('nit=a&status='))).toBe('token of kind nit');
    expect(reason(readPost('token=a&nit=&status=CON'))).toBe('token of kind token');
  });
});

describe('values', () => {
  test.each([
    ['a', true],
    ['a'.repeat(63), true],
    [V64, false],
    ['a'.repeat(65), true],
    [V66, false],
    ['a'.repeat(128), true],
  ])('%s: unusual %s', (value, unusualLength) => {
    expect(read(`token=${value}`)).toMatchObject({ value, unusualLength });
  });

  test('may have any printable ASCII character', () => {
    const printable = Array.from({ length: 0x7e - 0x21 + 1 }, (_, at) => String.fromCharCode(0x21 + at)).join('');
    expect(read(`seid=${encodeURIComponent(printable)}`).value).toBe(printable);
  });

  test.each(['seid=a&seid=a', 'seid=a&SEID=%61', 'seid=a&seid=&seid=a'])('%s: a repeated value counts once', (body) => {
    expect(read(body)).toMatchObject({ kind: 'seid', value: 'a' });
  });
});

describe('correlators', () => {
  const long = 'é'.repeat(64);
  test.each<[string, string, Correlators, string[], boolean]>([
    ['none', '', {}, [], true],
    ['an empty one', '&merchant_data=', {}, [], true],
    ['empty ones', '&merchant_data=&sid=&nsu=&pedido', {}, [], true],
    ['unknown fields', '&codigoLoja=1&data=2&usn=3', {}, [], true],
    ['64 characters', `&sid=${encodeURIComponent(long)}`, { sid: long }, [], false],
    ['64 characters of two units', `&sid=${'😀'.repeat(64)}`, { sid: '😀'.repeat(64) }, [], false],
    ['65 characters', `&sid=${'a'.repeat(65)}`, {}, ['sid'], false],
    ['a control character', '&sid=a%0Ab', {}, ['sid'], false],
    ['a NUL', '&sid=%00', {}, ['sid'], false],
    ['a C1 control character', '&sid=a%C2%85', {}, ['sid'], false],
    ['broken UTF-8', '&sid=a%ffb', {}, ['sid'], false],
    ['half of a character', '&sid=a%C3', {}, ['sid'], false],
    ['two values', '&sid=a&sid=b', {}, ['sid'], false],
    ['one value twice', '&sid=a&SID=a', { sid: 'a' }, [], false],
    ['spaces', '&sid=+a%20', { sid: ' a ' }, [], false],
    ['one malformed of two', '&sid=%00&merchant_data=d', { merchant_data: 'd' }, ['sid'], false],
    ['all malformed', '&sid=%00&nsu=%01&pedido=%02', {}, ['sid', 'merchant_usn', 'order_id'], false],
    ['a malformed first name', '&merchant_usn=%00&nsu=7', { merchant_usn: '7' }, ['merchant_usn'], false],
    ['a malformed second name', '&merchant_usn=7&nsu=%00', { merchant_usn: '7' }, [], false],
    ['two malformed names', '&order_id=%00&pedido=%00', {}, ['order_id'], false],
  ])('%s', (_name, fields, correlators, dropped, pooled) => {
    expect(read(`nit=${V64}${fields}`)).toMatchObject({ value: V64, correlators, dropped, pooled });
  });
});
