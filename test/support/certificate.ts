import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** Paths of PEM files. The certificate is its own authority: a client that trusts it trusts the server. */
export interface Certificate {
  certFile: string;
  keyFile: string;
}

/** Makes a certificate for localhost and 127.0.0.1, or for other names, valid for a day, in an existing folder. */
export async function makeCertificate(folder: string, names = 'DNS:localhost,IP:127.0.0.1'): Promise<Certificate> {
  const certificate = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
  await promisify(execFile)('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'],
    ...['-subj', '/CN=localhost', '-addext', `subjectAltName=${names}`],
    ...['-out', certificate.certFile, '-keyout', certificate.keyFile],
  ]);
  return certificate;
}
