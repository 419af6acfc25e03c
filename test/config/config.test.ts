import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Config, ConfigError, misspelt, readConfig, VARIABLE_NAMES } from '../../src/config/config.ts';
import { makeCertificate } from '../support/certificate.ts';

/** The messages for wrong variables. */
function problems(env: Record<string, string>): [string, string][] {
  try {
    readConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ variable, message }) => [variable, message]);
  }
  return [];
}

const THREE_PATHS = new Map([
  ['/x/1', 'a'],
  ['/y', 'b'],
  ['/z', 'a'],
]);
/** The shortest allowed key of the worker API. */
const KEY1 = 'sixteen-letters1';
const KEY2 = 'sixteen:letters2';
const KEY = Buffer.alloc(32, 7).toString('base64');
const OTHER_KEY = Buffer.alloc(32, 8).toString('base64');

test('has the defaults of the contract without any variable', () => {
  expect(readConfig({})).toEqual({
    host: '0.0.0.0',
    port: 8080,
    workerHost: '127.0.0.1',
    workerPort: 8081,
    paths: new Map([['/authenticity', 'default']]),
    merchants: ['default'],
    allowedSources: [],
    trustedProxies: [],
    store: undefined,
    dataDir: './data',
    tokenTtlMs: 900_000,
    workerKeys: [],
    onConflict: 'newest',
    accept: 'any',
    encryptionKeys: [],
    maxWaiters: 20_000,
    tls: undefined,
    carat: undefined,
    logLevel: 'info',
  });
});

test('treats an empty variable as unset, and ignores unknown ones', () => {
  const empty = Object.fromEntries(VARIABLE_NAMES.map((name) => [name, ' ']));
  expect(readConfig({ ...empty, PATH: '/bin', __proto__x: 'y' })).toEqual(readConfig({}));
});

test('freezes the configuration', () => {
  expect(Object.isFrozen(readConfig({}))).toBe(true);
});

describe('good values', () => {
  test.each<[string, string, Partial<Config>]>([
    ['HOST', '::', { host: '::' }],
    ['PORT', '0', { port: 0 }],
    ['PORT', ' 65535 ', { port: 65_535 }],
    ['WORKER_HOST', 'localhost', { workerHost: 'localhost' }],
    ['WORKER_HOST', '::1', { workerHost: '::1' }],
    ['WORKER_HOST', '127.8.8.8', { workerHost: '127.8.8.8' }],
    ['WORKER_PORT', '9000', { workerPort: 9000 }],
    ['AUTHENTICITY_PATHS', 'default=/x', { paths: new Map([['/x', 'default']]), merchants: ['default'] }],
    ['AUTHENTICITY_PATHS', 'a=/', { paths: new Map([['/', 'a']]), merchants: ['a'] }],
    ['AUTHENTICITY_PATHS', 'a=/x/', { paths: new Map([['/x', 'a']]), merchants: ['a'] }],
    ['AUTHENTICITY_PATHS', ' a=/x/1 , b=/y,a=/z, ', { paths: THREE_PATHS, merchants: ['a', 'b'] }],
    ['ALLOWED_SOURCES', '192.0.2.7', { allowedSources: [{ address: '192.0.2.7', prefix: 32, family: 'ipv4' }] }],
    [
      'ALLOWED_SOURCES',
      '10.0.0.0/8, 2001:db8::/32',
      {
        allowedSources: [
          { address: '10.0.0.0', prefix: 8, family: 'ipv4' },
          { address: '2001:db8::', prefix: 32, family: 'ipv6' },
        ],
      },
    ],
    ['TRUSTED_PROXIES', '::1', { trustedProxies: [{ address: '::1', prefix: 128, family: 'ipv6' }] }],
    ['DATA_DIR', '/var/lib/carat', { dataDir: '/var/lib/carat' }],
    ['TOKEN_TTL_SECONDS', '1', { tokenTtlMs: 1000 }],
    ['WORKER_API_KEYS', KEY1, { workerKeys: [{ key: KEY1 }] }],
    [
      'WORKER_API_KEYS',
      `${KEY1}, default:${KEY2}`,
      { workerKeys: [{ key: KEY1 }, { key: KEY2, merchant: 'default' }] },
    ],
    ['ON_CONFLICT', 'refuse', { onConflict: 'refuse' }],
    ['ACCEPT', 'expected', { accept: 'expected' }],
    ['ENCRYPTION_KEYS', `${KEY},${OTHER_KEY}`, { encryptionKeys: [Buffer.alloc(32, 7), Buffer.alloc(32, 8)] }],
    ['ENCRYPTION_KEYS', KEY.replace(/=+$/, ''), { encryptionKeys: [Buffer.alloc(32, 7)] }],
    ['MAX_WAITERS', '1', { maxWaiters: 1 }],
    ['CARAT_ENVIRONMENT', 'production', { carat: undefined }],
    ['LOG_LEVEL', 'silent', { logLevel: 'silent' }],
  ])('%s=%s', (name, value, expected) => {
    expect(readConfig({ [name]: value })).toMatchObject(expected);
  });

  test('the store', () => {
    expect(readConfig({ STORE_URL: 'redis://h:1' }).store).toMatchObject({ topology: 'single', shown: 'redis://h:1' });
  });
});

