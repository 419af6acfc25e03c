/**
 * The worker's client: one shared object per service. A long wait is split into several requests, so that no proxy has to
 * hold one request for long. A wait continues through a restart of the service. Every repeated request is idempotent.
 */
import { asksOf } from './asks.ts';
import { type Answer, Connection, type ConnectionOptions, OVERDUE_MS, type Request } from './connection.ts';
import { isWorkerError } from './errors.ts';
import { Retries, repeat, sliceOf } from './retries.ts';
import {
  type ClaimedToken,
  expectationOf,
  type Token,
  tokenOf,
  toWire,
  type WireExpectation,
  type WireToken,
} from './wire.ts';
import { withToken } from './with-token.ts';
import type { CallOptions, WaitOptions, WorkerClient } from './worker-client.ts';

export interface WorkerClientOptions extends ConnectionOptions {
  /** The merchant of calls that name none; default `default`. */
  merchant?: string | undefined;
}

const DEFAULT_WAIT_MS = 60_000;
const DEFAULT_CALL_MS = 10_000;
const DEFAULT_LEASE_MS = 60_000;

/** @throws WorkerError `invalid_url` */
export function createWorkerClient(options: WorkerClientOptions): WorkerClient {
  const connection = new Connection(options);
  const { merchant: ownMerchant = 'default' } = options;

  async function waitFor(
    { timeout = DEFAULT_WAIT_MS, signal }: WaitOptions,
    request: (waitSeconds: number) => Pick<Request, 'what' | 'method' | 'path' | 'query' | 'body'>,
  ): Promise<Token | undefined> {
    const retries = new Retries(timeout, signal);
    for (;;) {
      const slice = sliceOf(retries.left);
      let last: unknown;
      try {
        const wait = Math.round(slice) / 1000;
        const answer = await connection.ask({ ...request(wait), deadline: slice + OVERDUE_MS, signal });
        retries.succeeded();
        if (answer !== undefined) return tokenOf(answer as WireToken);
      } catch (error) {
        // Report a used token when the wait is over: until then, another one may come under the same selector.
        if (isWorkerError(error, 'used')) last = error;
        else {
          await retries.failed(error);
          continue;
        }
      }
      if (retries.left < 1 && last !== undefined) throw last;
      if (retries.left < 1) return undefined;
    }
  }

  function call(
    request: Pick<Request, 'what' | 'method' | 'path' | 'query' | 'body'>,
    { timeout = DEFAULT_CALL_MS, signal }: CallOptions = {},
    deadline = OVERDUE_MS,
  ): Promise<Answer> {
    return repeat(timeout, signal, () => connection.ask({ ...request, deadline, signal }));
  }

  const client: WorkerClient = {
    merchant: ownMerchant,

    waitForToken(selector, waitOptions = {}) {
      const lead = toWire(selector, ownMerchant);
      return waitFor(waitOptions, (wait) => ({
        what: 'waitForToken',
        method: 'GET',
        path: '/v1/tokens',
        query: { ...lead, wait },
      }));
    },

    async claim({ claimId = crypto.randomUUID(), lease, ...lead }, waitOptions = {}) {
      const body = { ...toWire(lead, ownMerchant), ...(lease === undefined ? {} : { lease: lease / 1000 }) };
      const token = await waitFor(waitOptions, (wait) => ({
        what: 'claim',
        method: 'PUT',
        path: `/v1/claims/${encodeURIComponent(claimId)}`,
        body: { ...body, wait },
      }));
      return token as ClaimedToken | undefined;
    },

    async renew({ claim, merchant }, { lease = DEFAULT_LEASE_MS, ...callOptions } = {}) {
      const path = `/v1/claims/${encodeURIComponent(claim.id)}`;
      const body = { merchant, renew: true, lease: lease / 1000 };
      // A later answer leaves no time for a retry within a short lease.
      const deadline = Math.min(OVERDUE_MS, lease / 3);
      const answer = await call({ what: 'renew', method: 'PUT', path, body }, callOptions, deadline);
      return tokenOf(answer as WireToken) as ClaimedToken;
    },

    async used({ claim, merchant }, callOptions) {
      const path = `/v1/claims/${encodeURIComponent(claim.id)}`;
      await call({ what: 'used', method: 'DELETE', path, query: { merchant } }, callOptions);
    },

    async release({ claim, merchant }, callOptions) {
      const path = `/v1/claims/${encodeURIComponent(claim.id)}/release`;
      await call({ what: 'release', method: 'POST', path, query: { merchant } }, callOptions);
    },

    async useToken({ id, merchant }, callOptions) {
      const path = `/v1/tokens/${encodeURIComponent(id)}`;
      await call({ what: 'useToken', method: 'DELETE', path, query: { merchant } }, callOptions);
    },

    async expect({ ttl, ...lead }, callOptions) {
      const wire = toWire(lead, ownMerchant);
      const body = { ...wire, ...(ttl === undefined ? {} : { ttl: ttl / 1000 }) };
      const answer = await call({ what: 'expect', method: 'POST', path: '/v1/expectations', body }, callOptions);
      return expectationOf(answer as WireExpectation, wire.merchant);
    },

    async cancelExpectation({ id, merchant }, callOptions) {
      const path = `/v1/expectations/${encodeURIComponent(id)}`;
      await call({ what: 'cancelExpectation', method: 'DELETE', path, query: { merchant } }, callOptions);
    },

    ...asksOf(connection, ownMerchant),

    withToken: (withOptions, ask, work) => withToken(client, withOptions, ask, work),
  };
  return client;
}
