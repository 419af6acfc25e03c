/**
 * The formats of Carat's fields, checked before any call is made. In Carat's tables, `= n` means exactly n, `< n` means up
 * to n, `N` means digits, `A` or `AN` means letters and digits. An error names the argument and its format, never its value.
 */
import * as z from 'zod';
import { CaratError } from './errors.ts';

/** Checks arguments. Returns them as the texts that Carat expects. Throws `bad_argument` for the first wrong one. */
export function checked<S extends z.ZodType>(call: string, schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys : [];
  const field = [...(issue?.path ?? []), ...unknown.slice(0, 1)].map(String).join('.') || 'arguments';
  const format = unknown.length > 0 ? 'left out: this call has no such argument' : formatOf(issue);
  throw new CaratError('bad_argument', `${field} must be ${format}`, { call, effect: 'none', field, format });
}

function formatOf(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return OTHER;
  // The fields below have their own messages. zod's other messages are reworded.
  if (issue.message.startsWith(FORMAT)) return issue.message.slice(FORMAT.length);
  if (issue.code === 'invalid_union') {
    const formats = issue.errors.flat().map(formatOf);
    return formats.find((format) => format !== OTHER) ?? OTHER;
  }
  if (issue.code === 'invalid_type') return issue.expected === 'object' ? 'an object' : `a ${issue.expected}`;
  if (issue.code === 'invalid_value') return `one of ${issue.values.map(String).join(', ')}`;
  return OTHER;
}

const OTHER = 'of the documented format';