describe('names a bad value, the expected form and the given one', () => {
  test.each([
    ['PORT', 'http', 'expected a whole number from 0 to 65535, got "http"'],
    ['PORT', '-1', 'expected a whole number from 0 to 65535, got "-1"'],
    ['PORT', '65536', 'expected a whole number from 0 to 65535, got "65536"'],
    ['PORT', '80.5', 'expected a whole number from 0 to 65535, got "80.5"'],
    ['PORT', '0x50', 'expected a whole number from 0 to 65535, got "0x50"'],
    ['WORKER_PORT', '1e3', 'expected a whole number from 0 to 65535, got "1e3"'],
    ['TOKEN_TTL_SECONDS', '0', 'expected a whole number from 1 to 604800, got "0"'],
    ['TOKEN_TTL_SECONDS', '9'.repeat(20), `expected a whole number from 1 to 604800, got "${'9'.repeat(20)}"`],
    ['MAX_WAITERS', 'many', 'expected a whole number from 1 to 1000000, got "many"'],
    ['ON_CONFLICT', 'Refuse', 'expected one of newest, refuse, got "Refuse"'],
    ['ACCEPT', 'all', 'expected one of any, expected, got "all"'],
    ['LOG_LEVEL', 'loud', 'expected one of fatal, error, warn, info, debug, trace, silent, got "loud"'],
    ...['10.0.0.0/33', '10.0.0/8', '::/129', 'example.test', '10.0.0.1/', '10.0.0.1/-1', '*', '10.0.0.1/8/8'].map(
      (value) => [
        'ALLOWED_SOURCES',
        value,
        `expected addresses or CIDRs (10.0.0.0/8, 2001:db8::/32) separated by commas, got "${value}"`,
      ],
    ),
    [
      'TRUSTED_PROXIES',
      'any',
      'expected addresses or CIDRs (10.0.0.0/8, 2001:db8::/32) separated by commas, got "any"',
    ],
    ['TLS_CERT_FILE', '/no/such/file', 'expected a file that can be read, got "/no/such/file"'],
    ['TLS_KEY_FILE', '/no/such/file', 'expected a file that can be read, got "/no/such/file"'],
  ])('%s=%s', (name = '', value = '', message = '') => {
    expect(problems({ [name]: value })).toEqual([[name, message]]);
  });

  test('a placeholder of the deployment files, as a key or as a path', () => {
    expect(problems({ WORKER_API_KEYS: 'a-key-of-my-own-shop,default:change-me' })).toEqual([
      ['WORKER_API_KEYS', 'expected keys of your own, item 2 is still a placeholder'],
    ]);
    expect(problems({ AUTHENTICITY_PATHS: 'default=/a/change-me' })[0]).toEqual([
      'AUTHENTICITY_PATHS',
      'expected merchant=path pairs separated by commas; pair 1 still has a placeholder as its path',
    ]);
  });

  test('shortens a long value', () => {
    expect(problems({ PORT: 'x'.repeat(5000) })[0]?.[1].length).toBeLessThan(200);
  });
});

