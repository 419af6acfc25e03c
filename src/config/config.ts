/**
 * The environment as a frozen configuration. All problems are reported together. Each has the name
 * of its variable, the expected and the actual value. Values that may be secret are not repeated.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import * as z from 'zod';
import { distance } from './nearest.ts';
import { parseStoreUrl, type RedisAddress } from './store-url.ts';

export interface Config {
  host: string;
  port: number;
  workerHost: string;
  workerPort: number;
  /** The merchant of each authenticity path, without a trailing slash. */
  paths: ReadonlyMap<string, string>;
  merchants: readonly string[];
  /** CIDRs; empty: all addresses. */
  allowedSources: readonly Cidr[];
  /** CIDRs of proxies whose `X-Forwarded-For` is trusted; empty: none. */
  trustedProxies: readonly Cidr[];
  /** Unset: the embedded store. */
  store: RedisAddress | undefined;
  dataDir: string;
  tokenTtlMs: number;
  workerKeys: readonly WorkerKey[];
  onConflict: 'newest' | 'refuse';
  accept: 'any' | 'expected';
  /** Each 32 bytes; the first encrypts, all decrypt. */
  encryptionKeys: readonly Buffer[];
  maxWaiters: number;
  tls: { certFile: string; keyFile: string } | undefined;
  /** Settings for asking Carat for tokens; unset: those routes answer `not_configured`. */
  carat: CaratConfig | undefined;
  /** The address for alerts; a secret. */
  alertWebhookUrl: string | undefined;
  logLevel: LogLevel;
  /** Replacements for production's deadlines of a post's answer and of Redis; no variable sets them. */
  deadlines?: { answerMs: number; redisMs: number };
}

export interface CaratConfig {
  /** Credentials by merchant, as AUTHENTICITY_PATHS names it. */
  credentials: ReadonlyMap<string, CaratCredentials>;
  /** Absent when both addresses are given. */
  environment: 'production' | 'homologation' | undefined;
  /** Addresses that replace those of the environment. */
  apiUrl: string | undefined;
  rechargeUrl: string | undefined;
}

export interface CaratCredentials {
  merchantId: string;
  merchantKey: string;
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** A variable that cannot be used. */
export interface ConfigProblem {
  variable: string;
  message: string;
}

export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(({ variable, message }) => `${variable}: ${message}`).join('\n'));
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** @throws ConfigError that names every variable that cannot be used */
export function readConfig(env: Record<string, string | undefined>): Config {
  // An empty variable counts as unset: compose files and shells leave a variable out that way.
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''),
  );
  const parsed = VARIABLES.safeParse(given);
  const problems: ConfigProblem[] = parsed.success ? [] : parsed.error.issues.map(problemOf);
  // Checks across two variables run only if both are readable.
  const readable = parsed.success ? parsed.data : readEach(given);
  problems.push(...contradictions(readable));
  if (problems.length > 0 || !parsed.success) throw new ConfigError(problems);
  const v = parsed.data;
  return Object.freeze({
    host: v.HOST,
    port: v.PORT,
    workerHost: v.WORKER_HOST,
    workerPort: v.WORKER_PORT,
    paths: v.AUTHENTICITY_PATHS,
    merchants: [...new Set(v.AUTHENTICITY_PATHS.values())],
    allowedSources: v.ALLOWED_SOURCES,
    trustedProxies: v.TRUSTED_PROXIES,
    store: v.STORE_URL,
    dataDir: v.DATA_DIR,
    tokenTtlMs: v.TOKEN_TTL_SECONDS * 1000,
    workerKeys: v.WORKER_API_KEYS,
    onConflict: v.ON_CONFLICT,
    accept: v.ACCEPT,
    encryptionKeys: v.ENCRYPTION_KEYS,
    maxWaiters: v.MAX_WAITERS,
    tls:
      v.TLS_CERT_FILE === undefined || v.TLS_KEY_FILE === undefined
        ? undefined
        : { certFile: v.TLS_CERT_FILE, keyFile: v.TLS_KEY_FILE },
    carat:
      v.CARAT_CREDENTIALS.size === 0
        ? undefined
        : {
            credentials: v.CARAT_CREDENTIALS,
            environment: v.CARAT_ENVIRONMENT,
            apiUrl: v.CARAT_API_URL,
            rechargeUrl: v.CARAT_RECHARGE_URL,
          },
    alertWebhookUrl: v.ALERT_WEBHOOK_URL,
    logLevel: v.LOG_LEVEL,
  });
}

