/**
 * Posts forms to a store, as Carat does. The encoding is handwritten: it shares no code with the
 * parser under test.
 */
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';

export interface PostOptions {
  timeoutMs: number;
  /** Default: `application/x-www-form-urlencoded; charset=utf-8`, as in Carat's example. */
  charset?: string | undefined;
  /** Sends the body in parts over this many milliseconds. */
  slowMs?: number | undefined;
}

/** Posts a form; resolves to the HTTP status, 0 without a timely answer. Follows no redirect. */
export async function postForm(target: string, fields: Record<string, string>, options: PostOptions): Promise<number> {
  const url = new URL(target);
  const body = Buffer.from(encodeForm(fields), 'latin1');
  const headers = {
    'content-type': `application/x-www-form-urlencoded; charset=${options.charset ?? 'utf-8'}`,
    'content-length': body.length,
    'cache-control': 'no-cache',
  };
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise<number>((resolve) => {
    const signal = AbortSignal.timeout(options.timeoutMs);
    const request = send(url, { method: 'POST', headers, agent: false, signal }, (response) => {
      response.resume();
      response.on('error', () => resolve(0));
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    request.on('error', () => resolve(0));
    const { slowMs } = options;
    if (slowMs === undefined) request.end(body);
    else void trickle(request, body, slowMs);
  });
}

const PIECES = 4;

async function trickle(request: ReturnType<typeof httpRequest>, body: Buffer, ms: number): Promise<void> {
  const size = Math.ceil(body.length / PIECES);
  for (let at = 0; at < body.length; at += size) {
    request.write(body.subarray(at, at + size));
    await sleep(ms / PIECES);
  }
  request.end();
}

/** Percent-encodes every byte except unreserved ones; a space becomes `+`. */
function encodeForm(fields: Record<string, string>): string {
  const encode = (text: string): string =>
    Array.from(Buffer.from(text, 'utf8'), (byte) => {
      const character = String.fromCharCode(byte);
      if (/[0-9A-Za-z._-]/.test(character)) return character;
      return byte === 0x20 ? '+' : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    }).join('');
  return Object.entries(fields)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
}
