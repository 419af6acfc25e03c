/** `withToken` with the real service. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWorkerClient, type WorkerClient } from '../../src/client/index.ts';
import { latch } from '../support/latch.ts';
import { LOOPBACK } from '../support/ports.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { startProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';

const newValue = (): string => randomBytes(32).toString('hex');

const NOW = { timeout: 0 };

describe('withToken with ACCEPT=expected', () => {
  let service: RestartableService;
  let client: WorkerClient;
  /** How often a claim was asked for: the first, and each renewal. */
  let claims = 0;
  beforeEach(async () => {
    service = await RestartableService.start({ ACCEPT: 'expected' });
    claims = 0;
    const counted: typeof fetch = async (input, init) => {
      const response = await fetch(input, init);
      if (init?.method === 'PUT' && response.status === 200) claims += 1;
      return response;
    };
    client = createWorkerClient({ url: service.workerUrl, fetch: counted });
  });
  afterEach(() => service.stop());

  const postSeid = ({ merchantData = '' }, value = newValue()) =>
    service.post({ seid: value, merchant_data: merchantData, sid: 'S' });

  it('announces, waits before the call, takes the token, and settles it', async () => {
    const value = newValue();
    let merchantData = '';
    const result = await client.withToken(
      { kind: 'seid' },
      async (announced) => {
        merchantData = announced.merchantData ?? '';
        await until('the wait is open', () => service.waiting === 1);
        await postSeid(announced, value);
      },
      async (token) => {
        await expect(client.claim({ merchantData }, NOW)).rejects.toMatchObject({ code: 'claimed' });
        return token.value;
      },
    );
    expect(result).toBe(value);
    await expect(client.claim({ merchantData }, NOW)).rejects.toMatchObject({ code: 'used' });
  });

  it('takes a token without correlator, and one by its order_id', async () => {
    const values = [newValue(), newValue()] as const;
    const pooled = client.withToken(
      { kind: 'token' },
      () => service.post({ token: values[0] }),
      async ({ value }) => value,
    );
    const ordered = client.withToken(
      { kind: 'nit', orderId: 'A-77' },
      () => service.post({ nit: values[1], pedido: 'A-77' }),
      async ({ value }) => value,
    );
    expect(await Promise.all([pooled, ordered])).toEqual(values);
  });

  it('cancels the expectation when the call fails, and holds nothing', async () => {
    const failure = new Error('denied by Carat');
    let merchantData = '';
    const failing = client.withToken(
      { kind: 'seid' },
      async (announced) => {
        merchantData = announced.merchantData ?? '';
        throw failure;
      },
      async () => expect.unreachable(),
    );
    await expect(failing).rejects.toBe(failure);
    await expect(client.waitForToken({ merchantData }, NOW)).rejects.toMatchObject({ code: 'cancelled' });
    await until('nobody waits', () => service.waiting === 0);
  });

  it('puts the token back when the call fails', async () => {
    const failing = client.withToken(
      { kind: 'token' },
      async () => {
        await service.post({ token: newValue() });
        await until('it is claimed', () => claims === 1);
        throw new Error('denied by Carat');
      },
      async () => expect.unreachable(),
    );
    await expect(failing).rejects.toThrow('denied');
    expect(await client.claim({ kind: 'token' }, NOW)).toMatchObject({ claim: { deliveries: 2 } });
  });

  it('puts the token back when the work throws, unless it was spent', async () => {
    const attempt = (spends: boolean) =>
      client.withToken(
        { kind: 'nit', orderId: 'A-78' },
        () => service.post({ nit: 'the-nit', pedido: 'A-78' }),
        async (_token, { spend }) => {
          if (spends) await spend();
          throw new Error('the work failed');
        },
      );
    await expect(attempt(false)).rejects.toThrow('the work failed');
    expect(await client.waitForToken({ orderId: 'A-78' }, NOW)).toMatchObject({ claim: null });
    await expect(attempt(true)).rejects.toThrow('the work failed');
    await expect(client.waitForToken({ orderId: 'A-78' }, NOW)).rejects.toMatchObject({ code: 'used' });
  });

  it('rejects when the call succeeds and no token comes', async () => {
    const silent = client.withToken(
      { kind: 'seid', grace: 20 },
      async () => {},
      async () => expect.unreachable(),
    );
    await expect(silent).rejects.toMatchObject({ code: 'no_token' });
  });

  it('renews the lease while the work runs', async () => {
    await client.withToken(
      { kind: 'token', lease: 1000 },
      () => service.post({ token: newValue() }),
      async (token) => {
        const ends = token.claim.leaseExpiresAt.getTime();
        await until('it is renewed four times, past its first end', () => claims > 4);
        const another = createWorkerClient({ url: service.workerUrl });
        expect(await another.claim({ kind: 'token' }, NOW)).toBeUndefined();
        const renewed = await another.claim({ kind: 'token', claimId: token.claim.id, lease: 1000 }, NOW);
        expect(renewed?.claim.leaseExpiresAt.getTime()).toBeGreaterThan(ends);
        expect(renewed).toMatchObject({ id: token.id, claim: { deliveries: 1 } });
      },
    );
  });

  it('holds the token while the call to Carat goes on for longer than a lease', async () => {
    const deliveries = await client.withToken(
      { kind: 'token', lease: 1000 },
      async () => {
        await service.post({ token: newValue() });
        await until('it is renewed four times, past its first end', () => claims > 4);
      },
      async (token) => {
        const another = createWorkerClient({ url: service.workerUrl });
        expect(await another.claim({ kind: 'token' }, NOW)).toBeUndefined();
        return (await another.renew(token, { lease: 1000 })).claim.deliveries;
      },
    );
    expect(deliveries).toBe(1);
  });

  it('renews only what a claim holds', async () => {
    for (const _ of [1, 2]) await client.expect({ kind: 'token' });
    await service.post({ token: newValue() });
    const held = await client.claim({ kind: 'token' }, NOW);
    if (held === undefined) throw new Error('expected a token');
    expect(await client.renew(held, { lease: 300_000 })).toMatchObject({ id: held.id, claim: { deliveries: 1 } });
    await client.used(held);
    await service.post({ token: newValue() });
    await expect(client.renew(held)).rejects.toMatchObject({ code: 'lease_lost', status: 409 });
    expect(await client.claim({ kind: 'token' }, NOW)).toMatchObject({ claim: { deliveries: 1 } });
  });

  it('ignores a renewal that arrives after the use, and takes no other token', async () => {
    const renewalAsked = latch();
    const spentAtService = latch();
    const renewalAnswered = latch();
    let isTaken = false;
    // A renewal is pending when the token is spent. It arrives later, and its answer comes first.
    const crossing: typeof fetch = async (input, init) => {
      const isRenewal = isTaken && init?.method === 'PUT';
      if (isRenewal) {
        renewalAsked.open();
        await spentAtService.opened;
      }
      const response = await fetch(input, isRenewal ? { ...init, signal: null } : init);
      isTaken ||= init?.method === 'PUT' && response.status === 200;
      if (isRenewal) setImmediate(renewalAnswered.open);
      if (init?.method === 'DELETE') {
        spentAtService.open();
        await renewalAnswered.opened;
      }
      return response;
    };
    await client.expect({ kind: 'token' });
    const aborted = await createWorkerClient({ url: service.workerUrl, fetch: crossing }).withToken(
      { kind: 'token', lease: 1000 },
      () => service.post({ token: newValue() }),
      async (_token, { spend, signal }) => {
        await service.post({ token: newValue() });
        await renewalAsked.opened;
        await spend();
        return signal.aborted;
      },
    );
    expect(aborted).toBe(false);
    expect(await client.claim({ kind: 'token' }, NOW)).toMatchObject({ claim: { deliveries: 1 } });
  });

  it('aborts the work before the lease ends when the service does not answer', async () => {
    const proxy = await startProxy({ host: LOOPBACK, port: service.workerPort });
    const lost = latch<unknown>();
    const working = createWorkerClient({ url: `http://${LOOPBACK}:${proxy.port}` }).withToken(
      { kind: 'nit', orderId: 'A-80', lease: 5000 },
      () => service.post({ nit: newValue(), pedido: 'A-80' }),
      async (token, { signal }) => {
        signal.addEventListener('abort', () => lost.open(signal.reason));
        await proxy.mode({ kind: 'stall', direction: 'both' });
        expect(await lost.opened).toMatchObject({ code: 'lease_lost' });
        // The work stops before another worker can get the token.
        await expect(client.claim({ orderId: 'A-80' }, NOW)).rejects.toMatchObject({
          code: 'claimed',
          claimId: token.claim.id,
        });
        await proxy.mode({ kind: 'pass' });
      },
    );
    await working;
    await proxy.stop();
  });

  it('continues while renewals are refused, until the lease ends', async () => {
    let refused = 0;
    const old: typeof fetch = async (input, init) => {
      const isRenewal = init?.method === 'PUT' && String(init.body).includes('"renew"');
      if (!isRenewal) return fetch(input, init);
      refused += 1;
      return fetch(input, { ...init, body: JSON.stringify({ renew: 'no such parameter' }) });
    };
    const lost = latch<unknown>();
    await createWorkerClient({ url: service.workerUrl, fetch: old }).withToken(
      { kind: 'token', lease: 1000 },
      () => service.post({ token: newValue() }),
      async (_token, { signal }) => {
        signal.addEventListener('abort', () => lost.open(signal.reason));
        await until('it is asked for a second time', () => refused > 1);
        expect(await lost.opened).toMatchObject({ code: 'lease_lost' });
      },
    );
  });

  it('aborts the work when its token is lost', async () => {
    const lost = latch<unknown>();
    const unsettled = latch<unknown>();
    const working = client.withToken(
      { kind: 'nit', orderId: 'A-79', lease: 1000, onUnsettled: unsettled.open },
      () => service.post({ nit: newValue(), pedido: 'A-79' }),
      async (token, { signal }) => {
        signal.addEventListener('abort', () => lost.open(signal.reason));
        await client.release(token);
        await client.claim({ orderId: 'A-79', claimId: 'another' }, NOW);
        expect(await lost.opened).toMatchObject({ code: 'lease_lost' });
        return 'done all the same';
      },
    );
    expect(await working).toBe('done all the same');
    expect(await unsettled.opened).toMatchObject({ code: 'lease_lost' });
  });

  it('ends when the caller aborts, and cancels the expectation', async () => {
    const stop = new AbortController();
    let merchantData = '';
    const working = client.withToken(
      { kind: 'seid', signal: stop.signal },
      async (announced, signal) => {
        merchantData = announced.merchantData ?? '';
        stop.abort(new Error('shutting down'));
        expect(signal.aborted).toBe(true);
      },
      async () => expect.unreachable(),
    );
    await expect(working).rejects.toThrow('shutting down');
    await expect(client.waitForToken({ merchantData }, NOW)).rejects.toMatchObject({ code: 'cancelled' });
  });
});
