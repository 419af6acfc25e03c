/**
 * How a request hears that its client is gone: its connection closes. The response's own `close` would not do, for one
 * that stands behind another on the same connection is never told. One listener for each connection, however many requests
 * come on it.
 */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Chain, type Link } from '../chain.ts';

const LISTENING = Symbol('who waits for the end of a connection');

interface WatchedSocket extends Socket {
  [LISTENING]?: Chain<() => void>;
}

/** Calls when a connection closes. Answers the place by which that is called off. */
export function whenClosed(socket: WatchedSocket, tell: () => void): Link<() => void> {
  if (socket[LISTENING] === undefined) {
    socket[LISTENING] = new Chain();
    socket.once('close', tellAll);
  }
  return socket[LISTENING].add(tell);
}

/** False when it was called off before. */
export function callOff(socket: WatchedSocket, place: Link<() => void>): boolean {
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
