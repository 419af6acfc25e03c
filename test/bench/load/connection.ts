/**
 * One keep-alive HTTP connection on a raw socket, one request at a time. A general client would
 * cost more than the measured servers, and would limit them.
 */
import { connect, type Socket } from 'node:net';

export type OnAnswer = (status: number, body: string) => void;

export class Connection {
  readonly #socket: Socket;
  #buffered = '';
  #onAnswer: OnAnswer | undefined;
  /** Set when the connection broke. Measurements count it. */
  broken = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => this.#onData(chunk));
    socket.on('error', () => this.#onBroken());
    socket.on('close', () => this.#onBroken());
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
      socket.once('error', reject);
    });
  }

  send(request: string, onAnswer: OnAnswer): void {
    this.#onAnswer = onAnswer;
    if (this.broken) this.#answer(0, '');
    else this.#socket.write(request, 'latin1');
  }

  request(request: string): Promise<{ status: number; body: string }> {
    return new Promise((resolve) => this.send(request, (status, body) => resolve({ status, body })));
  }

  close(): void {
    this.#onAnswer = undefined;
    this.#socket.destroy();
  }

  #onData(chunk: string): void {
    this.#buffered = this.#buffered === '' ? chunk : this.#buffered + chunk;
    const headersEnd = this.#buffered.indexOf('\r\n\r\n');
    if (headersEnd === -1) return;
    const at = this.#buffered.search(/\r\ncontent-length: /i);
    const length = at === -1 || at > headersEnd ? 0 : Number.parseInt(this.#buffered.slice(at + 18, at + 26), 10);
    const end = headersEnd + 4 + length;
    if (this.#buffered.length < end) return;
    const body = this.#buffered.slice(headersEnd + 4, end);
    const status = Number(this.#buffered.slice(9, 12));
    this.#buffered = this.#buffered.slice(end);
    this.#answer(status, body);
  }

  #onBroken(): void {
    this.broken = true;
    this.#answer(0, '');
  }

  #answer(status: number, body: string): void {
    const onAnswer = this.#onAnswer;
    this.#onAnswer = undefined;
    onAnswer?.(status, body);
  }
}

/** Connections, opened a few at a time so that no listen queue overflows. */
export async function openConnections(port: number, count: number): Promise<Connection[]> {
  const connections: Connection[] = [];
  while (connections.length < count) {
    const wave = Math.min(128, count - connections.length);
    connections.push(...(await Promise.all(Array.from({ length: wave }, () => Connection.open(port)))));
  }
  return connections;
}

export function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
}

export function withBody(method: string, path: string, type: string, body: string): string {
  return `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

const FORM = 'application/x-www-form-urlencoded';

/** A post of Carat: a new value of 64 characters, and the worker's correlator. */
export function post(body: string, path = '/authenticity'): string {
  return withBody('POST', path, FORM, body);
}

let count = 0;
const run = `${process.pid.toString(16)}${Date.now().toString(16)}`;

export function newValue(): string {
  count += 1;
  return `${run}${count.toString(16)}`.padStart(64, 'a');
}
