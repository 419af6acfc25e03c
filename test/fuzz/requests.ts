/** The requests of a fuzz run: nearly valid, from a seed. */
import { chunked, rawRequest } from '../support/raw-http.ts';

export type Random = () => number;

/** Returns a number below 1 for each call, and the same numbers for the same seed (mulberry32). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const NAMES = [
  'seid',
  'nit',
  'token',
  'SEID',
  'se_id',
  'status',
  'merchant_data',
  'merchantUSN',
  'nsu',
  'sid',
  'pedido',
  'x',
  '',
];
const PIECES = [
  '=',
  '&',
  '%',
  '%0',
  '%00',
  '%zz',
  '+',
  '\0',
  '\r\n',
  '\u00ff',
  '😀',
  ';',
  '{other}',
  '../',
  '"',
  "'",
  'a',
  '_',
];
const TYPES = [
  'application/x-www-form-urlencoded',
  'application/json',
  'text/plain',
  'multipart/form-data; boundary=',
  '',
  ';;',
];
const METHODS = ['POST', 'POST', 'POST', 'POST', 'GET', 'PUT', 'HEAD', 'OPTIONS', 'DELETE', 'PROPFIND'];

function one<T>(random: Random, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

function some(random: Random, most: number, make: () => string): string {
  return Array.from({ length: Math.floor(random() * most) }, make).join('');
}

function value(random: Random): string {
  if (random() < 0.4) return some(random, 12, () => one(random, PIECES));
  const size = random() < 0.9 ? one(random, [1, 20, 64, 66, 128, 129]) : Math.floor(random() * 3000);
  return some(random, size + 1, () => Math.floor(random() * 36).toString(36));
}

function body(random: Random): Buffer {
  const kind = random();
  if (kind < 0.1)
    return Buffer.from(Array.from({ length: Math.floor(random() * 400) }, () => Math.floor(random() * 256)));
  if (kind < 0.12) return Buffer.alloc(Math.floor(random() * 40_000), one(random, PIECES));
  const fields = Math.floor(random() * 6);
  return Buffer.from(Array.from({ length: fields }, () => `${one(random, NAMES)}=${value(random)}`).join('&'));
}

export interface Fuzzed {
  bytes: Buffer;
  head: boolean;
}

/** A complete request to a path: its sender can wait for the answer. */
export function request(random: Random, path: string): Fuzzed {
  const method = one(random, METHODS);
  const headers: [string, string][] = [];
  if (random() < 0.7) headers.push(['Content-Type', one(random, TYPES)]);
  if (random() < 0.2)
    headers.push([one(random, ['X-Forwarded-For', 'Expect', 'Accept', 'Content-Encoding', 'X-Y']), 'a, b;c']);
  const target = path + one(random, ['', '/', '?', '?a=%zz', '/?#', '#x']);
  const bytes = body(random);
  if (random() < 0.15) {
    headers.push(['Transfer-Encoding', 'chunked']);
    return {
      bytes: rawRequest({ method, target, headers, body: chunked(...(bytes.length > 0 ? [bytes] : [])) }),
      head: method === 'HEAD',
    };
  }
  return { bytes: rawRequest({ method, target, headers, body: bytes }), head: method === 'HEAD' };
}

/** Bytes that may not be a request: parts are removed, doubled or overwritten. */
export function spoilt(random: Random, path: string): Buffer {
  const { bytes } = request(random, path);
  const at = Math.floor(random() * bytes.length);
  const to = Math.min(bytes.length, at + Math.floor(random() * 40));
  if (random() < 0.3) return Buffer.concat([bytes.subarray(0, at), bytes.subarray(to)]);
  if (random() < 0.5) return Buffer.concat([bytes.subarray(0, to), bytes.subarray(at)]);
  const spoiltBytes = Buffer.from(bytes);
  for (let place = at; place < to; place += 1) spoiltBytes[place] = Math.floor(random() * 256);
  return spoiltBytes;
}
