/** The forms of `STORE_URL`. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface RedisAddress {
  topology: 'single' | 'sentinel' | 'cluster';
  /** One for a single server; at least one for Sentinel and Cluster. */
  nodes: readonly { host: string; port: number }[];
  tls: boolean;
  username?: string;
  password?: string;
  db: number;
  /** The name of the master in Sentinel. */
  masterName?: string;
  /** Credentials of the sentinels, if separate, from the query. */
  sentinelUsername?: string;
  sentinelPassword?: string;
  /** The trusted certificate authority, as PEM: the file of the query `?ca=`. */
  ca?: string;
  /** The address without user and password, for display. */
  shown: string;
}

const SCHEMES: Record<string, { topology: RedisAddress['topology']; tls: boolean; port: number }> = {
  redis: { topology: 'single', tls: false, port: 6379 },
  rediss: { topology: 'single', tls: true, port: 6379 },
  'redis-sentinel': { topology: 'sentinel', tls: false, port: 26_379 },
  'rediss-sentinel': { topology: 'sentinel', tls: true, port: 26_379 },
  'redis-cluster': { topology: 'cluster', tls: false, port: 6379 },
  'rediss-cluster': { topology: 'cluster', tls: true, port: 6379 },
};

const PARAMETERS = ['ca', 'sentinel_username', 'sentinel_password'];
const NOT_ENCODED = 'expected @ / % in the user and password of the address to be percent-encoded (%40 %2F %25)';

const FORMS = 'redis://, rediss://, redis-sentinel://h1:p,h2:p/NAME or redis-cluster://h1:p,h2:p';

/**
 * Parses a store URL.
 * The form is
 * `scheme://[user[:password]@]host[:port][,host[:port]…][/path][?ca=FILE&sentinel_password=…]`. The
 * path is the database number. For Sentinel it is the master's name, optionally followed by
 * `/number`.
 *
 * @throws Error with the expected form, without any part of a user or password
 */
export function parseStoreUrl(url: string): RedisAddress {
  try {
    return parse(url);
  } catch (error) {
    // The likeliest cause is a password with a reserved character, whatever part of the address
    // appears wrong.
    if (!/^[a-z-]+:\/\/[^?]*[@/].*@/s.test(url)) throw error;
    throw new Error(`${NOT_ENCODED}; or ${(error as Error).message}`);
  }
}

function parse(url: string): RedisAddress {
  const [, scheme = '', userInfo, hosts = '', path = '', query = ''] =
    /^([a-z-]+):\/\/(?:([^@/]*)@)?([^/?@]*)\/?([^?]*)(?:\?(.*))?$/s.exec(url) ?? [];
  const kind = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined;
  if (kind === undefined) throw new Error(`expected an address that begins with ${FORMS}`);
  const { topology, tls } = kind;
  const nodes = hosts.split(',').map((host) => readNode(host, kind.port));
  if (topology === 'single' && nodes.length > 1) throw new Error(`expected one host after ${scheme}://`);

  const [username, password] = readUser(userInfo);
  const parts = path.split('/').filter((part) => part !== '');
  const masterName = topology === 'sentinel' ? parts.shift() : undefined;
  if (topology === 'sentinel' && masterName === undefined) {
    throw new Error(`expected the name of the master after the hosts (${scheme}://h1:p,h2:p/NAME)`);
  }
  const db = readDatabase(parts, topology);
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) {
    if (!PARAMETERS.includes(name))
      throw new Error(`expected no parameter but ${PARAMETERS.join(', ')} in the address`);
    if (name !== 'ca' && topology !== 'sentinel') throw new Error(`expected "${name}" only in an address of sentinels`);
  }
  const caFile = parameters.get('ca');
  if (caFile !== null && !tls) throw new Error('expected "ca" only in an address with TLS (rediss)');
  const sentinelUsername = parameters.get('sentinel_username');
  const sentinelPassword = parameters.get('sentinel_password');
  const where = nodes.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
  return {
    topology,
    nodes,
    tls,
    db,
    shown: `${scheme}://${where}${masterName === undefined ? '' : `/${masterName}`}${db === 0 ? '' : `/${db}`}`,
    ...(username === undefined || username === '' ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(masterName === undefined ? {} : { masterName }),
    ...(sentinelUsername === null ? {} : { sentinelUsername }),
    ...(sentinelPassword === null ? {} : { sentinelPassword }),
    ...(caFile === null ? {} : { ca: readAuthority(caFile) }),
  };
}

/** @throws Error if the file is missing or not a PEM */
function readAuthority(file: string): string {
  let pem: string;
  try {
    pem = readFileSync(file, 'utf8');
  } catch (error) {
    throw new Error(`expected the file of "ca" to be readable: ${(error as NodeJS.ErrnoException).code}`);
  }
  try {
    new X509Certificate(pem);
  } catch {
    throw new Error('expected the file of "ca" to hold a certificate as PEM');
  }
  return pem;
}

function readNode(text: string, defaultPort: number): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const number = port === undefined ? defaultPort : Number(port);
  if (host === undefined || number < 1 || number > 65_535) {
    throw new Error('expected host:port, separated by commas if there are several, in the address');
  }
  return { host, port: number };
}

function readUser(userInfo: string | undefined): [string?, string?] {
  if (userInfo === undefined || userInfo === '') return [];
  const [user = '', password] = userInfo.split(/:(.*)/s);
  try {
    return password === undefined
      ? [decodeURIComponent(user)]
      : [decodeURIComponent(user), decodeURIComponent(password)];
  } catch {
    throw new Error(NOT_ENCODED);
  }
}

function readDatabase(parts: string[], topology: RedisAddress['topology']): number {
  const [number, ...more] = parts;
  if (number === undefined) return 0;
  if (!/^\d{1,4}$/.test(number) || more.length > 0) throw new Error('expected the number of a database in the address');
  if (topology === 'cluster' && Number(number) !== 0) throw new Error('expected no database but 0 with Redis Cluster');
  return Number(number);
}
