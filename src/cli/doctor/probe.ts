/** One request to the examined URL, on its own connection, with all observable facts. */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

export interface Probe {
  method?: string;
  contentType?: string | undefined;
  body?: string;
}

export interface Probed {
  /** 0 without an answer; `error` has the reason. */
  status: number;
  error: string | undefined;
  location: string | undefined;
  ms: number;
}

export const FORM = 'application/x-www-form-urlencoded';

/** Follows no redirect, and accepts a wrong certificate: another check examines the certificate. */
export function probe(
  url: URL,
  { method = 'POST', contentType = FORM, body = '' }: Probe,
  timeoutMs: number,
): Promise<Probed> {
  const began = performance.now();
  return new Promise((resolve) => {
    const end = (seen: Partial<Probed>) =>
      resolve({ status: 0, error: undefined, location: undefined, ms: Math.round(performance.now() - began), ...seen });
    const headers = {
      ...(contentType === '' ? {} : { 'content-type': contentType }),
      ...(method === 'POST' ? { 'content-length': Buffer.byteLength(body) } : {}),
      'cache-control': 'no-cache',
    };
    const options = {
      method,
      headers,
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      rejectUnauthorized: false,
    };
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const request = send(url, options, (response) => {
      const { statusCode = 0, headers: answered } = response;
      response.on('error', (error) => end({ error: reasonOf(error, timeoutMs) }));
      response.on('end', () => end({ status: statusCode, location: answered.location }));
      response.resume();
    });
    request.on('error', (error) => end({ error: reasonOf(error, timeoutMs) }));
    request.end(method === 'POST' ? body : undefined);
  });
}

export function reasonOf(error: Error & { code?: string }, timeoutMs: number): string {
  if (error.name === 'AbortError' || error.name === 'TimeoutError') return `no answer within ${timeoutMs / 1000} s`;
  if (error.code === 'ECONNREFUSED') return 'the connection is refused';
  if (error.code === 'ECONNRESET') return 'the connection was closed without an answer';
  return error.code ?? error.message;
}
