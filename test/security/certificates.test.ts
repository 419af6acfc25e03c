/** The certificate of the authenticity listener, renewed while it serves. */
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import { CertificateWatch } from '../../src/listeners/authenticity/certificate.ts';
import type { Notice } from '../../src/store/notice.ts';
import { makeCertificate } from '../support/certificate.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { rawRequest } from '../support/raw-http.ts';
import { Receiver } from '../support/receiver.ts';
import { until } from '../support/until.ts';

const folders: GuardedFolder[] = [];
let receiver: Receiver | undefined;
let watch: CertificateWatch | undefined;
afterEach(async () => {
  watch?.stop();
  await receiver?.stop();
  await Promise.all(folders.splice(0).map((folder) => folder.remove()));
});

async function pairIn(): Promise<{ certFile: string; keyFile: string }> {
  const folder = await GuardedFolder.make('tls-');
  folders.push(folder);
  return makeCertificate(folder.path);
}

/** The fingerprint of the certificate that a new connection is shown; a post over it is answered. */
async function served(port: number): Promise<string> {
  const socket: TLSSocket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.write(rawRequest({ body: 'seid=a&sid=b' }));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  socket.destroy();
  return fingerprint256;
}

test('a new pair serves without a restart; a broken one is reported, and the old one stays', async () => {
  const files = await pairIn();
  const pair = { cert: await readFile(files.certFile), key: await readFile(files.keyFile) };
  const troubles: Notice[] = [];
  const started = await Receiver.start({ tls: pair, limits: { idleGraceMs: 20 } });
  receiver = started;
  watch = new CertificateWatch({
    files,
    pair,
    use: (found) => started.listener.useCertificate(found),
    onNotice: (trouble) => troubles.push(trouble),
    everyMs: 20,
  });
  watch.start();
  const first = await served(started.port);
  const codes = (): string[] => troubles.map(({ code }) => code);

  // A certificate whose key is another's, then none at all.
  const renewed = await pairIn();
  await copyFile(renewed.certFile, files.certFile);
  await until('the broken pair is reported', () => codes().length === 1);
  expect(await served(started.port)).toBe(first);
  await writeFile(files.certFile, 'no certificate');
  await until('the file without a certificate is reported', () => codes().length === 2);
  expect(codes()).toEqual(['tls_not_reloaded', 'tls_not_reloaded']);
  expect(await served(started.port)).toBe(first);

  await copyFile(renewed.certFile, files.certFile);
  await copyFile(renewed.keyFile, files.keyFile);
  await until('the new pair serves', () => codes().at(-1) === 'tls_reloaded');
  const second = await served(started.port);
  expect(second).not.toBe(first);

  watch.stop();
  const key = (await readFile(files.keyFile, 'utf8')).split('\n')[1] ?? '';
  expect(JSON.stringify(troubles)).not.toContain(key);
  expect(join(files.certFile)).toBe(troubles.at(-1)?.facts?.['certFile']);
});
