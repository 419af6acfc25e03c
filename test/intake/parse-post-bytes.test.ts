/** The bytes of a post: their decoding, with any input. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPost } from '../../src/intake/parse-post.ts';
import { CORRELATORS, KINDS, type TokenPost } from '../../src/token.ts';

function read(body: string): TokenPost {
  const reading = readPost(body);
  if (!reading.usable) throw new Error(`expected a token, got ${reading.reason}`);
  return reading.post;
}

describe('encoding', () => {
  test.each([
    ['a+b', 'a b'],
    ['a%2Bb', 'a+b'],
    ['a%2bb', 'a+b'],
    ['%C3%A9', 'é'],
    ['é', 'é'],
    ['100%', '100%'],
    ['%', '%'],
    ['%zz', '%zz'],
    ['%4', '%4'],
    ['%%41', '%A'],
    ['a=b', 'a=b'],
    ['é%', 'é%'],
    ['š%zz', 'š%zz'],
    ['%C3%A9%zz', 'é%zz'],
    ['€%E2%82%AC%', '€€%'],
  ])('%s is %s', (encoded, decoded) => {
    expect(read(`token=t&sid=${encoded}`).correlators).toEqual({ sid: decoded });
  });

  test('keeps a raw character non-ASCII when another percent sign is bad', () => {
    expect(readPost('token=š%zz')).toMatchObject({ usable: false, reason: 'bad_value' });
  });
});

/** Bodies that are nearly forms, so that every rule is met often. */
const nearlyForm = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        ...['seid', 'nit', 'token', 'Token', 'status', 'merchant_data', 'merchantUSN', 'nsu', 'sid', 'order_id'],
        ...['pedido', '__proto__', 'constructor', 'prototype', 'hasOwnProperty', 'to\u212Aen', ''],
      ),
      fc.constantFrom('=', '', '=='),
      fc.oneof(
        fc.string({ maxLength: 130 }),
        fc.string({ unit: 'binary' }),
        fc.constantFrom('%', '%0', '%C3', '+', 'q'.repeat(64)),
      ),
    ),
  )
  .map((fields) => fields.map((parts) => parts.join('')).join('&'));

describe('any body', () => {
  test('is parsed without an error into a valid token or none', () => {
    fc.assert(
      fc.property(fc.oneof(nearlyForm, fc.string({ unit: 'binary' })), (body) => {
        const reading = readPost(body);
        if (!reading.usable) return;
        const { kind, value, correlators, pooled, dropped } = reading.post;
        expect(KINDS).toContain(kind);
        expect(value).toMatch(/^[\x21-\x7e]{1,128}$/);
        for (const name of Object.keys(correlators)) expect(CORRELATORS).toContain(name);
        for (const text of Object.values(correlators)) {
          expect([...(text ?? '')].length).toBeLessThanOrEqual(64);
          expect(text).toMatch(/^\P{Cc}+$/u);
        }
        expect(Object.getPrototypeOf(correlators)).toBe(Object.prototype);
        if (pooled) expect([Object.keys(correlators), dropped]).toEqual([[], []]);
      }),
      { numRuns: 2000 },
    );
    expect(Object.keys(Object.prototype)).toEqual([]);
  });

  test("decodes a field like the platform's form parser", () => {
    const text = fc
      .oneof(fc.string({ unit: 'binary' }), fc.stringMatching(/^[%0-9A-Fa-f+é]{0,20}$/))
      // Line breaks, and white space at the ends, are not part of a value here.
      .filter((value) => !/[&\r\n\ud800-\udfff]|^[ \t]|[ \t]$/.test(value));
    fc.assert(
      fc.property(text, (value) => {
        // Node's parser splits raw characters beside a stray percent sign. It reads escaped ones
        // correctly.
        const escaped = value.replace(/[^\p{ASCII}]+/gu, encodeURIComponent);
        const expected = new URLSearchParams(`sid=${escaped}`).get('sid') ?? '';
        const { correlators, dropped } = read(`token=t&sid=${value}`);
        const wellFormed = /^[^\p{Cc}\ufffd]{1,64}$/u.test(expected);
        expect(correlators).toEqual(wellFormed ? { sid: expected } : {});
        expect(dropped).toEqual(wellFormed || expected === '' ? [] : ['sid']);
      }),
      { numRuns: 2000 },
    );
  });

  test('of 16 KiB costs little time, with any repeated content', () => {
    for (const piece of [
      '&',
      '%',
      '=',
      'a&',
      'seid=a&',
      '%41',
      '_',
      'sid=%&',
      '\u212a',
      '\r\n',
      '&amp;',
      'sid= \n',
      ' ',
    ]) {
      expect(typeof readPost(piece.repeat(Math.floor(16_384 / piece.length))).usable).toBe('boolean');
    }
  });
});
