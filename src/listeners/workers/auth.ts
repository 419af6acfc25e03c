/** Access control of the worker API: keys, optionally limited to one merchant, and the origin of a request. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { WorkerKey } from '../../config/config.ts';
import { ProblemError, wrongParameter } from './problems.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The merchant to which the key of this request is limited. Undefined for a key for all merchants. */
    onlyMerchant?: string | undefined;
  }
}

export class ApiKeys {
  readonly #keys: readonly { digest: Buffer; merchant: string | undefined }[];
  readonly #merchants: ReadonlySet<string>;

  constructor(keys: readonly WorkerKey[], merchants: readonly string[]) {
    this.#keys = keys.map(({ key, merchant }) => ({ digest: digest(key), merchant }));
    this.#merchants = new Set(merchants);
  }

  /** Checks the key of a request. @throws ProblemError `unauthorized` */
  admit(request: FastifyRequest): void {
    if (this.#keys.length === 0) return;
    const presented = digest(presentedKey(request.headers.authorization));
    // Compares every key in constant time, so that the duration reveals nothing.
    const matching = this.#keys.filter((known) => timingSafeEqual(known.digest, presented));
    const [first] = matching;
    if (first === undefined) {
      throw new ProblemError('unauthorized', 'expected Authorization: Bearer KEY, or Basic with the key as password');
    }
    request.onlyMerchant = matching.some(({ merchant }) => merchant === undefined) ? undefined : first.merchant;
  }

  /** Checks access to data of all merchants. @throws ProblemError `forbidden` for a key limited to one merchant */
  checkUnlimited(request: FastifyRequest): void {
    if (request.onlyMerchant === undefined) return;
    throw new ProblemError('forbidden', 'expected a key for all merchants; this key is limited to one');
  }

  /** @throws ProblemError `forbidden` for another merchant than the key's, `invalid_request` for an unknown merchant */
  checkMerchant(request: FastifyRequest, merchant: string): void {
    if (request.onlyMerchant !== undefined && request.onlyMerchant !== merchant) {
      const detail = 'merchant: expected the merchant to which this key is limited (`default` if none is given)';
      throw new ProblemError('forbidden', detail);
    }
    if (!this.#merchants.has(merchant)) {
      throw wrongParameter('merchant', 'a merchant of AUTHENTICITY_PATHS (`default` if none is given)', merchant);
    }
  }
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** Returns the key of an Authorization header, or an empty string, which matches no key. */
function presentedKey(header = ''): string {
  const [, scheme = '', credentials = ''] = /^(bearer|basic) +(\S+) *$/i.exec(header) ?? [];
  if (scheme.toLowerCase() !== 'basic') return credentials;
  const decoded = Buffer.from(credentials, 'base64').toString('utf8');
  return decoded.slice(decoded.indexOf(':') + 1);
}

const LOOPBACK_HOST = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/**
 * Refuses requests that a page of another site made the browser send. Following a link is allowed, but not to `/v1/`.
 *
 * @throws ProblemError `foreign_origin`
 */
export function checkSite(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  const followed = request.headers['sec-fetch-mode'] === 'navigate' && request.method === 'GET';
  const foreignSite = site === 'cross-site' || site === 'same-site';
  const foreignOrigin = origin !== undefined && hostOf(origin) !== host?.toLowerCase();
  if (!foreignSite && !foreignOrigin) return;
  if (followed && !request.url.startsWith('/v1/')) return;
  throw new ProblemError('foreign_origin', 'expected a request that does not come from a page of another site');
}

/**
 * Refuses host names that are not loopback. Without keys, a page could resolve its own name to this address (DNS
 * rebinding) and count as the same site.
 *
 * @throws ProblemError `foreign_origin` for a host that is not a loopback name
 */
export function checkLoopbackHost(request: FastifyRequest): void {
  if (LOOPBACK_HOST.test(request.headers.host ?? '')) return;
  throw new ProblemError(
    'foreign_origin',
    'expected the host localhost, 127.0.0.1 or [::1], because WORKER_API_KEYS is not set',
  );
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
