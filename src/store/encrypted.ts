/**
 * A store around another, which sees sealed values only: in Redis, on disk and in memory. A token whose value does not
 * open is not handed out; it is told as trouble, by the fingerprint of its key.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import type { Claim, NewToken, TokenQuery, TokenRecord } from '../token.ts';
import type {
  ClaimAnswer,
  ClaimRequest,
  Expectation,
  PutAnswer,
  ReadAnswer,
  SettleAnswer,
  StoreEvents,
  StoreHealth,
  TokenStore,
} from './contract.ts';

/** As long as a token. */
const FEIGNED = 'x'.repeat(64);

export class EncryptedStore implements TokenStore {
  readonly #inner: TokenStore;
  readonly #vault: ValueCipher;
  #events: StoreEvents | undefined;

  constructor(inner: TokenStore, vault: ValueCipher) {
    this.#inner = inner;
    this.#vault = vault;
  }

  open(events: StoreEvents): Promise<void> {
    this.#events = events;
    return this.#inner.open(events);
  }

  put(token: NewToken): Promise<PutAnswer> {
    return this.#inner.put({ ...token, value: this.#vault.seal(token.value, token.merchant, token.id) });
  }

  feign(merchant: string): Promise<void> {
    this.#vault.seal(FEIGNED, merchant, FEIGNED);
    return this.#inner.feign(merchant);
  }

  async read(query: TokenQuery): Promise<ReadAnswer> {
    const answer = await this.#inner.read(query);
    if (answer.state !== 'live') return answer;
    const token = this.#opened(answer.token);
    return token === undefined ? noneLike(answer) : { ...answer, token };
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    for (;;) {
      const answer = await this.#inner.claim(request);
      if (answer.state !== 'held') return answer;
      const token = this.#opened(answer.token);
      if (token !== undefined) return { ...answer, token };
      // Put back it would be the first of the pool again, and nobody would get those behind it.
      const settled = await this.#inner.settle(request.merchant, request.claimId, 'use');
      if (settled !== 'done' || request.query?.by !== 'pool') return noneLike(answer);
    }
  }

  settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    return this.#inner.settle(merchant, claimId, how);
  }

  undo(merchant: string, claim: Claim): Promise<boolean> {
    return this.#inner.undo(merchant, claim);
  }

  use(merchant: string, id: string): Promise<SettleAnswer> {
    return this.#inner.use(merchant, id);
  }

  expect(expectation: Expectation): Promise<number> {
    return this.#inner.expect(expectation);
  }

  cancel(merchant: string, id: string): Promise<'done' | 'unknown' | 'away'> {
    return this.#inner.cancel(merchant, id);
  }

  sequence(merchant: string): Promise<number> {
    return this.#inner.sequence(merchant);
  }

  health(): StoreHealth {
    return this.#inner.health();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #opened(token: TokenRecord): TokenRecord | undefined {
    const { value, merchant, id, kind } = token;
    try {
      return { ...token, value: this.#vault.open(value, merchant, id) };
    } catch (error) {
      if (!(error instanceof SealError)) throw error;
      const facts = { merchant, kind, id, key: error.key };
      this.#events?.onNotice({ level: 'error', code: `seal_${error.code}`, message: error.message, facts });
      return undefined;
    }
  }
}

/** Nothing can be given; whether anybody can know that is as it was. */
function noneLike({ away }: { away?: true }): { state: 'none'; away?: true } {
  return away === true ? { state: 'none', away } : { state: 'none' };
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A sealed value that does not open. `unknown_key`: its key is not among those configured. */
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

export class ValueCipher {
  readonly #keys = new Map<string, Buffer>();
  readonly #current: string;

  /** @param keys at least one, each 32 bytes; the first seals, all open */
  constructor(keys: readonly Buffer[]) {
    for (const key of keys) this.#keys.set(fingerprintOf(key), key);
    this.#current = fingerprintOf(keys[0] as Buffer);
  }

  seal(value: string, merchant: string, id: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#keys.get(this.#current) as Buffer, nonce);
    cipher.setAAD(boundTo(merchant, id));
    const sealed = Buffer.concat([nonce, cipher.update(value, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `sealed ${this.#current} ${sealed.toString('base64url')}`;
  }

  /** A value that was kept before there were keys is answered as it is. @throws SealError */
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
