/** For how long a worker waits, and whether its client is still there. */
import type { Socket } from 'node:net';
import type { Link } from '../chain.ts';
import type { Patience } from '../handoff.ts';
import type { GoneSignal } from '../waiters.ts';
import { callOff, whenClosed } from './closing.ts';

/** A wait that ends when the client goes away: when its connection closes. */
export function patienceOf(socket: Socket, waitSeconds: number): Patience {
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
