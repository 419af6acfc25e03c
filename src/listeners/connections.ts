/**
 * The connections of the public server, a bounded number. Strangers may open as many as they like: when there are too
 * many, the one that has done nothing for the longest time gives way, and then the body that has been on its way for the
 * longest. A post that has come whole is never given up for another.
 */
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  /** Each takes some 10 kB and a file descriptor. */
  maxConnections: number;
  /** Each may hold a form of 16 KiB that is not complete. */
  maxHalfOpenBodies: number;
}

/** A request whose body is not read to its end. */
interface HalfOpen {
  /** In milliseconds of `performance.now()`. */
  readonly begunAt: number;
  /** Answers at once, and closes the connection. */
  giveUp(): void;
}

export class Connections {
  readonly #limits: ConnectionLimits;
  /** All that are open, with the number of their requests that are not answered yet. */
  readonly #all = new Map<Socket, number>();
  /** Those without a request, the longest so first. */
  readonly #idle = new Set<Socket>();
  /** Oldest first. */
  readonly #halfOpen = new Set<HalfOpen>();
  /** The connection under a TLS connection, by the peer's address and port until the handshake is done. */
  readonly #byPeer = new Map<string, Socket>();
  readonly #under = new WeakMap<Socket, Socket>();

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#all.size;
  }

  add(socket: Socket): void {
    const peer = peerOf(socket);
    this.#all.set(socket, 0);
    this.#idle.add(socket);
    this.#byPeer.set(peer, socket);
    socket.once('close', () => {
      this.#all.delete(socket);
      this.#idle.delete(socket);
      if (this.#byPeer.get(peer) === socket) this.#byPeer.delete(peer);
    });
    if (this.#all.size > this.#limits.maxConnections) this.#makeRoomFor(socket);
  }

  /** Says that TLS is spoken on a connection: its requests will come by this socket. */
  addSecure(secure: Socket): void {
    const under = this.#byPeer.get(peerOf(secure));
    if (under !== undefined) this.#under.set(secure, under);
  }

  /** Says that a connection has a request under way. */
  begin(socket: Socket): void {
    this.#count(socket, 1);
  }

  /** Says that it was answered. */
  end(socket: Socket): void {
    this.#count(socket, -1);
  }

  beginBody(body: HalfOpen): void {
    this.#halfOpen.add(body);
    if (this.#halfOpen.size > this.#limits.maxHalfOpenBodies) this.#giveUpOldestBody();
  }

  endBody(body: HalfOpen): void {
    this.#halfOpen.delete(body);
  }

  /** Gives up the bodies that began before a time of `performance.now()`. */
  giveUpBodiesBefore(at: number): void {
    for (const body of this.#halfOpen) {
      if (body.begunAt > at) return;
      body.giveUp();
    }
  }

  #count(socket: Socket, by: 1 | -1): void {
    const under = this.#under.get(socket) ?? socket;
    const before = this.#all.get(under);
    if (before === undefined) return;
    this.#all.set(under, before + by);
    if (before + by === 0) this.#idle.add(under);
    else this.#idle.delete(under);
  }

  #makeRoomFor(newcomer: Socket): void {
    const [idle] = this.#idle;
    // Whoever came last has had no time to ask anything.
    if (idle === undefined || idle === newcomer) {
      this.#giveUpOldestBody();
      return;
    }
    this.#all.delete(idle);
    this.#idle.delete(idle);
    idle.destroy();
  }

  #giveUpOldestBody(): void {
    const [oldest] = this.#halfOpen;
    if (oldest === undefined) return;
    this.#halfOpen.delete(oldest);
    oldest.giveUp();
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
