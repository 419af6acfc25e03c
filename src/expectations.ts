/** The keys that the service makes up for expectations: unguessable, and tellable from a typing error. */
import { randomInt } from 'node:crypto';

const ALPHABET = '0123456789abcdefghijklmnopqrstuvwxyz';
const RANDOM_CHARS = 19;

/** A fresh `merchant_data`: 20 characters of `[0-9a-z]`, the longest that Carat takes, the last one a check character. */
export function newMerchantData(): string {
  const random = Array.from({ length: RANDOM_CHARS }, () => ALPHABET[randomInt(ALPHABET.length)]).join('');
  return random + checkCharacter(random);
}

/** The check character of ISO 7064, MOD 37,36. */
export function checkCharacter(text: string): string {
  let product = 36;
  for (const character of text) {
    const sum = (product + ALPHABET.indexOf(character)) % 36;
    product = ((sum === 0 ? 36 : sum) * 2) % 37;
  }
  return ALPHABET.charAt((37 - product) % 36);
}