describe('names a bad secret without its value', () => {
  test.each([
    ['AUTHENTICITY_PATHS', '/a/S3CRET', 'pair 1 has no merchant'],
    ['AUTHENTICITY_PATHS', 'ok=/x,lo ja=/a/S3CRET', 'pair 2 has no merchant'],
    ['AUTHENTICITY_PATHS', 'loja=S3CRET', 'pair 1 has no path'],
    ['AUTHENTICITY_PATHS', 'loja=/S3CRET=', 'pair 1 has no path'],
    ['AUTHENTICITY_PATHS', 'loja=//S3CRET', 'pair 1 has no path'],
    ['AUTHENTICITY_PATHS', 'loja=/S3CRET?x', 'pair 1 has no path'],
    ['AUTHENTICITY_PATHS', 'loja=/S3CRET%20', 'pair 1 has no path'],
    ['AUTHENTICITY_PATHS', 'a=/S3CRET,b=/S3CRET/', 'pair 2 gives a path to a second merchant'],
    ['AUTHENTICITY_PATHS', 'loja=/livez', '/livez, which is in use'],
    ['AUTHENTICITY_PATHS', 'loja=/livez/', '/livez, which is in use'],
    ['AUTHENTICITY_PATHS', ',', 'at least one merchant=path pair'],
    ['STORE_URL', 'http://user:S3CRET@host', 'expected an address that begins with redis://'],
    ['STORE_URL', 'redis://:S3CRET@ho st', 'expected host:port'],
    ['STORE_URL', 'redis://%zz:S3CRET@host', 'percent-encoded'],
    ['ALERT_WEBHOOK_URL', 'hooks.example/S3CRET', 'http or https address'],
    ['ALERT_WEBHOOK_URL', 'https://u:S3CRET@hooks.example/', 'without a user'],
    ['WORKER_API_KEYS', `${KEY1},S3C RET`, 'item 2'],
    ['WORKER_API_KEYS', `${KEY1},S3CRET-15-chars`, 'at least 16 characters; item 2'],
    ['WORKER_API_KEYS', 'default:S3CRET-15-chars', 'at least 16 characters; item 1'],
    ['WORKER_API_KEYS', 'S3CRETé', 'item 1'],
    ['WORKER_API_KEYS', 'default:', 'item 1'],
    ['WORKER_API_KEYS', 'lo/ja:S3CRET', 'item 1'],
    ['WORKER_API_KEYS', 'other:S3CRET-16-letter', 'merchants of AUTHENTICITY_PATHS'],
    ['WORKER_API_KEYS', '"S3CRET"', 'without quotes around it'],
    ['WORKER_API_KEYS', "'S3CRET,default:k'", 'without quotes around it'],
    [
      'WORKER_API_KEYS',
      'sixteen-letters1,"S3CRET",l',
      'without quotes around it (docker run --env-file keeps those of the file); item 2',
    ],
    ['WORKER_API_KEYS', 'default:"S3CRET",k', 'item 1'],
    ['ENCRYPTION_KEYS', `"${KEY}"`, 'without quotes around it'],
    ['ENCRYPTION_KEYS', `${KEY},"${KEY}",${KEY}`, 'key 2'],
    ['AUTHENTICITY_PATHS', '"loja=/S3CRET"', 'without quotes around it'],
    ['STORE_URL', '"redis://:S3CRET@host"', 'without quotes around it'],
    ['CARAT_CREDENTIALS', 'S3CRET', 'item 1 has no id'],
    ['CARAT_CREDENTIALS', 'default=S3CRET', 'item 1 has no key'],
    ['CARAT_CREDENTIALS', 'default=S3CRET S3CRET:k', 'item 1 has no id'],
    ['CARAT_CREDENTIALS', 'default=i:S3CRET,default=i:S3CRET', 'item 2 names its merchant a second time'],
    ['CARAT_API_URL', 'ftp://S3CRET', 'http or https address'],
    ['CARAT_RECHARGE_URL', 'https://user:S3CRET@host', 'without user'],
    ['ENCRYPTION_KEYS', 'S3CRET', 'key 1'],
    ['ENCRYPTION_KEYS', `${KEY},S3CRET${KEY}`, 'key 2'],
    ['ENCRYPTION_KEYS', `${KEY}!`, 'key 1'],
  ])('%s=%s', (name, value, part) => {
    expect(problems({ [name]: value })).toEqual([[name, expect.stringMatching(/^expected /)]]);
    const [[, message] = []] = problems({ [name]: value });
    expect(message).toContain(part);
    for (const secret of ['S3C', 'RET', KEY.slice(0, 8)]) expect(message).not.toContain(secret);
  });
});

describe('an unknown variable with a similar name', () => {
  test.each([
    ['AUTHENTICITY_PATH', 'AUTHENTICITY_PATHS'],
    ['ENCRYPTION_KEY', 'ENCRYPTION_KEYS'],
    ['WORKER_API_KEY', 'WORKER_API_KEYS'],
    ['STORE_URI', 'STORE_URL'],
    ['TOKEN_TTL_SECOND', 'TOKEN_TTL_SECONDS'],
    ['DATADIR', 'DATA_DIR'],
    ['store_url', 'STORE_URL'],
  ])('reports %s with the nearest name', (variable, meant) => {
    expect(misspelt({ [variable]: 'x' })).toEqual([{ variable, meant }]);
    expect(misspelt({ [variable]: 'x', [meant]: 'y' })).toEqual([]);
  });

  test.each(['HOME', 'HOSTNAME', 'PATH', 'PWD', 'TERM', 'USER', 'WORKER_URL', 'AUTHENTICITY_URL', 'NODE_ENV'])(
    'ignores %s',
    (variable) => {
      expect(misspelt({ [variable]: 'x' })).toEqual([]);
    },
  );
});