/** A number of milliseconds that a caller sets. */
export function milliseconds(least: number, most: number): z.ZodInt {
  const error = `${FORMAT}${least} to ${most} milliseconds`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

/** The longest deadline or wait, in milliseconds. */
export const MAX_MS = 600_000;

/** Marks a message of this file, which quotes no value. */
export const FORMAT = 'format:';

function text(pattern: RegExp, format: string): z.ZodString {
  const error = `${FORMAT}${format}`;
  return z.string({ error }).regex(pattern, { error });
}

/** `= n AN`. */
const exactly = (n: number): z.ZodString => text(new RegExp(`^[0-9A-Za-z]{${n}}$`), `exactly ${n} letters or digits`);
/** `< n AN`. */
const upTo = (n: number): z.ZodString => text(new RegExp(`^[0-9A-Za-z]{1,${n}}$`), `1 to ${n} letters or digits`);
/** `< n AN` for texts for people: letters, digits, spaces and signs, without control characters. */
const words = (n: number): z.ZodString => text(new RegExp(`^[^\\p{Cc}]{1,${n}}$`, 'u'), `1 to ${n} characters`);
/** `< n N`. */
const digits = (n: number): z.ZodString => text(new RegExp(`^[0-9]{1,${n}}$`), `1 to ${n} digits`);
/** `= n N`. */
const exactDigits = (n: number, more = ''): z.ZodString =>
  text(new RegExp(`^[0-9]{${n}}$`), `exactly ${n} digits${more}`);

/** A whole number as a number or as digits, sent as text. */
function count(max: number, format: string) {
  const error = `${FORMAT}${format}`;
  return z
    .union([z.int({ error }).min(0, { error }), z.string({ error }).regex(/^[0-9]+$/, { error })], { error })
    .transform(String)
    .refine((value) => value.length <= max, { error });
}

const DATE_FORMAT = `${FORMAT}a date DD/MM/YYYY`;

/**
 * Each format has its source: [doc] Carat's tables, [ex] its examples, [field] merchants' code, [inf] inferred. `<` in
 * Carat's tables means "up to": the example of `merchant_id`, `< 15`, has 15 characters [inf].
 */
export const fields = {
  /** = 64 AN [doc]; lower-case hexadecimal digits [field]. */
  sid: exactly(64),
  /** = 64 AN [doc]. */
  seid: exactly(64),
  /** = 64 AN [doc]; lower-case hexadecimal digits [field]. */
  nit: exactly(64),
  /** = 66 AN in Carat's table, 64 in its example [doc]. 1 to 128 are accepted, as the receiver does [inf]. */
  token: text(/^[0-9A-Za-z]{1,128}$/, '1 to 128 letters or digits'),
  /** < 20 AN [doc]. */
  merchant_data: upTo(20),
  /** < 12 N [doc]. */
  merchant_usn: digits(12),
  /** < 20 AN [doc]. Order numbers have many forms, so signs are accepted. */
  order_id: text(/^[\x21-\x7e]{1,20}$/, '1 to 20 letters, digits or signs'),
  /** Up to 3 digits [doc]. */
  authorizer_id: digits(3),
  /** Cents, < 12 N [doc]: a whole number or digits. */
  amount: count(12, 'a whole number of cents, at most 12 digits'),
  /** Whole number; two digits [inf]. */
  small_count: count(2, 'a whole number of at most 2 digits'),
  /** `3` with interest, `4` without [ex]. */
  installment_type: z
    .union([z.literal('3'), z.literal('4'), z.literal(3), z.literal(4)], {
      error: `${FORMAT}3 (with interest) or 4 (without)`,
    })
    .transform(String),
  /** DD/MM/YYYY [ex], and a day that exists. */
  date: z.string({ error: DATE_FORMAT }).refine(isDate, { error: DATE_FORMAT }),
  /** Shown on the card holder's statement [ex]; at most 22 characters [inf]. */
  soft_descriptor: words(22),
  /** `true` or `false` as text [ex]. */
  flag: z.union([z.boolean(), z.enum(['true', 'false'])], { error: `${FORMAT}true or false` }).transform(String),
  /** = 16 [doc]. */
  general_hash: exactly(16),
  /** Area code: two digits [doc]. */
  ddd: exactDigits(2),
  /** Without area code; 8 or 9 digits [inf]. */
  phone_number: text(/^[0-9]{8,9}$/, '8 or 9 digits'),
  /** A code of a dealer, a type or a branch from Carat's lists; up to 20 AN [inf]. */
  list_code: upTo(20),
  /** < 10 AN [doc]. */
  amount_key: upTo(10),
  /** `04` is the internet [doc]. */
  terminal_type: exactDigits(2),
  /** < 20 AN [doc]. */
  document: upTo(20),
  /** <= 3 N [doc]. */
  operation: digits(3),
  /** = 8 AN [doc]. */
  terminal_id: exactly(8),
  /** = 2 N [doc]. */
  subfunction: exactDigits(2),
  /** = 15 AN in Carat's answers [ex]. */
  esitef_usn: upTo(15),
  /** < 15 AN [doc]; a CNPJ of 14 digits [field]. */
  merchant_id: text(/^[0-9A-Za-z_.-]{1,15}$/, '1 to 15 letters or digits'),
  /** < 80 AN [doc]; 64 upper-case hexadecimal digits [field]. */
  merchant_key: text(/^[0-9A-Za-z_.-]{1,80}$/, '1 to 80 letters or digits'),
};

/** Card data. Sent to Carat only: no note, log or error contains them. */
export const card = z.strictObject({
  /** < 19 N [doc]. */
  number: text(/^[0-9]{12,19}$/, '12 to 19 digits'),
  /** MMYY [doc]. */
  expiry_date: text(/^(0[1-9]|1[0-2])[0-9]{2}$/, 'MMYY'),
  /** 3 or 4 digits [inf]. */
  security_code: text(/^[0-9]{3,4}$/, '3 or 4 digits').optional(),
  /** < 30 AN [doc]; only some acquirers require it. */
  holder: words(30).optional(),
});
export type Card = z.input<typeof card>;

/** A payment or edit without a security code. */
export const storedCard = card.omit({ security_code: true });

function isDate(value: string): boolean {
  const [, day, month, year] = /^(\d\d)\/(\d\d)\/(\d{4})$/.exec(value) ?? [];
  if (day === undefined || month === undefined || year === undefined) return false;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
}
