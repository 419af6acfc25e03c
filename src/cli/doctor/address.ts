/** Checks of the address: its scheme, its name, and its certificate. */
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { connect, type PeerCertificate } from 'node:tls';
import { reasonOf } from './probe.ts';
import type { Finding } from './verdict.ts';

const SOON_DAYS = 14;
const DAY_MS = 86_400_000;

export async function examineName(url: URL): Promise<Finding[]> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  try {
    const addresses = (await lookup(host, { all: true })).map(({ address }) => address);
    const inside = addresses.filter(isInside);
    const seen = addresses.join(', ');
    if (inside.length > 0) {
      const mend = 'Carat comes from the internet: register a name with a public address';
      return [{ check: 'name', state: 'warn', seen: `${seen}, not a public address`, mend }];
    }
    const mend = isIP(host) === 0 ? undefined : 'register a name: certificates and moves need one';
    return [{ check: 'name', state: mend === undefined ? 'pass' : 'warn', seen, mend }];
  } catch (error) {
    const mend = 'publish an A or AAAA record for it';
    return [
      { check: 'name', state: 'fail', seen: `${host} does not resolve: ${(error as { code?: string }).code}`, mend },
    ];
  }
}

function isInside(address: string): boolean {
  return /^(10\.|127\.|169\.254\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|0\.|::1$|f[cd]|fe80:)/i.test(address);
}

export async function examineTls(url: URL, timeoutMs: number, caFile: string | undefined): Promise<Finding[]> {
  if (url.protocol === 'http:') {
    const mend = 'register the https address of the TLS proxy before it; right only for a look from inside';
    return [{ check: 'TLS', state: 'warn', seen: 'plain http', mend }];
  }
  const seen = await handshake(url, timeoutMs, caFile);
  if ('error' in seen) {
    const mend = 'the server must offer TLS 1.2 or 1.3 on this port';
    return [{ check: 'TLS', state: 'fail', seen: `no TLS connection: ${seen.error}`, mend }];
  }
  const { protocol, trouble, certificate } = seen;
  const end = new Date(certificate.valid_to);
  const days = Math.floor((end.getTime() - Date.now()) / DAY_MS);
  const until = `valid until ${Number.isNaN(days) ? 'unknown' : end.toISOString().slice(0, 10)}`;
  const renew = 'renew the certificate, and make the renewal automatic';
  return [
    { check: 'TLS', state: 'pass', seen: protocol },
    chainFinding(trouble),
    days < 0
      ? { check: "certificate's end", state: 'fail', seen: `expired: ${until}`, mend: renew }
      : {
          check: "certificate's end",
          state: days < SOON_DAYS ? 'warn' : 'pass',
          seen: `${until}, ${days} days`,
          mend: renew,
        },
  ];
}

const CHAIN: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'a certificate of the chain expired: renew it',
  ERR_TLS_CERT_ALTNAME_INVALID: 'get a certificate for this very name',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'send the intermediate certificates, too (the full chain)',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'send the intermediate certificates, too (the full chain)',
};

function chainFinding(trouble: string | undefined): Finding {
  if (trouble === undefined) return { check: 'certificate chain', state: 'pass', seen: 'trusted' };
  const mend = CHAIN[trouble] ?? 'get a certificate from a public authority';
  return { check: 'certificate chain', state: 'fail', seen: `not trusted: ${trouble}`, mend };
}

type Handshake = { error: string } | { protocol: string; trouble: string | undefined; certificate: PeerCertificate };

function handshake(url: URL, timeoutMs: number, caFile: string | undefined): Promise<Handshake> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const ca = caFile === undefined ? {} : { ca: readFileSync(caFile) };
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return new Promise((resolve) => {
    const options = { host, port: Number(url.port || 443), rejectUnauthorized: false, ...servername, ...ca };
    const socket = connect(options, () => {
      const trouble = socket.authorizationError as unknown as string | Error | undefined | null;
      const code = trouble instanceof Error ? ((trouble as { code?: string }).code ?? trouble.message) : trouble;
      resolve({
        protocol: socket.getProtocol() ?? 'unknown',
        trouble: code ?? undefined,
        certificate: socket.getPeerCertificate(),
      });
      socket.end();
    });
    const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
    socket.on('error', (error) => resolve({ error: reasonOf(error, timeoutMs) }));
    socket.on('close', () => {
      clearTimeout(timer);
      resolve({ error: 'the connection was closed' });
    });
  });
}