const VARIABLES = z.object({
  HOST: text('0.0.0.0'),
  PORT: wholeNumber(8080, 0, 65_535),
  WORKER_HOST: text('127.0.0.1'),
  WORKER_PORT: wholeNumber(8081, 0, 65_535),
  AUTHENTICITY_PATHS: variable('default=/authenticity', readPaths, { secret: true }),
  ALLOWED_SOURCES: variable('', readCidrs),
  TRUSTED_PROXIES: variable('', readCidrs),
  STORE_URL: variable('', (value) => (value === '' ? undefined : parseStoreUrl(value)), { secret: true }),
  DATA_DIR: text('./data'),
  TOKEN_TTL_SECONDS: wholeNumber(900, 1, 604_800),
  WORKER_API_KEYS: variable('', readWorkerKeys, { secret: true }),
  ON_CONFLICT: choice(['newest', 'refuse'], 'newest'),
  ACCEPT: choice(['any', 'expected'], 'any'),
  ENCRYPTION_KEYS: variable('', readEncryptionKeys, { secret: true }),
  MAX_WAITERS: wholeNumber(20_000, 1, 1_000_000),
  TLS_CERT_FILE: readableFile(),
  TLS_KEY_FILE: readableFile(),
  CARAT_CREDENTIALS: variable('', readCaratCredentials, { secret: true }),
  CARAT_ENVIRONMENT: variable('', readCaratEnvironment),
  CARAT_API_URL: variable('', readCaratUrl, { secret: true }),
  CARAT_RECHARGE_URL: variable('', readCaratUrl, { secret: true }),
  ALERT_WEBHOOK_URL: variable('', readWebhookUrl, { secret: true }),
  LOG_LEVEL: choice(LOG_LEVELS, 'info'),
});
type Variables = z.output<typeof VARIABLES>;

/** The default of every variable in written form, for the documentation's test. */
export const VARIABLE_DEFAULTS: ReadonlyMap<string, string> = new Map(
  Object.entries(VARIABLES.shape).map(([name, schema]) => [name, schema.in.def.defaultValue]),
);
export const VARIABLE_NAMES: readonly string[] = [...VARIABLE_DEFAULTS.keys()];

/** Names this short are within two characters of common names (`HOME`, `HOST`). */
const SHORT_NAME = 5;

/** Returns variables whose name is one or two characters off one of ours that is unset. */
export function misspelt(env: Record<string, string | undefined>): { variable: string; meant: string }[] {
  const unset = VARIABLE_NAMES.filter((name) => env[name] === undefined);
  return Object.keys(env).flatMap((variable) => {
    if (VARIABLE_DEFAULTS.has(variable)) return [];
    const meant = unset.find((name) => distance(variable.toUpperCase(), name) <= (name.length <= SHORT_NAME ? 1 : 2));
    return meant === undefined ? [] : [{ variable, meant }];
  });
}

function problemOf(issue: { path: PropertyKey[]; message: string }): ConfigProblem {
  return { variable: String(issue.path[0]), message: issue.message };
}

function readEach(given: Record<string, string | undefined>): Partial<Variables> {
  const readable: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(VARIABLES.shape)) {
    const parsed = (schema as z.ZodType).safeParse(given[name]);
    if (parsed.success) readable[name] = parsed.data;
  }
  return readable as Partial<Variables>;
}

