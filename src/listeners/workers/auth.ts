/** Who may use the worker API: keys, some of them for one merchant only. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { WorkerKey } from '../../config/config.ts';
import { ProblemError, wrongParameter } from './problems.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The one merchant that the key of this request may see; every merchant without it. */
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

  /** Lets a request in. @throws ProblemError `unauthorized` */
  admit(request: FastifyRequest): void {
    if (this.#keys.length === 0) return;
    const presented = digest(presentedKey(request.headers.authorization));
    // Every key is compared, each in constant time: how long it takes tells nothing.
    const matching = this.#keys.filter((known) => timingSafeEqual(known.digest, presented));
    const [first] = matching;
    if (first === undefined) {
      throw new ProblemError('unauthorized', 'expected Authorization: Bearer KEY, or Basic with the key as password');
    }
    request.onlyMerchant = matching.some(({ merchant }) => merchant === undefined) ? undefined : first.merchant;
  }

  /** For what shows all merchants at once. @throws ProblemError `forbidden` for a key that is for one only */
  checkUnlimited(request: FastifyRequest): void {
    if (request.onlyMerchant === undefined) return;
    throw new ProblemError('forbidden', 'the key is for one merchant, and this is about all of them');
  }

  /** @throws ProblemError `forbidden` for another merchant than the key's, `invalid_request` for one that there is not */
  checkMerchant(request: FastifyRequest, merchant: string): void {
    if (request.onlyMerchant !== undefined && request.onlyMerchant !== merchant) {
      throw new ProblemError('forbidden', 'the key is for another merchant than the one named (default when none is)');
    }
    if (!this.#merchants.has(merchant)) {
      throw wrongParameter('merchant', 'a merchant named in AUTHENTICITY_PATHS (default when none is given)', merchant);
    }
  }
}

function digest(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

/** The key of an Authorization header, or the empty string, which is nobody's. */
function presentedKey(header = ''): string {
  const [, scheme = '', credentials = ''] = /^(bearer|basic) +(\S+) *$/i.exec(header) ?? [];
  if (scheme.toLowerCase() !== 'basic') return credentials;
  const decoded = Buffer.from(credentials, 'base64').toString('utf8');
  return decoded.slice(decoded.indexOf(':') + 1);
}

const LOOPBACK_HOST = /^(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i;

/**
 * Refuses what a page of another site made the browser send. A link that somebody follows to a page of ours is let in;
 * the API itself is not a page.
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
  throw new ProblemError('foreign_origin', 'expected a request that no page of another site made');
}

/**
 * Where no key is needed, a page could give its own name our address (DNS rebinding), and would then be no other site.
 *
 * @throws ProblemError `foreign_origin` for a host that is not a loopback name
 */
export function checkLoopbackHost(request: FastifyRequest): void {
  if (LOOPBACK_HOST.test(request.headers.host ?? '')) return;
  throw new ProblemError(
    'foreign_origin',
    'expected the host localhost, 127.0.0.1 or [::1], because there are no WORKER_API_KEYS',
  );
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
