/**
 * Seals values at rest: AES-256-GCM, bound to the merchant and the token's id, so that a sealed value moved to another
 * record does not open. A sealed value is `sealed KEY DATA`: the fingerprint of its key, and nonce, tag and ciphertext in
 * base64url. A value as Carat sends it has no space, so the two cannot be taken for each other.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

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

export class Vault {
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
