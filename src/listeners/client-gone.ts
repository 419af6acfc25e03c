/**
 * How a request hears that its client is gone: its connection closes. The response's own `close` would not do, for one
 * that stands behind another on the same connection is never told. One listener for each connection, however many requests
 * come on it.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Chain, type Link } from '../chain.ts';
import type { WaitOptions } from '../handoff/handoff.ts';
import type { GoneSignal } from '../handoff/waiters.ts';

const LISTENING = Symbol('who waits for the end of a connection');

interface WatchedSocket extends Socket {
  [LISTENING]?: Chain<() => void>;
}

/** Calls when a connection closes. Answers the place by which that is called off. */
function whenClosed(socket: WatchedSocket, tell: () => void): Link<() => void> {
  if (socket[LISTENING] === undefined) {
    socket[LISTENING] = new Chain();
    socket.once('close', tellAll);
  }
  return socket[LISTENING].add(tell);
}

/** False when it was called off before. */
function callOff(socket: WatchedSocket, place: Link<() => void>): boolean {
  return socket[LISTENING]?.remove(place) ?? false;
}

/** Calls once: when a response has gone out, or when its connection has closed and there is nobody to take it. */
export function whenOver(response: ServerResponse, socket: Socket, tell: () => void): void {
  const over = (): void => {
    if (callOff(socket, place)) tell();
  };
  const place = whenClosed(socket, over);
  response.once('close', over);
}

function tellAll(this: WatchedSocket): void {
  for (const tell of this[LISTENING] ?? []) tell();
}

/** A wait that ends when the client goes away: when its connection closes. */
export function waitOptionsOf(socket: Socket, waitSeconds: number): WaitOptions {
  return { waitMs: waitSeconds * 1000, signal: new ClosedSignal(socket) };
}

class ClosedSignal implements GoneSignal {
  readonly #socket: Socket;
  #place: Link<() => void> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get aborted(): boolean {
    return this.#socket.destroyed;
  }

  addEventListener(_event: 'abort', listener: () => void): void {
    this.#place = whenClosed(this.#socket, listener);
  }

  removeEventListener(): void {
    if (this.#place !== undefined) callOff(this.#socket, this.#place);
  }
}
