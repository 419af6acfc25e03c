/** For how long a worker waits, and whether its client is still there. */
import type { Socket } from 'node:net';
import { Chain, type Link } from '../chain.ts';
import type { Patience } from '../handoff.ts';
import type { GoneSignal } from '../waiters.ts';

/**
 * A wait that ends when the client goes away: when its connection closes. The response's own `close` would not do, for
 * one that stands behind another on the same connection never hears of it.
 */
export function patienceOf(socket: Socket, waitSeconds: number): Patience {
  return { waitMs: waitSeconds * 1000, signal: new ClosedSignal(socket) };
}

const LISTENING = Symbol('who waits for the end of a connection');

/** One listener for each connection, however many requests come on it. */
interface WatchedSocket extends Socket {
  [LISTENING]?: Chain<() => void>;
}

class ClosedSignal implements GoneSignal {
  readonly #socket: WatchedSocket;
  #place: Link<() => void> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  get aborted(): boolean {
    return this.#socket.destroyed;
  }

  addEventListener(_event: 'abort', listener: () => void): void {
    const socket = this.#socket;
    if (socket[LISTENING] === undefined) {
      socket[LISTENING] = new Chain();
      socket.once('close', tellOfClose);
    }
    this.#place = socket[LISTENING].add(listener);
  }

  removeEventListener(): void {
    if (this.#place !== undefined) this.#socket[LISTENING]?.remove(this.#place);
  }
}

function tellOfClose(this: WatchedSocket): void {
  for (const listener of this[LISTENING] ?? []) listener();
}
