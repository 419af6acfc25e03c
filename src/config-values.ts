/** The values of the environment's variables: how each is written, and what is said of one that is not. */
import { accessSync, constants } from 'node:fs';
import { isIP } from 'node:net';
import * as z from 'zod';

export interface WorkerKey {
  key: string;
  /** The one merchant that the key may see; every merchant without it. */
  merchant?: string;
}

export interface Cidr {
  address: string;
  prefix: number;
  family: 'ipv4' | 'ipv6';
}

/** A variable read by `read`, which throws an Error that says what was expected; a secret one is not repeated. */
export function variable<T>(fallback: string, read: (text: string) => T, { secret = false } = {}) {
  return z
    .string()
    .default(fallback)
    .transform((text, context): T => {
      try {
        return read(text.trim());
      } catch (error) {
        const came = secret ? '' : `, got ${JSON.stringify(text.slice(0, 100))}`;
        context.addIssue({ code: 'custom', message: `${(error as Error).message}${came}` });
        return z.NEVER;
      }
    });
}

export const text = (fallback: string) => variable(fallback, (value) => value);
const list = (value: string): string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

export function wholeNumber(fallback: number, least: number, most: number) {
  return variable(String(fallback), (value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= least && number <= most)) throw new Error(`expected a whole number from ${least} to ${most}`);
    return number;
  });
}

export function choice<const T extends string>(options: readonly T[], fallback: T) {
  return variable(fallback, (value): T => {
    const found = options.find((option) => option === value);
    if (found === undefined) throw new Error(`expected one of ${options.join(', ')}`);
    return found;
  });
}

/** 1 to 64 letters, digits, dots, underscores and hyphens: safe in a Redis key and as a metric's label. */
export const MERCHANT = /^[A-Za-z0-9._-]{1,64}$/;
const PATH = /^(\/[A-Za-z0-9._~!$&'()*+;@-]+)+$/;

export function readPaths(value: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const [at, item] of list(value).entries()) {
    const [merchant = '', path = ''] = item.split(/=(.*)/s);
    const plain = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
    const which = `merchant=path pairs separated by commas; pair ${at + 1}`;
    if (!MERCHANT.test(merchant)) throw new Error(`expected ${which} has no merchant of 1 to 64 of A-Z a-z 0-9 . _ -`);
    if (!PATH.test(plain))
      throw new Error(`expected ${which} has no path that begins with "/" and has plain characters only`);
    if (plain === '/livez') throw new Error(`expected ${which} takes /livez, which is in use`);
    if (paths.has(plain) && paths.get(plain) !== merchant)
      throw new Error(`expected ${which} gives a path to a second merchant`);
    paths.set(plain, merchant);
  }
  if (paths.size === 0) throw new Error('expected at least one merchant=path pair');
  return paths;
}

export function readCidrs(value: string): Cidr[] {
  return list(value).map((item) => {
    const [address = '', prefix] = item.split(/\/(.*)/s);
    const version = isIP(address);
    const bits = version === 6 ? 128 : 32;
    const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN;
    if (version === 0 || !(length <= bits)) {
      throw new Error('expected addresses or CIDRs (10.0.0.0/8, 2001:db8::/32) separated by commas');
    }
    return { address, prefix: length, family: version === 6 ? 'ipv6' : 'ipv4' };
  });
}

export function readWorkerKeys(value: string): WorkerKey[] {
  return list(value).map((item, at) => {
    const [first = '', second] = item.split(/:(.*)/s);
    const key = second ?? first;
    if (!/^[\x21-\x7e]+$/.test(key) || (second !== undefined && !MERCHANT.test(first))) {
      throw new Error(
        `expected KEY or merchant:KEY, separated by commas, of printable characters; item ${at + 1} is neither`,
      );
    }
    return second === undefined ? { key } : { key, merchant: first };
  });
}

export function readEncryptionKeys(value: string): Buffer[] {
  return list(value).map((item, at) => {
    const key = Buffer.from(item, 'base64');
    if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(item) || key.length !== 32) {
      throw new Error(
        `expected base64 of 32 bytes each, separated by commas; key ${at + 1} is not (openssl rand -base64 32)`,
      );
    }
    return key;
  });
}

/** The path of a file, which must be there to be read. */
export function readableFile() {
  return variable('', (path) => {
    if (path === '') return undefined;
    try {
      accessSync(path, constants.R_OK);
    } catch {
      throw new Error('expected a file that can be read');
    }
    return path;
  });
}
