import { describe, expect, test } from 'vitest';
import { nearMiss } from '../../../src/listeners/authenticity/near-miss.ts';

const PATHS = new Map([
  ['/a/9f2c41d0', 'shop'],
  ['/authenticity', 'default'],
]);

describe('nearMiss', () => {
  test.each([
    ['/authenticty', 'default'],
    ['/authentictiy', 'default'],
    ['/authenticityy/', 'default'],
    ['//authenticity', 'default'],
    ['/AUTHENTICITY', 'default'],
    ['/authenticity/x', 'default'],
    ['/carat/authenticity', 'default'],
    ['/carat/authenticity/', 'default'],
    ['/a/9f2c41d', 'shop'],
    ['/a/9f2c4xx0', 'shop'],
    ['/proxy/a/9f2c41d0', 'shop'],
  ])('%s is a near miss of the path of %s', (path, merchant) => {
    expect(nearMiss(path, PATHS)).toBe(merchant);
  });

  test.each(['/', '/authen', '/authenticity/xyz', '/a/9f2xxxd0', '/a/0d14c2f9', '*', '', '/.env', 'x'.repeat(16_000)])(
    '%s is not a near miss',
    (path) => {
      expect(nearMiss(path, PATHS)).toBeUndefined();
    },
  );

  test('the path / alone is not below every prefix', () => {
    const root = new Map([['/', 'shop']]);
    expect(nearMiss('/wp-login.php', root)).toBeUndefined();
    expect(nearMiss('/x', root)).toBe('shop');
  });

  test('checks a thousand paths of the same length', () => {
    const many = new Map(Array.from({ length: 1000 }, (_, at) => [`/a/${String(at).padStart(40, 'ab')}`, `m${at}`]));
    for (let count = 0; count < 100; count += 1) expect(nearMiss(`/a/${'xy'.repeat(20)}`, many)).toBeUndefined();
  });
});
