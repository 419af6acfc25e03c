/**
 * HTTP/1.1 as bytes on a socket: a test chooses each byte of a request, and compares each byte of
 * an answer.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { LOOPBACK } from './ports.ts';
import { until } from './until.ts';

export interface RawRequest {
  method?: string;
  target?: string;
  /** Sent unchanged, with repeated names. `host` is added unless it is `null`. */
  headers?: readonly (readonly [string, string])[];
  host?: string | null;
  /** Sent with its `content-length`, unless the headers define its length in another way. */
  body?: string | Buffer;
}

/** The bytes of a request. It has no content type by default, like some of Carat's posts. */
export function rawRequest(request: RawRequest = {}): Buffer {
  const { method = 'POST', target = '/authenticity', headers = [], host = 'receiver.test', body = '' } = request;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const names = new Set(headers.map(([name]) => name.toLowerCase()));
  const lines = [`${method} ${target} HTTP/1.1`];
  if (host !== null) lines.push(`Host: ${host}`);
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  const told = names.has('content-length') || names.has('transfer-encoding');
  if (!told && (bytes.length > 0 || method === 'POST')) lines.push(`Content-Length: ${bytes.length}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes]);
}

/** A body in chunks. */
export function chunked(...chunks: (string | Buffer)[]): Buffer {
  const frames = chunks.map((chunk) => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
  });
  return Buffer.concat([...frames, Buffer.from('0\r\n\r\n')]);
}

/** One connection to a server under test. */
export class RawConnection {
  readonly socket: Socket;
  /** True when the server has sent its end. */
  ended = false;
  closed = false;
  #received = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => {
      this.#received = Buffer.concat([this.#received, bytes]);
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('close', () => {
      this.closed = true;
    });
    // Ignore a reset: a close follows, and only the received bytes matter.
    socket.on('error', () => {});
  }

  static async open(port: number, tls?: { ca: Buffer }): Promise<RawConnection> {
    const at = { host: LOOPBACK, port, allowHalfOpen: true };
    const socket = tls === undefined ? connect(at) : connectTls({ ...at, ...tls, servername: 'localhost' });
    const connection = new RawConnection(socket);
    await once(socket, tls === undefined ? 'connect' : 'secureConnect');
    return connection;
  }

  write(bytes: string | Buffer): this {
    this.socket.write(bytes);
    return this;
  }

  /** Sends FIN and continues to read. */
  halfClose(): this {
    this.socket.end();
    return this;
  }

  /** Received bytes that are not part of a complete answer. */
  get rest(): string {
    return this.#received.toString('latin1');
  }

  /**
   * Returns the next complete answer: status line, headers and body, with the length of
   * `content-length`.
   */
  async answer({ head = false } = {}): Promise<string> {
    const end = await until(`an answer after ${JSON.stringify(this.rest)}, ${this.closed ? 'closed' : 'open'}`, () =>
      this.#endOfAnswer(head),
    );
    const answer = this.#received.subarray(0, end).toString('latin1');
    this.#received = this.#received.subarray(end);
    return answer;
  }

  /** Resolves when the server has ended the connection, with FIN or a reset. */
  async isClosed(): Promise<void> {
    await until('the server closes the connection', () => this.ended || this.closed);
  }

  destroy(): void {
    this.socket.destroy();
  }

  #endOfAnswer(head: boolean): number | undefined {
    const text = this.rest;
    const bodyAt = text.indexOf('\r\n\r\n') + 4;
    if (bodyAt < 4) return undefined;
    if (head || /^HTTP\/1\.1 (1\d\d|204) /.test(text)) return bodyAt;
    const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text.slice(0, bodyAt))?.[1];
    if (length === undefined) return this.ended || this.closed ? text.length : undefined;
    const end = bodyAt + Number(length);
    return text.length >= end ? end : undefined;
  }
}

/** Returns an answer without its date, after a check of the date. */
export function undated(answer: string): string {
  return answer.replace(/\r\ndate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/i, '\r\nDate: *\r\n');
}

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]);
}
