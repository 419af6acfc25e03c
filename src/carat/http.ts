/**
 * One request to Carat: its deadline, its JSON, its result. A call is never repeated: most of Carat's calls have side
 * effects, including `GET /v1/token`.
 */
import * as z from 'zod';
import type { Addresses } from './addresses.ts';
import { understand } from './answer.ts';
import { checked, MAX_MS, milliseconds } from './arguments.ts';
import type { Call, CallOptions, Send } from './call.ts';
import { CaratError, type CaratErrorCode } from './errors.ts';

/** Carat's answers are shorter. */
const MAX_ANSWER_BYTES = 1024 * 1024;

export interface TransportOptions {
  addresses: Addresses;
  merchantId: string;
  merchantKey: string;
  timeoutMs: number;
  /** Called after each call with its name, outcome and duration. Contains no secret. */
  onCall?: ((report: CallReport) => void) | undefined;
}

export interface CallReport {
  call: string;
  method: string;
  /** The path with `…` instead of identifiers. */
  path: string;
  outcome: 'success' | CaratErrorCode;
  httpStatus?: number | undefined;
  caratCode?: string | undefined;
  ms: number;
}

/** Creates the function that sends every call. */
export function createTransport(options: TransportOptions): Send {
  return async (call, callOptions = {}) => {
    const started = performance.now();
    const report = (
      outcome: CallReport['outcome'],
      status?: number,
      said?: { code: string | undefined; message?: string },
    ): void => {
      const ms = performance.now() - started;
      const path = call.path.replace(/[0-9A-Za-z_-]{20,}/g, '…');
      const { code: caratCode, message } = said ?? {};
      try {
        options.onCall?.({ call: call.name, method: call.method, path, outcome, httpStatus: status, caratCode, ms });
        if (outcome === 'success' && caratCode !== undefined) {
          callOptions.onSuccess?.({ code: caratCode, message: message ?? '' });
        }
      } catch {
        // A failing listener must not cause a successful payment to be undone.
      }
    };
    try {
      const { status, text } = await exchange(call, options, callOptions);
      const { answer, said } = understand(call, [options.merchantId, options.merchantKey], status, text);
      report('success', status, said);
      return answer;
    } catch (error) {
      if (error instanceof CaratError) report(error.code, error.httpStatus, { code: error.caratCode });
      throw error;
    }
  };
}

const callDeadline = z.strictObject({ timeoutMs: milliseconds(1, MAX_MS) });

async function exchange(call: Call<unknown>, options: TransportOptions, { signal, timeoutMs }: CallOptions) {
  const limit = checked(call.name, callDeadline, { timeoutMs: timeoutMs ?? options.timeoutMs }).timeoutMs;
  if (signal?.aborted) throw new CaratError('aborted', 'aborted before the call', { call: call.name, effect: 'none' });
  const { target, init } = requestOf(call, options);
  const ends = new AbortController();
  const end = (): void => ends.abort();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end();
  }, limit);
  signal?.addEventListener('abort', end);
  try {
    const response = await fetch(target, { ...init, signal: ends.signal, redirect: 'manual' });
    return { status: response.status, text: await readText(response) };
  } catch (error) {
    const lost = { call: call.name, effect: call.effectful ? 'unknown' : 'none' } as const;
    if (error instanceof TooLong) throw new CaratError('bad_answer', error.message, lost);
    if (late) throw new CaratError('timeout', `no answer within ${limit} ms`, lost);
    if (signal?.aborted) throw new CaratError('aborted', 'aborted by the caller', lost);
    const cause = networkReason(error);
    const effect = NEVER_SENT.has(cause) ? 'none' : lost.effect;
    throw new CaratError('connection', `connection failed (${cause})`, { call: call.name, effect, cause });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
  }
}

function requestOf(call: Call<unknown>, options: TransportOptions): { target: string; init: RequestInit } {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {})) if (value !== undefined) query.set(name, value);
  const target = `${options.addresses[call.service]}${call.path}${query.size === 0 ? '' : `?${query}`}`;
  const headers: Record<string, string> = { accept: 'application/json' };
  if (call.body !== undefined) headers['content-type'] = 'application/json';
  // Recharge names its merchant in the body or query instead [doc].
  if (call.service === 'portal') {
    headers['merchant_id'] = options.merchantId;
    headers['merchant_key'] = options.merchantKey;
  }
  const body = call.body === undefined ? null : JSON.stringify(call.body);
  return { target, init: { method: call.method, headers, body } };
}

/** Errors after which Carat has certainly not received the request. */
const NEVER_SENT: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT']);

/** Returns only the network's error code: the messages of `fetch` may quote the address or a header. */
function networkReason(error: unknown): string {
  for (let at = error; at instanceof Error; at = at.cause) {
    const code: unknown = (at as NodeJS.ErrnoException).code;
    if (typeof code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(code)) return code;
  }
  return 'UNKNOWN';
}

class TooLong extends Error {}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_ANSWER_BYTES) throw new TooLong(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