describe('a rule about two variables', () => {
  test('requires an environment or both addresses for credentials at Carat', () => {
    const credentials = { CARAT_CREDENTIALS: 'default=LOJA1:KEY1' };
    const addresses = { CARAT_API_URL: 'http://h:1/', CARAT_RECHARGE_URL: 'https://h/e-sitef' };
    const unknown = [['CARAT_ENVIRONMENT', expect.stringContaining('CARAT_CREDENTIALS is set')]];
    expect(problems(credentials)).toEqual(unknown);
    expect(problems({ ...credentials, CARAT_API_URL: 'http://h:1' })).toEqual(unknown);
    expect(problems({ ...credentials, CARAT_ENVIRONMENT: 'test' })).toEqual([
      ['CARAT_ENVIRONMENT', 'expected production or homologation, got "test"'],
    ]);
    expect(problems({ CARAT_CREDENTIALS: 'other=LOJA1:KEY1', CARAT_ENVIRONMENT: 'production' })).toEqual([
      ['CARAT_CREDENTIALS', expect.stringContaining('merchants of AUTHENTICITY_PATHS')],
    ]);
    expect(readConfig({ ...credentials, ...addresses }).carat).toEqual({
      credentials: new Map([['default', { merchantId: 'LOJA1', merchantKey: 'KEY1' }]]),
      environment: undefined,
      apiUrl: 'http://h:1',
      rechargeUrl: 'https://h/e-sitef',
    });
  });

  test.each(['0.0.0.0', '::', '192.0.2.7', 'workers.internal', '127.evil.test'])('requires a key for %s', (host) => {
    expect(problems({ WORKER_HOST: host })).toEqual([['WORKER_API_KEYS', expect.stringContaining(host)]]);
    expect(problems({ WORKER_HOST: host, WORKER_API_KEYS: KEY1 })).toEqual([]);
  });

  describe('a certificate and its key', () => {
    let folder: string;
    let tls: { TLS_CERT_FILE: string; TLS_KEY_FILE: string };

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'config-'));
      const { certFile, keyFile } = await makeCertificate(folder);
      tls = { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile };
    });

    afterAll(() => rm(folder, { recursive: true }));

    test('are accepted together', () => {
      expect(readConfig(tls).tls).toEqual({ certFile: tls.TLS_CERT_FILE, keyFile: tls.TLS_KEY_FILE });
    });

    test('are refused alone, with the name of the missing one', () => {
      const { TLS_CERT_FILE, TLS_KEY_FILE } = tls;
      const message = 'expected both TLS_CERT_FILE and TLS_KEY_FILE, or neither';
      expect(problems({ TLS_CERT_FILE })).toEqual([['TLS_KEY_FILE', message]]);
      expect(problems({ TLS_KEY_FILE })).toEqual([['TLS_CERT_FILE', message]]);
    });

    test('are refused when one is not PEM or they do not match', async () => {
      const other = join(folder, 'other');
      await writeFile(other, 'no PEM');
      const refused = [['TLS_CERT_FILE', expect.stringContaining('expected a certificate and its key')]];
      expect(problems({ ...tls, TLS_CERT_FILE: other })).toEqual(refused);
      expect(problems({ ...tls, TLS_KEY_FILE: other })).toEqual(refused);
      expect(problems({ ...tls, TLS_KEY_FILE: tls.TLS_CERT_FILE })).toEqual(refused);
      expect(problems({ ...tls, TLS_KEY_FILE: folder })).toEqual(refused);
    });
  });
});

test('reports all problems together', () => {
  const env = {
    PORT: 'x',
    WORKER_HOST: '0.0.0.0',
    AUTHENTICITY_PATHS: 'S3CRET',
    STORE_URL: 'S3CRET',
    ENCRYPTION_KEYS: 'S3CRET',
    ON_CONFLICT: 'x',
    TLS_KEY_FILE: '/no/such/file',
  };
  const named = problems(env).map(([variable]) => variable);
  const expected = ['AUTHENTICITY_PATHS', 'ENCRYPTION_KEYS', 'ON_CONFLICT', 'PORT', 'STORE_URL', 'TLS_KEY_FILE'];
  expect(named.sort()).toEqual([...expected, 'WORKER_API_KEYS']);
  expect(() => readConfig(env)).toThrow(/^(.+: expected .+\n){6}.+: expected .+$/);
  expect(() => readConfig(env)).not.toThrow(/S3CRET/);
});
