/** A token source over the receiver's worker API, with nothing but `fetch`: the least that a worker needs. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Announced, HeldToken, TakeOptions, TokenSource } from '../carat/index.ts';

export interface HttpTokenSourceOptions {
  /** The worker listener's address. */
  url: string;
  merchant?: string | undefined;
  /** A worker key, if the service has any. */
  key?: string | undefined;
}

/** How long one request waits at the most, in seconds; the wait is then asked for again. */
const WAIT_SECONDS = 25;
const LEASE_SECONDS = 60;
const AWAY_PAUSE_MS = 200;

/** An answer of the worker API that is no success; `code` is the one of the problem document. */
export class WorkerApiError extends Error {
  readonly status: number;
  readonly code: string;
  constructor(what: string, status: number, code: string) {
    super(`${what}: HTTP ${status} ${code}`);
    this.name = 'WorkerApiError';
    this.status = status;
    this.code = code;
  }
}

export function createHttpTokenSource({ url, merchant = 'default', key }: HttpTokenSourceOptions): TokenSource {
  const authorization: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const ask = async (
    what: string,
    method: string,
    path: string,
    body?: object,
    signal?: AbortSignal,
  ): Promise<unknown> => {
    // With a body the merchant stands in it, without one in the query.
    const query = body === undefined ? `?${new URLSearchParams({ merchant })}` : '';
    const headers = body === undefined ? authorization : { ...authorization, 'content-type': 'application/json' };
    const json = body === undefined ? null : JSON.stringify({ ...body, merchant });
    const response = await fetch(`${url}${path}${query}`, { method, headers, body: json, signal: signal ?? null });
    const text = await response.text();
    const answer: unknown = text === '' ? undefined : JSON.parse(text);
    if (response.ok) return answer;
    throw new WorkerApiError(what, response.status, String((answer as { code?: unknown } | undefined)?.code));
  };

  return {
    async announce({ kind, selector, ttlSeconds }) {
      const ttl = Math.min(ttlSeconds, 3600);
      const answer = (await ask('announce', 'POST', '/v1/expectations', {
        kind,
        ttl,
        ...selector,
      })) as ExpectationAnswer;
      const { id, merchant_data } = answer;
      return { id, kind, selector: selector ?? (merchant_data === undefined ? {} : { merchant_data }) };
    },

    async take(announced: Announced, { claimId, timeoutMs, signal }: TakeOptions): Promise<HeldToken | undefined> {
      const until = performance.now() + timeoutMs;
      for (;;) {
        const left = Math.max(until - performance.now(), 0);
        const wait = Math.min(left / 1000, WAIT_SECONDS);
        try {
          const body = { kind: announced.kind, ...announced.selector, wait, lease: LEASE_SECONDS };
          const answer = await ask('take', 'PUT', `/v1/claims/${claimId}`, body, signal);
          if (answer !== undefined) {
            const { id, value } = answer as { id: string; value: string };
            return { id, value, claimId };
          }
        } catch (error) {
          if (!(error instanceof WorkerApiError) || error.status !== 503) throw error;
          await sleep(Math.min(AWAY_PAUSE_MS, left), undefined, { signal });
        }
        if (left === 0) return undefined;
      }
    },

    async used({ claimId }) {
      await ask('used', 'DELETE', `/v1/claims/${claimId}`);
    },
    async release({ claimId }) {
      await ask('release', 'POST', `/v1/claims/${claimId}/release`);
    },
    async cancel({ id }) {
      await ask('cancel', 'DELETE', `/v1/expectations/${id}`);
    },
  };
}

interface ExpectationAnswer {
  id: string;
  merchant_data?: string;
}
