/** Requests to the public listener outside of an authenticity path: counted, logged and shown. */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { makeCertificate } from '../../support/certificate.ts';
import { GuardedFolder } from '../../support/guarded-folder.ts';
import { RawConnection, rawRequest, statusOf } from '../../support/raw-http.ts';
import { RunningService } from '../../support/service.ts';
import { until } from '../../support/until.ts';

const PATH = '/a/5ecr37path';
let running: RunningService | undefined;
let folder: GuardedFolder | undefined;

afterEach(async () => {
  await running?.stop();
  await folder?.remove();
  [running, folder] = [undefined, undefined];
});

async function start(env: Record<string, string> = {}): Promise<{ service: RunningService; port: number }> {
  running = await RunningService.start({ env: { AUTHENTICITY_PATHS: `shop=${PATH}`, ...env } });
  return { service: running, port: Number(new URL(running.service.authenticityUrl).port) };
}

async function counts(service: RunningService): Promise<Record<string, number>> {
  const { text } = await service.worker('GET', '/metrics');
  const lines = text.matchAll(/^carat_authenticity_doors_total\{door="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, door = '', count]) => [door, Number(count)]));
}

test('counts, logs and shows requests to other paths and broken HTTP, without the path', async () => {
  const { service, port } = await start();
  expect(await counts(service)).toEqual({
    not_found: 0,
    near_miss: 0,
    bad_request: 0,
    tls_handshake: 0,
    alpn: 0,
    given_up: 0,
  });
  const targets = [
    '/wp-login.php',
    `${PATH}x`,
    `/prefix${PATH}/?token=SeCrEt`,
    `http://carat.test${PATH.slice(0, -1)}`,
  ];
  for (const target of targets) {
    const connection = await RawConnection.open(port);
    connection.write(rawRequest({ target, body: 'seid=SeCrEt' }));
    expect(statusOf(await connection.answer())).toBe(404);
    connection.destroy();
  }
  for (const bytes of ['nonsense\r\n\r\n', 'CONNECT elsewhere:443 HTTP/1.1\r\nHost: a\r\n\r\n']) {
    const connection = await RawConnection.open(port);
    connection.write(bytes);
    await connection.isClosed();
    connection.destroy();
  }
  expect(await counts(service)).toMatchObject({ not_found: 2, near_miss: 3, bad_request: 1 });
  const logged = service.log.map((line) => JSON.parse(line)).filter(({ event }) => event === 'door');
  expect(logged).toMatchObject([
    { door: 'not_found', from: '127.0.0.1' },
    { door: 'near_miss', merchant: 'shop', from: '127.0.0.1' },
    { door: 'near_miss', merchant: 'shop' },
    { door: 'near_miss', merchant: 'shop' },
    { door: 'bad_request', reason: 'HPE_INVALID_METHOD' },
    { door: 'not_found' },
  ]);
  const { text: page } = await service.worker('GET', '/');
  expect(page).toMatch(/nearly the path of a merchant[\s\S]*shop[\s\S]*<div>3<\/div>/);
  for (const seen of [page, service.log.join()]) {
    expect(seen).not.toContain('5ecr37pat');
    expect(seen).not.toContain('SeCrEt');
  }
});

test('limits the log lines of a flood of them', async () => {
  const { service, port } = await start();
  for (let count = 0; count < 60; count += 1) {
    const connection = await RawConnection.open(port);
    connection.write(rawRequest({ target: `/${count}-wp-login.php` }));
    expect(statusOf(await connection.answer())).toBe(404);
    connection.destroy();
  }
  expect(await counts(service)).toMatchObject({ not_found: 60 });
  const lines = service.log.map((line) => JSON.parse(line)).filter(({ event, more }) => event === 'door' && !more);
  expect(lines).toHaveLength(20);
});

test('counts failed TLS handshakes by cause, and ignores a client that only connects', async () => {
  folder = await GuardedFolder.make('doors-');
  const { certFile, keyFile } = await makeCertificate(folder.path);
  const { service, port } = await start({ TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile });
  const ca = await readFile(certFile);
  const at = { port, host: '127.0.0.1', servername: 'localhost' };
  const door = (name: string): Promise<unknown> => until(name, async () => (await counts(service))[name] === 1);

  connect(at).destroy();
  connectTls({ ...at, ca, ALPNProtocols: ['h2'] }).on('error', () => {});
  await door('alpn');
  // It does not trust the certificate.
  connectTls(at).on('error', () => {});
  await door('tls_handshake');
  connect(at)
    .on('error', () => {})
    .write('GET / HTTP/1.1\r\n\r\n');
  await until('plain HTTP is counted', async () => (await counts(service))['tls_handshake'] === 2);

  const genuine = await RawConnection.open(port, { ca });
  genuine.write(rawRequest({ target: PATH, body: 'seid=x' }));
  expect(statusOf(await genuine.answer())).toBe(200);
  genuine.destroy();
  expect(await counts(service)).toMatchObject({ alpn: 1, tls_handshake: 2, bad_request: 0 });
  const reasons = service.log.map((line) => JSON.parse(line)).filter(({ event }) => event === 'door');
  expect(reasons.map(({ reason }) => reason)).toEqual([
    'ERR_SSL_NO_APPLICATION_PROTOCOL',
    'ECONNRESET',
    'ERR_SSL_HTTP_REQUEST',
  ]);
});
