/**
 * What masks: the only code that turns something secret into something that may be shown. A value becomes a fingerprint;
 * a text that somebody else wrote (an error's message) loses the secrets of the configuration and whatever looks like one.
 */
import { createHmac, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';

/** A shorter secret would blank common words; it also is none. */
const LEAST_SECRET_CHARS = 6;
/** Tokens (64, 66), keys (44) and secret paths are made of such runs; words and names are not. */
const LONG_RUN = /[A-Za-z0-9_+=-]{32,}/g;

export interface RedactionOptions {
  /** The key of the fingerprints; without one, they compare only within this process. */
  fingerprintKey?: Buffer | undefined;
  /** Secrets of the configuration: keys, passwords, paths. */
  secrets?: readonly string[] | undefined;
}

/** What may be shown of an error: never a field that a library hung on it, such as the command that failed. */
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
    // The longest first: one may hold another.
    this.#secrets = secrets.filter(({ length }) => length >= LEAST_SECRET_CHARS).sort((a, b) => b.length - a.length);
  }

  /** 8 hexadecimal digits that tell tokens apart and give nothing away. */
  fingerprint(value: string): string {
    return createHmac('sha256', this.#fingerprintKey).update(value).digest('hex').slice(0, 8);
  }

  /** A text that somebody else wrote. */
  text(text: string): string {
    let masked = text;
    for (const secret of this.#secrets) masked = masked.replaceAll(secret, '[secret]');
    return maskRuns(masked);
  }

  error(error: unknown): ShownError {
    if (!(error instanceof Error))
      return { type: typeof error, message: 'a thrown value that is not an Error', stack: [] };
    const { code } = error as { code?: unknown };
    // The first lines of a stack repeat the message; the frames hold nothing but places in the code.
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
