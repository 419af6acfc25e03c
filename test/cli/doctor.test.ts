/** The doctor, with good and bad addresses. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { runCli } from '../support/run.ts';

const KEY = 'a-key-of-the-tests';
const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const answering = (listener: RequestListener) => listen(createServer(listener)).then((at) => `http://${at}/a`);

interface Finding {
  check: string;
  state: string;
  seen: string;
  mend?: string;
}
async function diagnose(...args: string[]): Promise<{ code: number | null; findings: Map<string, Finding> }> {
  const { code, out, error } = await runCli(['doctor', '--json', ...args]);
  expect(error).toBe('');
  const { ok, findings } = JSON.parse(out) as { ok: boolean; findings: Finding[] };
  expect(ok).toBe(code === 0);
  return { code, findings: new Map(findings.map((finding) => [finding.check, finding])) };
}

it.each(['any', 'expected'])(
  'passes our service up to the handover (ACCEPT=%s), and uses the token that it sent',
  async (accept) => {
    const service = await RestartableService.start({ ACCEPT: accept, WORKER_API_KEYS: KEY });
    open.push(() => service.stop());
    const { code, findings } = await diagnose(service.authenticityUrl, '--worker', service.workerUrl, '--key', KEY);
    expect([...findings.values()].filter(({ state }) => state === 'fail')).toEqual([]);
    expect(code).toBe(0);
    expect(findings.get('handed over: schedule edit')).toMatchObject({ state: 'pass' });
    expect(findings.get('handed over: generic operation')).toMatchObject({ state: 'pass' });
    const left = await runCli([
      'claim',
      '--kind',
      'token',
      '--timeout',
      '0',
      '--worker',
      service.workerUrl,
      '--key',
      KEY,
    ]);
    expect(left.code).toBe(3);
  },
);

it('reports a post that arrives at another instance', async () => {
  const service = await RestartableService.start({ AUTHENTICITY_PATHS: 'default=/authenticity,other=/other' });
  open.push(() => service.stop());
  const url = service.authenticityUrl.replace('/authenticity', '/other');
  const { code, findings } = await diagnose(url, '--worker', service.workerUrl);
  expect(code).toBe(1);
  expect(findings.get('recharge')).toMatchObject({ state: 'pass' });
  expect(findings.get('handed over: recharge')).toMatchObject({ state: 'fail', seen: 'it did not arrive' });
});

it.each([
  [302, 'Carat does not follow'],
  [204, 'answer exactly 200'],
  [404, 'the path is not served'],
])('says how to fix an answer of %i', async (status, mend) => {
  const url = await answering((_request, response) =>
    response.writeHead(status, status === 302 ? { location: 'https://elsewhere.example/a' } : {}).end(),
  );
  const { code, findings } = await diagnose(url);
  expect(code).toBe(1);
  expect(findings.get('schedule edit')).toMatchObject({ state: 'fail', mend: expect.stringContaining(mend) });
  expect(findings.get('empty body')).toMatchObject({ state: 'fail', seen: expect.stringContaining(String(status)) });
});

it('reports a server that refuses only some variants of a post', async () => {
  const url = await answering((request, response) => {
    const bare = request.headers['content-type']?.includes('ISO-8859-1') === true;
    response.writeHead(bare ? 415 : request.method === 'POST' ? 200 : 405).end('OK');
  });
  const { code, findings } = await diagnose(url);
  expect(code).toBe(1);
  expect([...findings.values()].filter(({ state }) => state === 'fail').map(({ check }) => check)).toEqual([
    'charset ISO-8859-1',
  ]);
  expect(findings.get('GET')).toMatchObject({ state: 'warn' });
});

it('reports a server that hangs and one that closes the connection', async () => {
  const hanging = await diagnose(await answering(() => {}), '--timeout', '0.2');
  expect(hanging.findings.get('schedule edit')).toMatchObject({
    state: 'fail',
    seen: 'no answer: no answer within 0.2 s',
  });
  const closing = await diagnose(await answering((request) => request.destroy()));
  expect(closing.findings.get('schedule edit')).toMatchObject({
    state: 'fail',
    seen: expect.stringContaining('closed'),
  });
  expect([hanging.code, closing.code]).toEqual([1, 1]);
});

it('reports a name that does not resolve', async () => {
  const { code, findings } = await diagnose('https://nobody.invalid/a');
  expect(code).toBe(1);
  expect(findings.get('name')).toMatchObject({ state: 'fail', seen: expect.stringContaining('does not resolve') });
  expect(findings.get('schedule edit')).toBeUndefined();
});

it('checks certificates: trusted, unknown and expired', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'doctor-'));
  open.push(() => rm(folder, { recursive: true }));
  const { certFile, keyFile } = await makeCertificate(folder);
  const expiredFile = join(folder, 'expired.pem');
  await promisify(execFile)('openssl', [
    ...['req', '-new', '-key', keyFile, '-subj', '/CN=localhost', '-out', join(folder, 'request.pem')],
  ]);
  await promisify(execFile)('openssl', [
    ...['x509', '-req', '-in', join(folder, 'request.pem'), '-signkey', keyFile, '-days', '0', '-out', expiredFile],
  ]);
  const serve = async (file: string) => {
    const [cert, key] = await Promise.all([readFile(file), readFile(keyFile)]);
    const at = await listen(createTlsServer({ cert, key }, (_request, response) => response.end('OK')));
    return `https://${at.replace('127.0.0.1', 'localhost')}/a`;
  };
  const good = await serve(certFile);
  const trusted = await diagnose(good, '--ca', certFile);
  expect(trusted.findings.get('TLS')).toMatchObject({ state: 'pass', seen: 'TLSv1.3' });
  expect(trusted.findings.get('certificate chain')).toMatchObject({ state: 'pass' });
  expect(trusted.code).toBe(0);
  const unknown = await diagnose(good);
  expect(unknown.findings.get('certificate chain')).toMatchObject({ state: 'fail' });
  const expired = await diagnose(await serve(expiredFile));
  expect(expired.findings.get("certificate's end")).toMatchObject({
    state: 'fail',
    mend: expect.stringContaining('renew'),
  });
  expect(expired.findings.get('schedule edit')).toMatchObject({ state: 'pass' });
  expect([unknown.code, expired.code]).toEqual([1, 1]);
});

it('reports a server without a current TLS version', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'doctor-'));
  open.push(() => rm(folder, { recursive: true }));
  const { certFile, keyFile } = await makeCertificate(folder);
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  const at = await listen(createTlsServer({ cert, key, ...old }, (_request, response) => response.end('OK')));
  const { code, findings } = await diagnose(`https://${at}/a`);
  expect(code).toBe(1);
  expect(findings.get('TLS')).toMatchObject({ state: 'fail', mend: expect.stringContaining('TLS 1.2 or 1.3') });
});

it('prints a readable report', async () => {
  const url = await answering((_request, response) => response.writeHead(302, { location: '/b' }).end());
  const { code, out } = await runCli(['doctor', url]);
  expect(code).toBe(1);
  expect(out).toMatch(/✗ schedule edit +answered 302, to \/b\n +→ register the address it redirects to/);
  expect(out).toContain('This URL does not satisfy Carat');
  expect(out).toContain("? Carat's patience");
});
