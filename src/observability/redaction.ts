/**
 * Redaction: the only code that turns a secret into printable text. A value becomes a fingerprint.
 * A foreign text, such as an error's message, loses the configured secrets and every run of
 * characters that resembles one.
 */
import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';

/** A shorter value would blank common words, and is not a secret. */
const LEAST_SECRET_CHARS = 6;
/** Matches tokens (64, 66), keys (44) and secret paths, but not words and names. */
const LONG_RUN = /[A-Za-z0-9_+=-]{32,}/g;

export interface RedactionOptions {
  /** The key of the fingerprints. Without it, fingerprints are comparable only within this process. */
  fingerprintKey?: Buffer | undefined;
  /** Secrets of the configuration: keys, passwords, paths. */
  secrets?: readonly string[] | undefined;
}

/** The printable parts of an error. Fields that a library adds, such as the failed command, are excluded. */
export interface ShownError {
  type: string;
  code?: string | undefined;
  message: string;
  stack: string[];
}

export class Redaction {
  readonly #fingerprintKey: KeyObject;
  readonly #secrets: readonly string[];

  constructor({ fingerprintKey = randomBytes(32), secrets = [] }: RedactionOptions = {}) {
    this.#fingerprintKey = createSecretKey(fingerprintKey);
    // Longest first: one secret may contain another.
    this.#secrets = secrets.filter(({ length }) => length >= LEAST_SECRET_CHARS).sort((a, b) => b.length - a.length);
  }

  /** Returns 8 hexadecimal digits that distinguish tokens and reveal nothing. */
  fingerprint(value: string): string {
    return createHmac('sha256', this.#fingerprintKey).update(value).digest('hex').slice(0, 8);
  }

  /** Redacts a foreign text. */
  text(text: string): string {
    let masked = text;
    for (const secret of this.#secrets) masked = masked.replaceAll(secret, '[secret]');
    return maskRuns(masked);
  }

  error(error: unknown): ShownError {
    if (!(error instanceof Error))
      return { type: typeof error, message: 'a thrown value that is not an Error', stack: [] };
    const { code } = error as { code?: unknown };
    // The first lines of a stack repeat the message; the frames contain only places in the code.
    const frames = error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? [];
    return {
      type: error.name,
      ...(typeof code === 'string' ? { code } : {}),
      message: this.text(error.message),
      stack: frames.map((line) => line.trim()),
    };
  }
}

/** Shortens every run of characters that is as long as a token. */
export function maskRuns(text: string): string {
  return text.replace(LONG_RUN, (run) => `[${run.length} characters]`);
}
