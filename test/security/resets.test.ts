/** Clients that reset their connection at any moment: the process survives, and answers the next post. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { expect, test } from 'vitest';
import { makeCertificate } from '../support/certificate.ts';
import { useDataDir } from '../support/data-dir.ts';
import { RawConnection, rawRequest, statusOf } from '../support/raw-http.ts';
import { reset } from '../support/tcp-reset.ts';

const data = useDataDir();
const CONNECT = 'CONNECT /authenticity HTTP/1.1\r\nHost: a\r\n\r\n';
const UPGRADE =
  'POST /authenticity HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 100\r\n\r\n';
const POST = rawRequest({ body: 'seid=reset' }).toString();
const HALF = 'POST /authenticity HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nseid=half';
const ROUNDS = 40;

async function resetAfter(port: number, bytes: string): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1' }).on('error', () => {});
  await once(socket, 'connect');
  await new Promise((resolve) => socket.write(bytes, resolve));
  await new Promise((resolve) => setImmediate(resolve));
  reset(socket);
}

test.each([
  ['CONNECT to an authenticity path', CONNECT],
  ['CONNECT to another path', CONNECT.replace('/authenticity', 'elsewhere:443')],
  ['an upgrade', UPGRADE],
  ['a whole post', POST],
  ['many posts in a row', POST.repeat(50)],
  ['half a post', HALF],
  ['broken HTTP', 'nonsense\r\n\r\n'],
  ['nothing', ''],
])('survives resets after %s', async (_name, bytes) => {
  const service = await data.start();
  for (let round = 0; round < ROUNDS; round += 1) {
    await Promise.all(Array.from({ length: 4 }, () => resetAfter(service.authenticityPort, bytes)));
  }
  expect(await service.post({ seid: 'after' })).toBe(200);
  expect(service.events('bug')).toEqual([]);
});

test('survives resets of TLS connections, before, in and after the handshake', async () => {
  const { certFile, keyFile } = await makeCertificate(data.path);
  const ca = await readFile(certFile);
  const service = await data.start({ env: { TLS_CERT_FILE: certFile, TLS_KEY_FILE: keyFile } });
  const port = service.authenticityPort;
  for (let round = 0; round < ROUNDS; round += 1) {
    await resetAfter(port, '');
    await resetAfter(port, '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03');
    const raw = connect({ port, host: '127.0.0.1' }).on('error', () => {});
    const secure = connectTls({ socket: raw, ca, servername: 'localhost' }).on('error', () => {});
    await once(secure, 'secureConnect');
    await new Promise((resolve) => secure.write(CONNECT, resolve));
    reset(raw);
  }
  const connection = await RawConnection.open(port, { ca });
  connection.write(POST);
  expect(statusOf(await connection.answer())).toBe(200);
  connection.destroy();
  expect(service.events('bug')).toEqual([]);
});

test('survives an uncaught exception from one socket', async () => {
  const preload = `process.once('SIGUSR2', () => {
    throw Object.assign(new Error('read ECONNRESET'), { errno: -104, code: 'ECONNRESET', syscall: 'read' });
  });`;
  const command = [process.execPath, '--import', `data:text/javascript,${encodeURIComponent(preload)}`] as const;
  const service = await data.start({ command: [...command, 'dist/main.js'] });
  service.signal('SIGUSR2');
  expect(await service.logs('bug')).toMatchObject({ level: 50, where: 'process' });
  expect(await service.post({ seid: 'after' })).toBe(200);
  service.signal('SIGTERM');
  expect(await service.exited).toEqual({ code: 0, signal: null });
});
