import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Paths of PEM files. The certificate is its own authority: a client that trusts it trusts the server. */
export interface Certificate {
  certFile: string;
  keyFile: string;
}

/**
 * Creates a certificate in an existing folder, valid for a day. Default names: localhost and
 * 127.0.0.1.
 */
export async function makeCertificate(folder: string, names = 'DNS:localhost,IP:127.0.0.1'): Promise<Certificate> {
  const certificate = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
    ...['-subj', '/CN=localhost', '-addext', `subjectAltName=${names}`],
    ...['-out', certificate.certFile, '-keyout', certificate.keyFile],
  ]);
  return certificate;
}
