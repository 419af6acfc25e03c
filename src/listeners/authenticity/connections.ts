/**
 * The connections of the public server, a bounded number. Strangers may open as many as they like: when there are too
 * many, the one that has done nothing for the longest time gives way, and then the body that has been on its way for the
 * longest. A post that has come whole is never given up for another.
 */
import type { Socket } from 'node:net';
import { Chain, type Link } from '../../chain.ts';

export interface ConnectionLimits {
  /** Each takes some 10 kB and a file descriptor. */
  maxConnections: number;
  /** Each may hold a form of 16 KiB that is not complete. */
  maxHalfOpenBodies: number;
}

/** A request whose body is not read to its end. */
export interface HalfOpen {
  /** In milliseconds of `performance.now()`. */
  readonly begunAt: number;
  /** Its place among the others, while it is one of them. */
  halfOpen: Link<HalfOpen> | undefined;
  /** Answers at once, and closes the connection. */
  giveUp(): void;
}

interface Connection {
  readonly socket: Socket;
  isOpen: boolean;
  /** How many of its requests are not answered yet. */
  unanswered: number;
  /** Its place among those without one. */
  idle: Link<Connection> | undefined;
}

export class Connections {
  readonly #limits: ConnectionLimits;
  /** All that are open; by the socket that TLS is spoken on, too. */
  readonly #of = new WeakMap<Socket, Connection>();
  #count = 0;
  /** Those without a request, the longest so first. */
  readonly #idle = new Chain<Connection>();
  readonly #halfOpen = new Chain<HalfOpen>();
  /** Those on which TLS will be spoken, by the peer's address and port. */
  readonly #toBeSecured = new Map<string, Connection>();

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  add(socket: Socket, willBeSecured: boolean): void {
    const connection: Connection = { socket, isOpen: true, unanswered: 0, idle: undefined };
    connection.idle = this.#idle.add(connection);
    this.#of.set(socket, connection);
    this.#count += 1;
    const peer = peerOf(socket);
    if (willBeSecured) this.#toBeSecured.set(peer, connection);
    socket.once('close', () => {
      this.#forget(connection);
      if (this.#toBeSecured.get(peer) === connection) this.#toBeSecured.delete(peer);
    });
    if (this.#count > this.#limits.maxConnections) this.#makeRoomFor(connection);
  }

  /** Says that TLS is spoken on a connection: its requests will come by this socket. */
  addSecure(secure: Socket): void {
    const peer = peerOf(secure);
    const connection = this.#toBeSecured.get(peer);
    if (connection === undefined) return;
    this.#toBeSecured.delete(peer);
    this.#of.set(secure, connection);
  }

  /** Says that a connection has a request under way. */
  begin(socket: Socket): void {
    const connection = this.#of.get(socket);
    if (connection?.isOpen !== true) return;
    connection.unanswered += 1;
    this.#endIdle(connection);
  }

  /** Says that it was answered. */
  end(socket: Socket): void {
    const connection = this.#of.get(socket);
    if (connection?.isOpen !== true) return;
    connection.unanswered -= 1;
    if (connection.unanswered === 0) connection.idle = this.#idle.add(connection);
  }

  beginBody(body: HalfOpen): void {
    body.halfOpen = this.#halfOpen.add(body);
    if (this.#halfOpen.size > this.#limits.maxHalfOpenBodies) this.#giveUpOldestBody();
  }

  endBody(body: HalfOpen): void {
    if (body.halfOpen !== undefined) this.#halfOpen.remove(body.halfOpen);
    body.halfOpen = undefined;
  }

  /** Gives up the bodies that began before a time of `performance.now()`. */
  giveUpBodiesBefore(at: number): void {
    for (const body of this.#halfOpen) {
      if (body.begunAt > at) return;
      body.giveUp();
    }
  }

  #forget(connection: Connection): void {
    if (!connection.isOpen) return;
    connection.isOpen = false;
    this.#count -= 1;
    this.#endIdle(connection);
  }

  #endIdle(connection: Connection): void {
    if (connection.idle !== undefined) this.#idle.remove(connection.idle);
    connection.idle = undefined;
  }

  #makeRoomFor(newcomer: Connection): void {
    const { oldest: idle } = this.#idle;
    // Whoever came last has had no time to ask anything.
    if (idle === undefined || idle === newcomer) {
      this.#giveUpOldestBody();
      return;
    }
    this.#forget(idle);
    idle.socket.destroy();
  }

  #giveUpOldestBody(): void {
    const { oldest } = this.#halfOpen;
    if (oldest === undefined) return;
    this.endBody(oldest);
    oldest.giveUp();
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
