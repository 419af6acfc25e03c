/** Who may use the worker API: keys, some of them for one merchant only. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { WorkerKey } from '../config-values.ts';
import { ProblemError, wrongParameter } from './problems.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The one merchant that the key of this request may see; every merchant without it. */
    onlyMerchant?: string | undefined;
  }
}

export class Keys {
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
