/**
 * Detects disconnects by the socket's `close`. A response's `close` is not emitted for a pipelined request that waits
 * behind another. Each connection has one listener, for any number of requests.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { WaitOptions } from '../handoff/handoff.ts';
import type { GoneSignal } from '../handoff/waiters.ts';

const LISTENERS = Symbol('called when the connection closes');

interface WatchedSocket extends Socket {
  [LISTENERS]?: Set<() => void>;
}

/** Calls the listener when the connection closes, unless the listener is removed before. */
function addListener(socket: WatchedSocket, listener: () => void): void {
  if (socket[LISTENERS] === undefined) {
    socket[LISTENERS] = new Set();
    socket.once('close', callListeners);
  }
  socket[LISTENERS].add(listener);
}

/** Returns false when the listener was removed before. */
function removeListener(socket: WatchedSocket, listener: () => void): boolean {
  return socket[LISTENERS]?.delete(listener) ?? false;
}

/** Calls `onOver` once: when the response was sent, or when its connection closed. */
export function whenOver(response: ServerResponse, socket: Socket, onOver: () => void): void {
  const over = (): void => {
    if (removeListener(socket, over)) onOver();
  };
  addListener(socket, over);
  response.once('close', over);
}

function callListeners(this: WatchedSocket): void {
  for (const listener of this[LISTENERS] ?? []) listener();
}

/** Options of a wait that ends when the client's connection closes. */
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
    addListener(this.#socket, listener);
  }

  removeEventListener(_event: 'abort', listener: () => void): void {
    removeListener(this.#socket, listener);
  }
}
