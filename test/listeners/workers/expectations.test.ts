import { describe, expect, it } from 'vitest';
import { checkCharacter, newMerchantData } from '../../../src/asking/announce.ts';

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';

/**
 * ISO 7064 hybrid system MOD 37,36 from its definition, not from our code: with P(1) = 36, S(j) = P(j) + a(j) and
 * P(j+1) = 2 × (S(j) mod 36, or 36 for 0) mod 37, a string with its check character is right when S(n) mod 36 is 1.
 */
function isRight(text: string): boolean {
  let product = 36;
  let sum = 0;
  for (const [at, character] of [...text].entries()) {
    const value = ALPHABET.indexOf(character);
    if (value === -1) return false;
    sum = product + value;
    if (at < text.length - 1) product = ((sum % 36 || 36) * 2) % 37;
  }
  return sum % 36 === 1;
}

describe('generated merchant_data', () => {
  const many = Array.from({ length: 5000 }, newMerchantData);

  it('has 20 characters of 0-9 and a-z, with a check character at the end', () => {
    for (const text of many) {
      expect(text).toMatch(/^[0-9a-z]{20}$/);
      expect(isRight(text), text).toBe(true);
    }
  });

  it('differs each time, with every character at each random position', () => {
    expect(new Set(many).size).toBe(many.length);
    for (let place = 0; place < 19; place++) {
      expect(new Set(many.map((text) => text[place])).size).toBe(ALPHABET.length);
    }
  });

  it('detects a mistyped character, and nearly all swaps of two neighbours', () => {
    for (const text of many.slice(0, 50)) {
      for (let place = 0; place < text.length; place++) {
        const wrong = ALPHABET[(ALPHABET.indexOf(text[place] as string) + 1 + place) % 36] as string;
        const typed = text.slice(0, place) + wrong + text.slice(place + 1);
        if (typed !== text) expect(isRight(typed), `${text} typed as ${typed}`).toBe(false);
      }
    }
  });

  it('has the check character of the published examples', () => {
    // ISO 7064 itself (A12425GABC1234002 has M), and the Global Release Identifier of the recording industry.
    expect(checkCharacter('a12425gabc1234002')).toBe('m');
    expect(isRight('a12425gabc1234002m')).toBe(true);
    expect(isRight('a12425gabc1234002n')).toBe(false);
  });
});
