/** Requests of Carat and a worker to the stack, from outside the containers. */
import assert from 'node:assert/strict';
import { until } from '../support/until.ts';
import { KEY } from './engine.ts';

export const PUBLIC = 'http://127.0.0.1:8080';
export const WORKERS = 'http://127.0.0.1:8081';
export const AUTHORIZED = { authorization: `Bearer ${KEY}` };
/** Deadline of steps that are slow on a busy machine. */
export const READY_WITHIN_MS = 60_000;
/** Longer than the longest wait. */
const ANSWER_WITHIN_MS = 40_000;

export interface Readyz {
  store: { state: string };
  waiters: { parked: number };
}

/** Sends an authenticity post, and checks the answer that Carat requires. */
export async function post(url: string, form: string): Promise<void> {
  const answer = await fetch(`${url}/authenticity`, { method: 'POST', body: new URLSearchParams(form), ...deadline() });
  assert.equal(`${answer.status} ${await answer.text()}`, '200 OK');
}

/**
 * Waits for a token. Repeats the request when a stopping instance refuses it. Returns the value.
 */
export async function token(url: string, query: string): Promise<string> {
  const ask = async (): Promise<string | undefined> => {
    const answer = await fetch(`${url}/v1/tokens?${query}`, { headers: AUTHORIZED, ...deadline() });
    const body = await answer.text();
    assert.ok([200, 204, 503].includes(answer.status), `${answer.status} ${body}`);
    return answer.status === 200 ? (JSON.parse(body) as { value: string }).value : undefined;
  };
  return until(`a token under ${query}`, ask, READY_WITHIN_MS);
}

export async function readyz(url: string): Promise<Readyz> {
  return (await (await fetch(`${url}/readyz`, deadline())).json()) as Readyz;
}

export async function ready(url: string): Promise<void> {
  await until(`${url} is ready`, async () => (await fetch(`${url}/readyz`, deadline())).ok, READY_WITHIN_MS);
}

function deadline(): { signal: AbortSignal } {
  return { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) };
}
