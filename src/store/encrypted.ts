/**
 * Encrypts token values at rest. The inner store sees only sealed values: in Redis, on disk and in
 * memory. It skips values whose key this instance does not have. During a key rotation, other
 * instances hand those out. Nobody gets a broken value. The operator sees a notice for both, with
 * the fingerprint of the key.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { NewToken, TokenQuery, TokenRecord } from '../token.ts';
import type { ClaimAnswer, ClaimRequest, PutAnswer, ReadAnswer, StoreEvents, TokenStore } from './contract.ts';
import { ForwardingStore } from './forwarding.ts';

const REPORT_KEY_EVERY_MS = 60_000;

export class EncryptedStore extends ForwardingStore {
  readonly #vault: ValueCipher;
  /** When a missing key was last reported, by merchant and key. */
  readonly #reportedAt = new Map<string, number>();
  #events: StoreEvents | undefined;

  constructor(inner: TokenStore, vault: ValueCipher) {
    super(inner);
    this.#vault = vault;
  }

  override open(events: StoreEvents): Promise<void> {
    this.#events = events;
    return this.inner.open(events);
  }

  override put(token: NewToken): Promise<PutAnswer> {
    return this.inner.put({ ...token, value: this.#vault.seal(token.value, token.merchant, token.id) });
  }

  override async read(query: TokenQuery): Promise<ReadAnswer> {
    const answer = await this.inner.read(query);
    this.#reportKey(query.merchant, answer.unknownKey);
    if (answer.state !== 'live') return answer;
    const token = this.#opened(answer.token);
    return token instanceof SealError ? noneLike(answer) : { ...answer, token };
  }

  override readArrival(arrival: TokenRecord): ReadAnswer | undefined {
    const token = this.#opened(arrival);
    if (token instanceof SealError) return undefined;
    const answer = this.inner.readArrival(arrival);
    return answer?.state === 'live' ? { ...answer, token } : answer;
  }

  override async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    for (;;) {
      const answer = await this.inner.claim(request);
      this.#reportKey(request.merchant, answer.unknownKey);
      if (answer.state !== 'held') return answer;
      const token = this.#opened(answer.token);
      if (!(token instanceof SealError)) return { ...answer, token };
      // The claim took the token through an instance that has the key. Only that instance can
      // answer.
      if (token.code === 'unknown_key') return { state: 'none', away: true };
      // A released token returns to the head of the pool. There, a broken one would block all
      // others.
      const settled = await this.inner.settle(request.merchant, request.claimId, 'use');
      if (settled !== 'done' || request.query?.by !== 'pool') return noneLike(answer);
    }
  }

  #opened(token: TokenRecord): TokenRecord | SealError {
    const { value, merchant, id, kind } = token;
    try {
      return { ...token, value: this.#vault.open(value, merchant, id) };
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      if (error.code === 'unknown_key') this.#reportKey(merchant, error.key);
      else {
        const facts = { merchant, kind, id, key: error.key };
        this.#events?.onNotice({ level: 'error', code: 'seal_broken', message: error.message, facts });
      }
      return error;
    }
  }

  /** Reports each key once per interval: every read may skip the same tokens. */
  #reportKey(merchant: string, key: string | undefined): void {
    if (key === undefined) return;
    const now = performance.now();
    const name = `${merchant} ${key}`;
    if (now - (this.#reportedAt.get(name) ?? Number.NEGATIVE_INFINITY) < REPORT_KEY_EVERY_MS) return;
    this.#reportedAt.set(name, now);
    const message = `tokens are encrypted with a key that this instance does not have: ${key}; they stay live for instances that have it`;
    this.#events?.onNotice({ level: 'error', code: 'sealed_with_unknown_key', message, facts: { merchant, key } });
  }
}

/** Returns `none`, with the `away` of the inner answer. */
function noneLike({ away }: { away?: true }): { state: 'none'; away?: true } {
  return away === true ? { state: 'none', away } : { state: 'none' };
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A sealed value cannot be opened. `unknown_key`: `ENCRYPTION_KEYS` does not have its key. */
export class SealError extends Error {
  readonly code: 'unknown_key' | 'broken';
  /** The fingerprint of the key that sealed the value. */
  readonly key: string;
  constructor(code: SealError['code'], key: string) {
    super(
      code === 'unknown_key' ? `sealed with a key that is not configured: ${key}` : `sealed value is broken: ${key}`,
    );
    this.name = 'SealError';
    this.code = code;
    this.key = key;
  }
}

/** Seals and opens values with AES-256-GCM, bound to the merchant and the token id. */
export class ValueCipher {
  readonly #keys = new Map<string, Buffer>();
  readonly #current: { fingerprint: string; key: Buffer } | undefined;

  /**
   * @param keys 32 bytes each; the first seals, all open. Without keys, `seal` returns the value
   *   unchanged, and sealed values cannot be opened
   */
  constructor(keys: readonly Buffer[]) {
    for (const key of keys) this.#keys.set(fingerprintOf(key), key);
    const [key] = keys;
    this.#current = key && { fingerprint: fingerprintOf(key), key };
  }

  /** The fingerprints of the keys. */
  get openable(): ReadonlySet<string> {
    return new Set(this.#keys.keys());
  }

  seal(value: string, merchant: string, id: string): string {
    if (this.#current === undefined) return value;
    const { fingerprint, key } = this.#current;
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    cipher.setAAD(boundTo(merchant, id));
    const sealed = Buffer.concat([nonce, cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `sealed ${fingerprint} ${sealed.toString('base64url')}`;
  }

  /**
   * Returns a value that is not sealed unchanged: it was stored before keys were configured.
   *
   * @throws SealError
   */
  open(value: string, merchant: string, id: string): string {
    const [mark, fingerprint = '', data = ''] = value.split(' ');
    if (mark !== 'sealed') return value;
    const key = this.#keys.get(fingerprint);
    if (key === undefined) throw new SealError('unknown_key', fingerprint);
    const sealed = Buffer.from(data, 'base64url');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES));
      decipher.setAAD(boundTo(merchant, id));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      return decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    } catch {
      throw new SealError('broken', fingerprint);
    }
  }
}

function fingerprintOf(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8);
}

function boundTo(merchant: string, id: string): Buffer {
  return Buffer.from(`${merchant}\n${id}`);
}
