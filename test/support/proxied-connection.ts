/** One connection through the proxy: a socket on each side, and both directions. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Direction, Mode, ModeInForce } from './tcp-proxy-mode.ts';
import { reset } from './tcp-reset.ts';

/** What one side sends to the other: bytes, the end of the stream, or a reset. */
type Item = Buffer | 'end' | 'reset';

export class ProxiedConnection {
  /** Resolves when both sockets are closed. */
  readonly closed: Promise<unknown>;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #lanes: Lane[];

  constructor(client: Socket, server: { host: string; port: number }, inForce: () => ModeInForce) {
    this.#client = client;
    this.#server = connect({ ...server, allowHalfOpen: true });
    this.#lanes = [
      new Lane('to server', this.#client, this.#server, inForce),
      new Lane('to client', this.#server, this.#client, inForce),
    ];
    this.closed = Promise.all([closing(this.#client), closing(this.#server)]);
  }

  /** Whether one side would see a stream with a gap if the connection continued in this mode. */
  hasGap(mode: Mode): boolean {
    return this.#lanes.some((lane) => lane.hasGap(mode));
  }

  cut(): void {
    reset(this.#client);
    reset(this.#server);
  }

  halfClose(side: 'server' | 'client'): void {
    (side === 'server' ? this.#server : this.#client).end();
  }
}

/**
 * One direction. It reads the next chunk after the previous one is delivered: this is the
 * back-pressure.
 */
class Lane {
  readonly #direction: Direction;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #inForce: () => ModeInForce;
  #delivered: Promise<void> = Promise.resolve();
  #hasLost = false;
  #isSpent = false;
  #counted: { since: ModeInForce; bytes: number } | undefined;

  constructor(direction: Direction, from: Socket, to: Socket, inForce: () => ModeInForce) {
    this.#direction = direction;
    this.#from = from;
    this.#to = to;
    this.#inForce = inForce;
    let ended = false;
    from.on('data', (chunk) => {
      from.pause();
      this.#enqueue(chunk, () => from.resume());
    });
    from.on('end', () => {
      ended = true;
      this.#enqueue('end');
    });
    from.on('close', (hadError) => {
      if (hadError || !ended) this.#enqueue('reset');
    });
    // A close follows every error. The other side can learn no more than that.
    from.on('error', () => undefined);
  }

  hasGap(mode: Mode): boolean {
    return this.#hasLost && !this.#swallows(mode);
  }

  #enqueue(item: Item, done: () => void = () => undefined): void {
    this.#delivered = this.#delivered.then(() => this.#deliver(item)).then(done);
  }

  /**
   * Waits as the current mode says, then drops or forwards the chunk. A change of mode ends the
   * wait.
   */
  async #deliver(item: Item): Promise<void> {
    while (!this.#to.destroyed && !this.#isSpent) {
      const inForce = this.#inForce();
      if (this.#swallows(inForce.mode)) {
        this.#hasLost = true;
        return;
      }
      await this.#holdBack(inForce);
      if (this.#inForce() === inForce) return this.#pass(item);
    }
  }

  async #holdBack({ mode, over }: ModeInForce): Promise<void> {
    if (mode.kind === 'slow') {
      await delay(this.#ofDirection(mode) ?? 0, undefined, { signal: over }).catch(() => undefined);
    } else if (mode.kind === 'stall' && this.#concerns(mode.direction) && !over.aborted) {
      await once(over, 'abort');
    }
  }

  async #pass(item: Item): Promise<void> {
    if (item === 'reset') reset(this.#to);
    else if (this.#to.writableEnded) return;
    else if (item === 'end') this.#to.end();
    else await this.#write(item);
  }

  async #write(chunk: Buffer): Promise<void> {
    const allowed = this.#allowance(chunk.length);
    await new Promise((written) => this.#to.write(chunk.subarray(0, allowed), written));
    if (allowed === chunk.length) return;
    // Send an end instead of a reset: a reset could discard forwarded bytes in the receiver's
    // buffer.
    this.#isSpent = true;
    this.#to.end();
    reset(this.#from);
  }

  /** Returns how many of these bytes may pass, and counts them. */
  #allowance(bytes: number): number {
    const inForce = this.#inForce();
    if (inForce.mode.kind !== 'limit') return bytes;
    if (this.#counted?.since !== inForce) this.#counted = { since: inForce, bytes: 0 };
    const left = (this.#ofDirection(inForce.mode) ?? Number.POSITIVE_INFINITY) - this.#counted.bytes;
    const allowed = Math.min(bytes, left);
    this.#counted.bytes += allowed;
    return allowed;
  }

  #swallows(mode: Mode): boolean {
    return mode.kind === 'blackhole' && this.#concerns(mode.direction);
  }

  #concerns(direction: Direction | 'both'): boolean {
    return direction === 'both' || direction === this.#direction;
  }

  #ofDirection(amounts: { toServer?: number; toClient?: number }): number | undefined {
    return this.#direction === 'to server' ? amounts.toServer : amounts.toClient;
  }
}

/** Resolves after an error, too: every socket closes once. */
function closing(socket: Socket): Promise<void> {
  return new Promise((closed) => socket.once('close', () => closed()));
}
