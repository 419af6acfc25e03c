/**
 * The certificate of the authenticity listener, as it stands in two files. It is looked at again and again, so that a
 * renewed one serves without a restart; a new pair that cannot be used is told, and the old one stays.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Notice } from '../../store/notice.ts';

/** Files are looked at, not watched: links are swapped, and volumes mounted, in ways that no watch tells. */
const LOOK_EVERY_MS = 5000;

export interface CertificatePair {
  cert: Buffer;
  key: Buffer;
}

export interface CertificateWatchOptions {
  files: { certFile: string; keyFile: string };
  /** What serves now. */
  pair: CertificatePair;
  use(pair: CertificatePair): void;
  onNotice(trouble: Notice): void;
  everyMs?: number | undefined;
}

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  #serving: string;
  /** When the certificate that serves ends, in milliseconds since 1970. */
  expiresAt: number;
  /** What was found wrong when it was looked last; only what is still so the next time is told, for files change one after the other. */
  #doubt: string | undefined;
  #told: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#serving = digest(options.pair);
    this.expiresAt = Date.parse(new X509Certificate(options.pair.cert).validTo);
  }

  start(): void {
    this.#timer = setInterval(() => void this.#look(), this.#options.everyMs ?? LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      const { certFile, keyFile } = this.#options.files;
      const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
      this.#found({ cert, key });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.#doubtful(`cannot be read${code === undefined ? '' : ` (${code})`}`);
    } finally {
      this.#looking = false;
    }
  }

  #found(pair: CertificatePair): void {
    const found = digest(pair);
    if (found === this.#serving) {
      this.#doubt = undefined;
      this.#told = undefined;
      return;
    }
    try {
      // It throws unless both can be read and belong together.
      createSecureContext(pair);
      this.#options.use(pair);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.#doubtful(`cannot be used (${code ?? message})`);
      return;
    }
    this.#serving = found;
    this.#doubt = undefined;
    this.#told = undefined;
    const { subject, validTo } = new X509Certificate(pair.cert);
    this.expiresAt = Date.parse(validTo);
    this.#tell('info', 'tls_reloaded', 'the new certificate serves', { subject, validTo });
  }

  #doubtful(what: string): void {
    if (this.#doubt !== what) {
      this.#doubt = what;
    } else if (this.#told !== what) {
      this.#told = what;
      this.#tell('error', 'tls_not_reloaded', `the new certificate ${what}; the old one still serves`, {});
    }
  }

  #tell(level: Notice['level'], code: string, message: string, facts: Record<string, string>): void {
    const { certFile, keyFile } = this.#options.files;
    this.#options.onNotice({ level, code, message, facts: { certFile, keyFile, ...facts } });
  }
}

function digest({ cert, key }: CertificatePair): string {
  return createHash('sha256').update(cert).update('\0').update(key).digest('hex');
}