function contradictions(v: Partial<Variables>): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (v.WORKER_API_KEYS?.length === 0 && v.WORKER_HOST !== undefined && !isLoopback(v.WORKER_HOST)) {
    problems.push({
      variable: 'WORKER_API_KEYS',
      message: `expected at least one key, because WORKER_HOST (${v.WORKER_HOST}) is not a loopback address`,
    });
  }
  for (const { merchant } of v.WORKER_API_KEYS ?? []) {
    if (merchant !== undefined && v.AUTHENTICITY_PATHS && ![...v.AUTHENTICITY_PATHS.values()].includes(merchant)) {
      problems.push({
        variable: 'WORKER_API_KEYS',
        message: `expected merchants of AUTHENTICITY_PATHS before ":", got one that has no path there`,
      });
    }
  }
  for (const merchant of v.CARAT_CREDENTIALS?.keys() ?? []) {
    if (v.AUTHENTICITY_PATHS && ![...v.AUTHENTICITY_PATHS.values()].includes(merchant)) {
      const message = 'expected merchants of AUTHENTICITY_PATHS before "=", got one that has no path there';
      problems.push({ variable: 'CARAT_CREDENTIALS', message });
    }
  }
  const hasAddresses = v.CARAT_API_URL !== undefined && v.CARAT_RECHARGE_URL !== undefined;
  const isReadable = 'CARAT_ENVIRONMENT' in v && 'CARAT_API_URL' in v && 'CARAT_RECHARGE_URL' in v;
  if ((v.CARAT_CREDENTIALS?.size ?? 0) > 0 && isReadable && v.CARAT_ENVIRONMENT === undefined && !hasAddresses) {
    const message = 'expected production or homologation (or both CARAT_API_URL and CARAT_RECHARGE_URL)';
    problems.push({ variable: 'CARAT_ENVIRONMENT', message: `${message}, because CARAT_CREDENTIALS is set` });
  }
  const missing = v.TLS_CERT_FILE !== undefined && v.TLS_KEY_FILE === undefined ? 'TLS_KEY_FILE' : 'TLS_CERT_FILE';
  if (
    'TLS_CERT_FILE' in v &&
    'TLS_KEY_FILE' in v &&
    (v.TLS_CERT_FILE === undefined) !== (v.TLS_KEY_FILE === undefined)
  ) {
    problems.push({ variable: missing, message: 'expected both TLS_CERT_FILE and TLS_KEY_FILE, or neither' });
  }
  if (v.TLS_CERT_FILE !== undefined && v.TLS_KEY_FILE !== undefined) {
    try {
      createSecureContext({ cert: readFileSync(v.TLS_CERT_FILE), key: readFileSync(v.TLS_KEY_FILE) });
    } catch (error) {
      const message = `expected a certificate and its key, each as PEM without a passphrase: ${(error as Error).message}`;
      problems.push({ variable: 'TLS_CERT_FILE', message });
    }
  }
  return problems;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

export interface WorkerKey {
  key: string;
  /** The only merchant that the key may see; absent: every merchant. */
  merchant?: string;
}

export interface Cidr {
  address: string;
  prefix: number;
  family: 'ipv4' | 'ipv6';
}

/**
 * Describes a variable parsed by `read`, which throws an Error with the expected form. A secret
 * value is not repeated.
 */
function variable<T>(fallback: string, read: (text: string) => T, { secret = false } = {}) {
  return z
    .string()
    .default(fallback)
    .transform((text, context): T => {
      try {
        if (isQuoted(text.trim())) throw new Error(UNQUOTED);
        return read(text.trim());
      } catch (error) {
        const came = secret ? '' : `, got ${JSON.stringify(text.slice(0, 100))}`;
        context.addIssue({ code: 'custom', message: `${(error as Error).message}${came}` });
        return z.NEVER;
      }
    });
}

const UNQUOTED = 'expected a value without quotes around it (docker run --env-file keeps those of the file)';

