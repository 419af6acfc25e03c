/** `withToken` against the service as it is, whichever store the service has. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWorkerClient, type WorkerClient } from '../../src/client/index.ts';
import { latch } from '../support/latch.ts';
import { RestartableService } from '../support/restartable-service.ts';
import { until } from '../support/until.ts';
import { newValue } from './behaviour.ts';

const NOW = { timeout: 0 };

export function describeWithToken(store: string, env: () => Record<string, string>): void {
  describe(`withToken, and a service on ${store} that lets in only what is expected`, () => {
    let service: RestartableService;
    let client: WorkerClient;
    /** How often a claim was asked for: the first, and each renewal. */
    let claims = 0;
    beforeEach(async () => {
      service = await RestartableService.start({ ACCEPT: 'expected', ...env() });
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

    it('announces, waits before it calls, takes the token, and settles it', async () => {
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

    it('takes a token that carries nothing, and one by its order', async () => {
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

    it('cancels when the call fails, and holds nothing', async () => {
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

    it('puts the token of a call that failed back', async () => {
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

    it('fails when the call goes well and no token comes', async () => {
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

    it('tells the work when its token is lost', async () => {
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

    it('ends when the caller aborts, and cancels', async () => {
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
}
