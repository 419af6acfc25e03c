/** Masks secrets in texts from outside: Carat's messages and network errors. */

const MAX_MESSAGE_CHARS = 500;
const MASK = '***';
/** Shorter texts, like an area code, are not secret. Masking them would make messages unreadable. */
const MIN_SECRET_CHARS = 3;

/**
 * Returns the text with every given secret masked. Also masks every run of at least 12 digits (a card number) and of at
 * least 32 letters and digits (a token or key), because Carat may quote another secret than the request's.
 */
export function masked(text: string, secrets: readonly string[]): string {
  let result = text;
  // The longest first: a shorter secret inside it would leave the rest unmasked.
  for (const secret of [...secrets].filter(Boolean).sort((a, b) => b.length - a.length)) {
    result = result.replaceAll(secret, MASK);
  }
  result = result.replace(/\d(?:[ .-]?\d){11,}/g, MASK).replace(/[0-9A-Za-z]{32,}/g, MASK);
  return result.slice(0, MAX_MESSAGE_CHARS);
}

/** Returns every text of a request to mask: keys, tokens and card data. */
export function secretsIn(value: unknown, secret = false): string[] {
  if (typeof value === 'string') return secret && value.length >= MIN_SECRET_CHARS ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => secretsIn(part, secret || SECRET_NAMES.has(name)));
}

/** Every text under these names, at any depth, is secret. */
const SECRET_NAMES: ReadonlySet<string> = new Set([
  'card',
  'merchant_key',
  'merchantkey',
  'token',
  'nit',
  'seid',
  'phone',
  'cpf',
  'cnpj',
]);
