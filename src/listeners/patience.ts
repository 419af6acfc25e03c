/** For how long a worker waits, and whether its client is still there. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Patience } from '../handoff.ts';
import type { GoneSignal } from '../waiters.ts';

/**
 * A wait that ends when the client goes away: when the connection closes before the response was sent. The response's
 * own `close` would not do, for one that stands behind another on the same connection never hears of it.
 */
export function patienceOf(socket: Socket, response: ServerResponse, waitSeconds: number): Patience {
  const signal = new ClosedSignal(socket.destroyed);
  const close = (): void => signal.abort();
  socket.once('close', close);
  response.once('close', () => socket.off('close', close));
  return { waitMs: waitSeconds * 1000, signal };
}

class ClosedSignal implements GoneSignal {
  aborted: boolean;
  #listener: (() => void) | undefined;

  constructor(aborted: boolean) {
    this.aborted = aborted;
  }

  addEventListener(_event: 'abort', listener: () => void): void {
    this.#listener = listener;
  }

  removeEventListener(): void {
    this.#listener = undefined;
  }

  abort(): void {
    this.aborted = true;
    this.#listener?.();
  }
}
