/**
 * Reads an authenticity post: the text of a form body becomes a token with its correlators, or a reason why it is
 * unusable. Pure and total: it throws for no input.
 */
import {
  type Correlator,
  type Correlators,
  KINDS,
  type Kind,
  type TokenPost,
  type UnusablePost,
  type UnusableReason,
} from '../token.ts';

export type PostReading = { usable: true; post: TokenPost } | ({ usable: false } & UnusablePost);

/** A larger body is refused without being parsed. */
export const MAX_FORM_BYTES = 16 * 1024;
const MAX_VALUE_CHARS = 128;
export const MAX_CORRELATOR_CHARS = 64;

const DOCUMENTED_LENGTHS: ReadonlySet<number> = new Set([64, 66]);
const VALUE = new RegExp(`^[\\x21-\\x7e]{1,${MAX_VALUE_CHARS}}$`);
// U+FFFD replaces bytes that are not UTF-8.
const CORRELATOR = new RegExp(`^[^\\p{Cc}\\ufffd]{1,${MAX_CORRELATOR_CHARS}}$`, 'u');

/** The known fields, by name without case and underscores. If a correlator has two names, the first one wins. */
const FIELDS: ReadonlySet<string> = new Set([
  ...KINDS,
  'status',
  'merchantdata',
  'sid',
  'merchantusn',
  'nsu',
  'orderid',
  'pedido',
]);
const CORRELATOR_FIELDS: ReadonlyArray<readonly [Correlator, ...string[]]> = [
  ['merchant_data', 'merchantdata'],
  ['sid', 'sid'],
  ['merchant_usn', 'merchantusn', 'nsu'],
  ['order_id', 'orderid', 'pedido'],
];

/** Marks a field that was repeated with different values. */
const CONTRADICTORY = Symbol('contradictory');
type Fields = Map<string, string | typeof CONTRADICTORY>;

/** @param body the text of a form body, `application/x-www-form-urlencoded`, UTF-8, of at most {@link MAX_FORM_BYTES} */
export function readPost(body: string): PostReading {
  if (body === '') return unusable('empty');
  const fields = readFields(body);

  if (fields.has('nit') && fields.has('status')) return unusable('status_notification');
  const kinds = KINDS.filter((kind) => fields.has(kind));
  const kind = kinds[0];
  if (kind === undefined) return unusable('no_token');
  const value = fields.get(kind);
  if (kinds.length > 1 || typeof value !== 'string') return unusable('several_tokens', kinds);
  if (!VALUE.test(value)) return unusable('bad_value', kinds);

  const correlators: Correlators = {};
  const dropped: Correlator[] = [];
  let pooled = true;
  for (const [correlator, ...names] of CORRELATOR_FIELDS) {
    for (const name of names) {
      const found = fields.get(name);
      if (found === undefined) continue;
      pooled = false;
      if (typeof found === 'string' && CORRELATOR.test(found)) {
        correlators[correlator] = found;
        break;
      }
      if (dropped.at(-1) !== correlator) dropped.push(correlator);
    }
  }
  return {
    usable: true,
    post: { kind, value, correlators, pooled, dropped, unusualLength: !DOCUMENTED_LENGTHS.has(value.length) },
  };
}

function unusable(reason: UnusableReason, dropped?: readonly Kind[]): PostReading {
  return { usable: false, reason, dropped };
}

/**
 * Collects the known fields of a form, and skips unknown ones: Carat may add some at any time [doc]. Carat's old portal
 * prints its example on three lines without `&`, newer pages on one line [ex]; people paste either. Some PHP relays
 * separate fields by `&amp;`.
 */
function readFields(body: string): Fields {
  const fields: Fields = new Map();
  for (let start = 0; start <= body.length; ) {
    const end = endOfField(body, start);
    let equals = body.indexOf('=', start);
    if (equals === -1 || equals > end) equals = end;
    const name = fieldName(decode(trimmed(body.slice(start, equals))));
    if (name !== undefined && equals < end) {
      const value = decode(trimmed(body.slice(equals + 1, end)));
      const before = fields.get(name);
      if (value !== '') fields.set(name, before === undefined || before === value ? value : CONTRADICTORY);
    }
    start = end + (body.startsWith('&amp;', end) ? 5 : 1);
  }
  return fields;
}

const SEPARATOR = /[&\r\n]/g;

function endOfField(body: string, start: number): number {
  SEPARATOR.lastIndex = start;
  return SEPARATOR.exec(body)?.index ?? body.length;
}

/** Drops white space at both ends. Encoded white space is part of the value. */
function trimmed(text: string): string {
  let [start, end] = [0, text.length];
  while (isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

function fieldName(name: string): string | undefined {
  // Plain ASCII only: lower-casing maps some other letters (the Kelvin sign) onto ASCII ones.
  if (!/^[A-Za-z_]+$/.test(name)) return undefined;
  const plain = name.toLowerCase().replaceAll('_', '');
  return FIELDS.has(plain) ? plain : undefined;
}

/** Decodes a form's text: `+` is a space, a percent sign without an escape is kept, invalid UTF-8 becomes U+FFFD. */
function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  return spaced.includes('%') ? spaced.replace(/(?:%[0-9A-Fa-f]{2})+/g, decodeEscapes) : spaced;
}

function decodeEscapes(escapes: string): string {
  return Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8');
}
