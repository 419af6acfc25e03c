/**
 * Reloads the certificate of the authenticity listener from its two files, without a restart. An unusable new pair is
 * reported, and the old pair stays in use.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import type { Notice } from '../../store/notice.ts';

/** The files are polled: file watching misses swapped symbolic links and mounted volumes. */
const CHECK_EVERY_MS = 5000;

export interface CertificatePair {
  cert: Buffer;
  key: Buffer;
}

export interface CertificateWatchOptions {
  files: { certFile: string; keyFile: string };
  /** The pair in use. */
  pair: CertificatePair;
  use(pair: CertificatePair): void;
  onNotice(trouble: Notice): void;
  everyMs?: number | undefined;
}

export class CertificateWatch {
  readonly #options: CertificateWatchOptions;
  /** The digest of the pair in use. */
  #current: string;
  /** When the certificate in use expires, in milliseconds since 1970. */
  expiresAt: number;
  /**
   * Last problem found. Reported only when two checks in a row see it: certificate and key are not replaced at the same
   * instant.
   */
  #problem: string | undefined;
  #reported: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isChecking = false;

  constructor(options: CertificateWatchOptions) {
    this.#options = options;
    this.#current = digest(options.pair);
    this.expiresAt = Date.parse(new X509Certificate(options.pair.cert).validTo);
  }

  start(): void {
    this.#timer = setInterval(() => void this.#check(), this.#options.everyMs ?? CHECK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    if (this.#isChecking) return;
    this.#isChecking = true;
    try {
      const { certFile, keyFile } = this.#options.files;
      const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
      this.#use({ cert, key });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.#onProblem(`cannot be read${code === undefined ? '' : ` (${code})`}`);
    } finally {
      this.#isChecking = false;
    }
  }

  #use(pair: CertificatePair): void {
    const found = digest(pair);
    if (found === this.#current) {
      this.#problem = undefined;
      this.#reported = undefined;
      return;
    }
    try {
      // Throws unless both files are valid and the key belongs to the certificate.
      createSecureContext(pair);
      this.#options.use(pair);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      this.#onProblem(`cannot be used (${code ?? message})`);
      return;
    }
    this.#current = found;
    this.#problem = undefined;
    this.#reported = undefined;
    const { subject, validTo } = new X509Certificate(pair.cert);
    this.expiresAt = Date.parse(validTo);
    this.#report('info', 'tls_reloaded', 'the new certificate is in use', { subject, validTo });
  }

  #onProblem(problem: string): void {
    if (this.#problem !== problem) {
      this.#problem = problem;
    } else if (this.#reported !== problem) {
      this.#reported = problem;
      this.#report('error', 'tls_not_reloaded', `the new certificate ${problem}; the old one is still in use`, {});
    }
  }

  #report(level: Notice['level'], code: string, message: string, facts: Record<string, string>): void {
    const { certFile, keyFile } = this.#options.files;
    this.#options.onNotice({ level, code, message, facts: { certFile, keyFile, ...facts } });
  }
}

function digest({ cert, key }: CertificatePair): string {
  return createHash('sha256').update(cert).update('\0').update(key).digest('hex');
}
