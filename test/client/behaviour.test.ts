/** The client with the real service. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTokenSource, createWorkerClient, type WorkerClient } from '../../src/client/index.ts';
import { latch } from '../support/latch.ts';
import { LOOPBACK } from '../support/ports.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

/** A wait that a test ends before it is over. */
const LONG = { timeout: 60_000 };
const NOW = { timeout: 0 };

const newValue = (): string => randomBytes(32).toString('hex');
const newName = (): string => randomBytes(8).toString('hex');

describe('the client', () => {
  let service: RestartableService;
  let client: WorkerClient;
  beforeEach(async () => {
    service = await RestartableService.start();
    client = createWorkerClient({ url: service.workerUrl });
  });
  afterEach(() => service.stop());

  const parked = (count = 1) => until(`${count} wait`, () => service.waiting === count);

  describe('waiting', () => {
    it('gets a token that exists, and one that arrives later', async () => {
      const [merchantData, sid, value] = [newName(), newName(), newValue()];
      const waiting = client.waitForToken({ sid, kind: 'seid' }, LONG);
      await parked();
      await service.post({ seid: value, merchant_data: merchantData, sid });
      const token = await waiting;
      expect(token).toMatchObject({ kind: 'seid', value, merchantData, sid, merchant: 'default', claim: null });
      expect(token?.expiresAt.getTime()).toBeGreaterThan(token?.receivedAt.getTime() ?? Number.NaN);
      expect(await client.waitForToken({ merchantData }, NOW)).toEqual(token);
    });

    it('resolves with undefined when no token came in time', async () => {
      expect(await client.waitForToken({ orderId: newName() }, { timeout: 50 })).toBeUndefined();
      expect(await client.claim({ kind: 'nit', orderId: newName() }, NOW)).toBeUndefined();
    });

    it('continues through a restart of the service', async () => {
      const merchantUsn = newName().slice(0, 12);
      const waiting = client.waitForToken({ merchantUsn }, LONG);
      await parked();
      await service.suspend();
      await service.resume();
      await parked();
      const value = newValue();
      await service.post({ nit: value, merchantUSN: merchantUsn });
      expect(await waiting).toMatchObject({ value, merchantUsn });
    });

    it('starts while the service is down, and claims when it is up', async () => {
      const orderId = newName();
      await service.suspend();
      const refused = latch();
      const watched: typeof fetch = (...args) =>
        fetch(...args).catch((error: unknown) => {
          refused.open();
          throw error;
        });
      const waiting = createWorkerClient({ url: service.workerUrl, fetch: watched }).claim({ orderId }, LONG);
      await refused.opened;
      await service.resume();
      await service.post({ nit: newValue(), pedido: orderId });
      expect(await waiting).toMatchObject({ orderId, claim: { deliveries: 1 } });
    });

    it('continues when the network was cut', async () => {
      const proxy = await startProxy({ host: LOOPBACK, port: service.workerPort });
      const merchantData = newName();
      const waiting = createWorkerClient({ url: `http://${LOOPBACK}:${proxy.port}` }).claim({ merchantData }, LONG);
      await parked();
      await proxy.mode({ kind: 'refuse' });
      proxy.cut();
      await until('nobody waits', () => service.waiting === 0);
      await proxy.mode({ kind: 'pass' });
      await parked();
      await service.post({ seid: newValue(), merchant_data: merchantData });
      expect(await waiting).toMatchObject({ merchantData });
      await proxy.stop();
    });

    it('rejects with the abort reason and takes no token', async () => {
      const merchantData = newName();
      const stop = new AbortController();
      const claiming = client.claim({ merchantData }, { ...LONG, signal: stop.signal });
      await parked();
      stop.abort(new Error('enough'));
      await expect(claiming).rejects.toThrow('enough');
      await until('nobody waits', () => service.waiting === 0);
      await service.post({ seid: newValue(), merchant_data: merchantData });
      expect(await client.claim({ merchantData }, NOW)).toMatchObject({ claim: { deliveries: 1 } });
      await expect(client.claim({ merchantData }, { signal: stop.signal })).rejects.toThrow('enough');
    });
  });

  describe('holding', () => {
    it('gives a token to one of two, and to the other after a release', async () => {
      await service.post({ token: newValue() });
      const first = await client.claim({ kind: 'token' }, NOW);
      const second = client.claim({ kind: 'token', claimId: 'second' }, LONG);
      await parked();
      if (first === undefined) throw new Error('expected a token');
      await client.release(first);
      const again = await second;
      expect(again).toMatchObject({ value: first.value, claim: { id: 'second', deliveries: 2 } });
      for (const _ of [1, 2]) if (again) await client.used(again);
      await expect(client.used(first)).rejects.toMatchObject({ code: 'lease_lost' });
    });

    it('names the holder of a claimed token, and reports a used one', async () => {
      const merchantData = newName();
      await service.post({ seid: newValue(), merchant_data: merchantData });
      await client.claim({ merchantData, claimId: 'holder', lease: 30_000 }, NOW);
      const refused = client.claim({ merchantData }, NOW);
      await expect(refused).rejects.toMatchObject({ code: 'claimed', status: 409, claimId: 'holder' });
      await expect(refused).rejects.toMatchObject({ leaseExpiresAt: expect.any(Date) });
      const token = await client.waitForToken({ merchantData }, NOW);
      if (token) await client.useToken(token);
      await expect(client.waitForToken({ merchantData }, NOW)).rejects.toMatchObject({ code: 'used', status: 410 });
    });

    it('holds the token of a flow as long as its call to Carat may take', async () => {
      const source = createTokenSource(client);
      const announced = await source.announce({ kind: 'seid', ttlSeconds: 60 });
      const merchantData = announced.selector.merchant_data ?? '';
      await service.post({ seid: newValue(), merchant_data: merchantData });
      const { signal } = new AbortController();
      const held = await source.take(announced, { claimId: 'flow', timeoutMs: 120_000, signal });
      const token = await client.waitForToken({ merchantData }, NOW);
      const leaseMs = Number(token?.claim?.leaseExpiresAt) - Number(token?.receivedAt);
      expect(leaseMs).toBeGreaterThanOrEqual(120_000);
      if (held !== undefined) await source.used(held);
    });

    it('settles through a restart of the service', async () => {
      await service.post({ token: newValue() });
      const held = await client.claim({ kind: 'token' }, NOW);
      if (held === undefined) throw new Error('expected a token');
      await service.suspend();
      const settling = client.used(held, LONG);
      await service.resume();
      await settling;
      await expect(client.release(held)).rejects.toMatchObject({ code: 'used' });
    });

    it('rejects waits whose expectation is cancelled', async () => {
      const expected = await client.expect({ kind: 'seid' });
      expect(expected.merchantData).toMatch(/^[0-9a-z]{20}$/);
      const waiting = client.waitForToken({ merchantData: expected.merchantData ?? '' }, LONG);
      await parked();
      await client.cancelExpectation(expected);
      await expect(waiting).rejects.toMatchObject({ code: 'cancelled', status: 410 });
    });
  });
});
