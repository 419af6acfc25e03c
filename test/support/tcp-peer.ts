import type { Socket } from 'node:net';
import { until } from './until.ts';

/** One end of a TCP connection, with its events. */
export class Peer {
  received = '';
  ended = false;
  closed = false;
  /** The code of the socket's error. */
  error: string | undefined;
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (data) => {
      this.received += data;
    });
    socket.on('end', () => {
      this.ended = true;
    });
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error.code;
    });
  }

  async receives(text: string): Promise<void> {
    await until(`${text} arrives`, () => this.received.endsWith(text));
  }

  async isReset(): Promise<void> {
    await until('the connection is reset', () => this.closed && this.error === 'ECONNRESET');
  }
}
