/**
 * How a request hears that its client is gone: its connection closes. The response's own `close` would not do, for one
 * that stands behind another on the same connection is never told. One listener for each connection, however many requests
 * come on it.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { WaitOptions } from '../handoff/handoff.ts';
import type { GoneSignal } from '../handoff/waiters.ts';

const LISTENERS = Symbol('called when the connection closes');

interface WatchedSocket extends Socket {
  [LISTENERS]?: Set<() => void>;
}

/** Calls when a connection closes, until that is called off. */
function whenClosed(socket: WatchedSocket, tell: () => void): void {
  if (socket[LISTENERS] === undefined) {
    socket[LISTENERS] = new Set();
    socket.once('close', tellAll);
  }
  socket[LISTENERS].add(tell);
}

/** False when it was called off before. */
function callOff(socket: WatchedSocket, tell: () => void): boolean {
  return socket[LISTENERS]?.delete(tell) ?? false;
}

/** Calls once: when a response has gone out, or when its connection has closed and there is nobody to take it. */
export function whenOver(response: ServerResponse, socket: Socket, tell: () => void): void {
  const over = (): void => {
    if (callOff(socket, over)) tell();
  };
  whenClosed(socket, over);
  response.once('close', over);
}

function tellAll(this: WatchedSocket): void {
  for (const listener of this[LISTENERS] ?? []) listener();
}

/** A wait that ends when the client goes away: when its connection closes. */
export function waitOptionsOf(socket: Socket, waitSeconds: number): WaitOptions {
  return { waitMs: waitSeconds * 1000, signal: new ClosedSignal(socket) };
}

class ClosedSignal implements GoneSignal {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get aborted(): boolean {
    return this.#socket.destroyed;
  }

  addEventListener(_event: 'abort', listener: () => void): void {
    whenClosed(this.#socket, listener);
  }

  removeEventListener(_event: 'abort', listener: () => void): void {
    callOff(this.#socket, listener);
  }
}
