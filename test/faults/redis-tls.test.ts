/**
 * TLS to a Redis Cluster: a failed verification is reported and ends nothing, and certificates with
 * names verify.
 */
import { afterEach, expect, it } from 'vitest';
import { type Certificate, makeCertificate } from '../support/certificate.ts';
import { GuardedFolder } from '../support/guarded-folder.ts';
import { Instance } from '../support/instance.ts';
import { type RedisCluster, startCluster } from '../support/redis-cluster.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';

const stops: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function certificate(names?: string): Promise<Certificate> {
  const folder = await GuardedFolder.make('tls-');
  stops.push(() => folder.remove());
  return makeCertificate(folder.path, names);
}

async function serve(storeUrl: string): Promise<ServiceProcess> {
  const folder = await GuardedFolder.make('tls-data-');
  const service = await ServiceProcess.start({ env: { STORE_URL: storeUrl, DATA_DIR: folder.path } });
  stops.push(async () => {
    await service.kill();
    await folder.remove();
  });
  return service;
}

/** Every node shows this certificate from now on, to new connections. */
async function exchange(cluster: RedisCluster, { certFile, keyFile }: Certificate): Promise<void> {
  for (const node of cluster.nodes) {
    await node.command('CONFIG', 'SET', 'tls-cert-file', certFile, 'tls-key-file', keyFile);
  }
}

it('keeps posts when the authority of a TLS cluster is unknown', async () => {
  const [trusted, stranger] = [await certificate(), await certificate()];
  const cluster = await startCluster({ tls: trusted });
  stops.push(() => cluster.stop());
  const service = await serve(`${cluster.url}?ca=${stranger.certFile}`);
  // Each attempt to connect ends several handshakes: many of them pass.
  for (let attempts = 0; attempts < 30; attempts++) {
    expect(await service.post({ seid: `s${attempts}`, merchant_data: `m${attempts}` })).toBe(200);
    await until('another line or post', () => service.log.length > attempts);
  }
  expect(service.events('bug')).toEqual([]);
  expect(
    service
      .troubles('redis_unreachable')
      .map(({ msg }) => msg)
      .join(),
  ).toContain('self-signed certificate');
  expect((await service.readiness()).store.state).toBe('away');
}, 60_000);

it('survives a wrong certificate at run time, and recovers when it is corrected', async () => {
  const [trusted, stranger] = [await certificate(), await certificate()];
  const cluster = await startCluster({ tls: trusted });
  stops.push(() => cluster.stop());
  const service = await serve(`${cluster.url}?ca=${trusted.certFile}`);
  await until('Redis is there', async () => (await service.readiness()).store.state === 'ok');
  await exchange(cluster, stranger);
  for (const node of cluster.nodes) await node.command('CLIENT', 'KILL', 'SKIPME', 'yes');
  await until('the store is away', async () => (await service.readiness()).store.state === 'away');
  for (const at of [0, 1, 2]) expect(await service.post({ seid: `d${at}`, merchant_data: `d${at}` })).toBe(200);
  await exchange(cluster, trusted);
  await until('Redis is there again', async () => (await service.readiness()).store.state === 'ok', 30_000);
  await until('the post is there', async () => (await service.read({ merchant_data: 'd1' })).value === 'd1');
  expect(service.events('bug')).toEqual([]);
}, 60_000);

it('verifies certificates with host names by the names that the nodes announce', async () => {
  const tls = await certificate('DNS:localhost');
  const config = { 'cluster-announce-hostname': 'localhost', 'cluster-preferred-endpoint-type': 'hostname' };
  const cluster = await startCluster({ tls, config });
  stops.push(() => cluster.stop());
  const instance = await Instance.start(`${cluster.url.replaceAll('127.0.0.1', 'localhost')}?ca=${tls.certFile}`);
  stops.push(() => instance.stop());
  await instance.settled();
  await instance.post({ seid: 'named', merchant_data: 'named' });
  expect((await instance.read({ merchant_data: 'named' })).body).toMatchObject({ value: 'named' });
  expect((await instance.ready()).store).toEqual({ kind: 'redis', state: 'ok' });
}, 60_000);
