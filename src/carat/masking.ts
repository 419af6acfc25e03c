/** Masks what must not be seen in texts that come from outside: Carat's messages, and errors of the network. */

const MAX_MESSAGE_CHARS = 500;
const MASK = '***';
/** What is shorter, an area code for instance, tells nothing, and masking it would make every message unreadable. */
const MIN_SECRET_CHARS = 3;

/**
 * The text with every given secret replaced, and with every run of 12 or more digits (a card number) and of 32 or more
 * letters and digits (a token or key) as well, in case Carat echoes another one than was sent.
 */
export function masked(text: string, secrets: readonly string[]): string {
  let result = text;
  // The longest first, or a short one that is part of it would leave the rest standing.
  for (const secret of [...secrets].filter(Boolean).sort((a, b) => b.length - a.length)) {
    result = result.replaceAll(secret, MASK);
  }
  result = result.replace(/\d(?:[ .-]?\d){11,}/g, MASK).replace(/[0-9A-Za-z]{32,}/g, MASK);
  return result.slice(0, MAX_MESSAGE_CHARS);
}

/** Every text in a request that is worth a mask: keys, tokens and whatever a card holds. */
export function secretsIn(value: unknown, secret = false): string[] {
  if (typeof value === 'string') return secret && value.length >= MIN_SECRET_CHARS ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, part]) => secretsIn(part, secret || SECRET_NAMES.has(name)));
}

/** Whatever stands under these names, at any depth. */
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
