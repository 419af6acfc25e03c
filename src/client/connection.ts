/**
 * One request to the worker API. Only needs what every runtime with `fetch` has. `fetch` itself keeps connections alive.
 */
import { type ServiceCode, WorkerError, type WorkerErrorFacts } from './errors.ts';

export interface ConnectionOptions {
  /** The address of the worker listener, e.g. `http://127.0.0.1:8081`. May have a path, which precedes `/v1`. */
  url: string;
  /** A worker key, if the service requires one. */
  key?: string | undefined;
  /** Default: the runtime's own. */
  fetch?: typeof fetch | undefined;
}

export interface Request {
  /** The name of the client's function, for the error's message. */
  what: string;
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  path: string;
  query?: Record<string, string | number | undefined>;
  body?: object | undefined;
  /** Milliseconds until an unanswered request is given up. */
  deadline: number;
  signal?: AbortSignal | undefined;
}

/** How long an answer may be overdue before the connection is considered dead. */
export const OVERDUE_MS = 10_000;

/** A 200, 201 or 202 has a body; a 204 has none. */
export type Answer = object | undefined;

/** The most characters of a problem's detail in an error message. */
const MAX_SHOWN_CHARS = 200;

export class Connection {
  readonly #base: string;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof fetch;

  /** @throws WorkerError `invalid_url` */
  constructor({ url, key, fetch = globalThis.fetch }: ConnectionOptions) {
    this.#base = baseOf(url);
    this.#headers = key === undefined || key === '' ? {} : { authorization: `Bearer ${key}` };
    this.#fetch = fetch;
  }

  /** Sends one request. @throws WorkerError, or the signal's reason if the caller aborts */
  async ask({ what, method, path, query = {}, body, deadline, signal }: Request): Promise<Answer> {
    signal?.throwIfAborted();
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value !== undefined) search.set(name, String(value));
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(), deadline);
    const onAbort = () => late.abort();
    signal?.addEventListener('abort', onAbort);
    try {
      const response = await this.#fetch(`${this.#base}${path}${search.size === 0 ? '' : `?${search}`}`, {
        method,
        headers: body === undefined ? this.#headers : { ...this.#headers, 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
        signal: late.signal,
        redirect: 'manual',
      });
      return read(what, response, await response.text());
    } catch (error) {
      if (error instanceof WorkerError) throw error;
      signal?.throwIfAborted();
      const why = late.signal.aborted ? `no answer within ${deadline} ms` : reasonOf(error);
      // The runtime's error is not kept as the cause, because it may quote the request.
      throw new WorkerError('unreachable', `${what}: the service cannot be reached: ${why}`);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }
}

function baseOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw new WorkerError('invalid_url', 'expected the address of the worker listener, e.g. http://127.0.0.1:8081');
  }
  if (parsed.username !== '' || parsed.password !== '' || parsed.search !== '' || parsed.hash !== '') {
    throw new WorkerError('invalid_url', 'expected an address without credentials, query and fragment');
  }
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`;
}

function read(what: string, response: Response, text: string): Answer {
  const { status } = response;
  if (status === 204) return undefined;
  const answer = jsonObject(text);
  if (status >= 200 && status <= 202 && answer !== undefined) return answer;
  const retryAfter = retryAfterOf(response.headers.get('retry-after'));
  if (answer === undefined || typeof answer['code'] !== 'string') {
    const location = response.headers.get('location') === null ? '' : ', a redirect';
    throw new WorkerError(
      'unexpected_answer',
      `${what}: expected an answer of the worker API, got ${status}${location}`,
      {
        status,
        retryAfter,
      },
    );
  }
  const {
    code,
    detail,
    claim_id: claimId,
    lease_expires_at: lease,
    decision,
    carat,
  } = answer as unknown as WireProblem;
  throw new WorkerError(code, `${what}: ${code}: ${String(detail).slice(0, MAX_SHOWN_CHARS)}`, {
    status,
    retryAfter,
    claimId,
    leaseExpiresAt: lease === undefined ? undefined : new Date(lease),
    decision,
    carat,
  });
}

/** The fields of a problem document that an error uses. */
interface WireProblem extends Pick<WorkerErrorFacts, 'decision' | 'carat'> {
  code: ServiceCode;
  detail: string;
  claim_id?: string;
  lease_expires_at?: string;
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `Retry-After` is seconds or a date. */
function retryAfterOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(ms, 0) : undefined;
}

/** Returns the runtime's reason for a failed connection, without the address. */
function reasonOf(error: unknown): string {
  const { cause, message } = error as { cause?: { code?: string }; message?: string };
  return cause?.code ?? message ?? 'unknown';
}