/** Matches a quote at either end: a list may be quoted item by item. */
function isQuoted(text: string): boolean {
  return /^["']|["']$/.test(text);
}

function text(fallback: string) {
  return variable(fallback, (value) => value);
}
const list = (value: string): string[] =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');

function wholeNumber(fallback: number, least: number, most: number) {
  return variable(String(fallback), (value) => {
    const number = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (!(number >= least && number <= most)) throw new Error(`expected a whole number from ${least} to ${most}`);
    return number;
  });
}

function choice<const T extends string>(options: readonly T[], fallback: T) {
  return variable(fallback, (value): T => {
    const found = options.find((option) => option === value);
    if (found === undefined) throw new Error(`expected one of ${options.join(', ')}`);
    return found;
  });
}

/** 1 to 64 letters, digits, dots, underscores and hyphens: safe in a Redis key and as a metric label. */
const MERCHANT = /^[A-Za-z0-9._-]{1,64}$/;
/** Placeholder of secrets in the files of `deploy/`. */
const PLACEHOLDER = /change-me/i;
/** A shorter key of the worker API can be guessed. */
const LEAST_KEY_CHARS = 16;
const PATH = /^(\/[A-Za-z0-9._~!$&'()*+;@-]+)+$/;

function readPaths(value: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const [at, item] of list(value).entries()) {
    const [merchant = '', path = ''] = item.split(/=(.*)/s);
    const plain = path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path;
    const which = `merchant=path pairs separated by commas; pair ${at + 1}`;
    if (!MERCHANT.test(merchant)) throw new Error(`expected ${which} has no merchant of 1 to 64 of A-Z a-z 0-9 . _ -`);
    if (PLACEHOLDER.test(plain)) throw new Error(`expected ${which} still has a placeholder as its path`);
    if (plain !== '/' && !PATH.test(plain))
      throw new Error(`expected ${which} has no path that begins with "/" and has plain characters only`);
    if (plain === '/livez') throw new Error(`expected ${which} takes /livez, which is in use`);
    if (paths.has(plain) && paths.get(plain) !== merchant)
      throw new Error(`expected ${which} gives a path to a second merchant`);
    paths.set(plain, merchant);
  }
  if (paths.size === 0) throw new Error('expected at least one merchant=path pair');
  return paths;
}

function readCidrs(value: string): Cidr[] {
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

function readWorkerKeys(value: string): WorkerKey[] {
  return list(value).map((item, at) => {
    const [first = '', second] = item.split(/:(.*)/s);
    const key = second ?? first;
    if (isQuoted(item) || isQuoted(key)) throw new Error(`${UNQUOTED}; item ${at + 1} has some`);
    if (PLACEHOLDER.test(key)) throw new Error(`expected keys of your own, item ${at + 1} is still a placeholder`);
    if (!/^[\x21-\x7e]+$/.test(key) || (second !== undefined && !MERCHANT.test(first))) {
      throw new Error(
        `expected KEY or merchant:KEY, separated by commas, of printable characters; item ${at + 1} is neither`,
      );
    }
    if (key.length < LEAST_KEY_CHARS) {
      throw new Error(
        `expected keys of at least ${LEAST_KEY_CHARS} characters; item ${at + 1} is shorter (openssl rand -hex 32)`,
      );
    }
    return second === undefined ? { key } : { key, merchant: first };
  });
}

function readEncryptionKeys(value: string): Buffer[] {
  return list(value).map((item, at) => {
    if (isQuoted(item)) throw new Error(`${UNQUOTED}; key ${at + 1} has some`);
    const key = Buffer.from(item, 'base64');
    if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(item) || key.length !== 32) {
      throw new Error(
        `expected base64 of 32 bytes each, separated by commas; key ${at + 1} is not (openssl rand -base64 32)`,
      );
    }
    return key;
  });
}

/** Formats of Carat's headers `merchant_id` and `merchant_key`. */
const MERCHANT_ID = /^[0-9A-Za-z_.-]{1,15}$/;
const MERCHANT_KEY = /^[0-9A-Za-z_.-]{1,80}$/;

function readCaratCredentials(value: string): ReadonlyMap<string, CaratCredentials> {
  const credentials = new Map<string, CaratCredentials>();
  for (const [at, item] of list(value).entries()) {
    const [merchant = '', pair = ''] = item.split(/=(.*)/s);
    const [merchantId = '', merchantKey = ''] = pair.split(/:(.*)/s);
    const which = `merchant=MERCHANT_ID:MERCHANT_KEY, separated by commas; item ${at + 1}`;
    if (!MERCHANT.test(merchant)) throw new Error(`expected ${which} has no merchant of 1 to 64 of A-Z a-z 0-9 . _ -`);
    if (!MERCHANT_ID.test(merchantId)) throw new Error(`expected ${which} has no id of 1 to 15 letters or digits`);
    if (!MERCHANT_KEY.test(merchantKey)) throw new Error(`expected ${which} has no key of 1 to 80 letters or digits`);
    if (credentials.has(merchant)) throw new Error(`expected ${which} names its merchant a second time`);
    credentials.set(merchant, { merchantId, merchantKey });
  }
  return credentials;
}

function readCaratEnvironment(value: string): 'production' | 'homologation' | undefined {
  if (value === '' || value === 'production' || value === 'homologation') return value === '' ? undefined : value;
  throw new Error('expected production or homologation');
}

function readCaratUrl(value: string): string | undefined {
  if (value === '') return undefined;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const isPlain = url !== undefined && `${url.username}${url.password}${url.search}${url.hash}` === '';
  if (!isPlain || !/^https?:$/.test(url.protocol)) {
    throw new Error('expected an http or https address without user, query and fragment');
  }
  return value.replace(/\/+$/, '');
}

function readWebhookUrl(value: string): string | undefined {
  if (value === '') return undefined;
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || `${url.username}${url.password}` !== '') {
    throw new Error('expected an http or https address without a user');
  }
  return url.href;
}

/** Accepts the path of a readable file. */
function readableFile() {
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
