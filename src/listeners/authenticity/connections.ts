/**
 * The connections of the public server. Each connection is served one request at a time, in the order of arrival: a client
 * that pipelines delays only itself. The number of connections is bounded. Beyond the bound, the longest waiting is closed
 * first: idle connections, then those whose client does not read its answer, then those with an unfinished body. A
 * connection with a completely read post is never closed.
 *
 * All bookkeeping is per connection: no request adds to a collection or removes from one.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { hangUp } from './ok-response.ts';
import { Oldest } from './oldest.ts';
import { type ParsedConnection, parseInPieces } from './parse-in-pieces.ts';

export interface ConnectionLimits {
  /** Each takes about 10 kB and a file descriptor. */
  maxConnections: number;
  /** Each may hold an incomplete form of 16 KiB. */
  maxHalfOpenBodies: number;
  /** Pipelined requests that wait for their turn, per connection. At this number the connection is paused. */
  maxBacklog: number;
  /** Idle connections are closed after this time. Longer than load balancers keep theirs (GCP: 600 s). */
  keepAliveMs: number;
  /** A body is read for at most this long before it is answered. */
  bodyDeadlineMs: number;
  /** A connection is closed when its client reads nothing of an answer for this long. */
  unreadDeadlineMs: number;
}

/** A request to an authenticity path that is not answered yet. */
export interface Pending {
  /** True until its body is read to the end or given up. */
  readonly isReading: boolean;
  /** Answers at once. The connection is closed after the answer. */
  giveUp(): void;
  /** Called once: when the answer was sent, or when the client is gone. */
  onOver(): void;
}

export interface ConnectionsOptions {
  limits: ConnectionLimits;
  serve(request: IncomingMessage, response: ServerResponse): void;
  onDoor(door: 'given_up' | 'tls_handshake' | 'alpn', peer: string | undefined, reason?: string): void;
  /** Called for each request that waited for its turn when its client went away. */
  onGone(request: IncomingMessage): void;
}

interface Turn {
  request: IncomingMessage;
  response: ServerResponse;
}

interface Connection extends ParsedConnection {
  /** The socket that was accepted. */
  readonly accepted: Socket;
  readonly peer: string | undefined;
  /** The socket that carries HTTP. With TLS, it is not the accepted one. */
  socket: Socket;
  /** Why the TLS handshake failed. */
  handshakeError: string | undefined;
  /** The request that is being served. Undefined while the connection is idle. */
  turn: Turn | undefined;
  /** The current turn, if it is a request to an authenticity path. */
  post: Pending | undefined;
  /** Pipelined requests, oldest first. */
  readonly backlog: Turn[];
  /** When the current turn, or else the idle time, began. In milliseconds of `performance.now()`. */
  since: number;
  /** When a sweep first found the answer unread. */
  unreadSince: number | undefined;
  /** The connection ends with the current answer. */
  isLast: boolean;
}

/** How often the deadlines of all connections are checked. */
const SWEEP_EVERY_MS = 250;

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #limits: ConnectionLimits;
  readonly #all = new Set<Connection>();
  readonly #bySocket = new WeakMap<Socket, Connection>();
  /** Connections in a TLS handshake, by the peer's address and port. */
  readonly #byPeer = new Map<string, Connection>();
  readonly #idle = new Oldest(this.#all, ({ turn, since }) => (turn === undefined ? since : undefined));
  readonly #unread = new Oldest(this.#all, ({ turn, post, since }) =>
    turn?.response.writableEnded && !post?.isReading ? since : undefined,
  );
  readonly #unfinished = new Oldest(this.#all, ({ post, since }) => (post?.isReading ? since : undefined));
  /** How many bodies are being read. */
  #reading = 0;
  #sweeper: NodeJS.Timeout | undefined;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    this.#limits = options.limits;
  }

  get count(): number {
    return this.#all.size;
  }

  start(): void {
    this.#sweeper = setInterval(() => this.#sweep(performance.now()), SWEEP_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#sweeper);
  }

  add(accepted: Socket, isTls: boolean): void {
    const connection: Connection = {
      accepted,
      peer: accepted.remoteAddress,
      socket: accepted,
      handshakeError: undefined,
      turn: undefined,
      post: undefined,
      isSilent: true,
      backlog: [],
      since: performance.now(),
      unreadSince: undefined,
      isLast: false,
      isBroken: false,
    };
    this.#all.add(connection);
    const peer = peerOf(accepted);
    if (isTls) this.#byPeer.set(peer, connection);
    this.#watch(connection, accepted);
    accepted.once('close', () => {
      this.#all.delete(connection);
      if (this.#byPeer.get(peer) === connection) this.#byPeer.delete(peer);
      if (isTls) this.#checkHandshake(connection);
      this.#abandon(connection);
    });
    if (this.#all.size > this.#limits.maxConnections) this.#makeRoom(connection);
  }

  /** Links a TLS connection's own socket, which carries its requests, to the accepted one. */
  addSecure(secure: Socket): void {
    const peer = peerOf(secure);
    const connection = this.#byPeer.get(peer);
    this.#byPeer.delete(peer);
    if (connection === undefined) return;
    connection.socket = secure;
    this.#watch(connection, secure);
  }

  /** Records why a TLS handshake failed. */
  failHandshake(secure: Socket, reason: string | undefined): void {
    const connection = this.#byPeer.get(peerOf(secure));
    if (connection !== undefined) connection.handshakeError = reason;
  }

  /** Serves a request when the earlier ones of its connection are answered. */
  receive(request: IncomingMessage, response: ServerResponse): void {
    const connection = this.#bySocket.get(request.socket);
    if (connection === undefined || connection.socket.writableEnded) return;
    const turn = { request, response };
    if (connection.turn === undefined) {
      this.#begin(connection, turn);
      this.#options.serve(request, response);
      return;
    }
    connection.backlog.push(turn);
    if (connection.backlog.length >= this.#limits.maxBacklog) connection.socket.pause();
  }

  /** Marks the current request of a connection as a post. Call `endReading` once for each. */
  attach(socket: Socket, post: Pending): void {
    const connection = this.#bySocket.get(socket);
    if (connection === undefined) return;
    connection.post = post;
    this.#reading += 1;
    // The connection may have broken in the body of this request while it waited for its turn.
    if (connection.isBroken && connection.turn?.request.complete === false) post.giveUp();
    else if (this.#reading > this.#limits.maxHalfOpenBodies) this.#giveUpOldestBody();
  }

  endReading(): void {
    this.#reading -= 1;
  }

  /** Closes a connection after its current answer. */
  endAfterAnswer(socket: Socket): void {
    const connection = this.#bySocket.get(socket);
    if (connection !== undefined) connection.isLast = true;
  }

  /**
   * Stops reading a connection that could not be parsed or took too long. Completely read requests are answered before it
   * is closed. Returns false if nothing is to be answered.
   */
  break(socket: Socket): boolean {
    const connection = this.#bySocket.get(socket);
    if (connection === undefined) return false;
    if (connection.isBroken) return true;
    connection.isBroken = true;
    if (connection.turn?.request.complete === false) connection.post?.giveUp();
    return connection.turn !== undefined;
  }

  /** False for a connection whose TLS handshake has not succeeded, or that was given up. */
  has(socket: Socket): boolean {
    return this.#bySocket.has(socket);
  }

  isSilent(socket: Socket): boolean {
    return this.#bySocket.get(socket)?.isSilent === true;
  }

  /** Closes the connections that have not sent anything yet. Node does not count them as idle. */
  closeSilent(): void {
    for (const { isSilent, accepted } of this.#all) if (isSilent) accepted.destroy();
  }

  /** The responses of all current requests. Requests that wait for their turn are not included. */
  pending(): ServerResponse[] {
    return [...this.#all].flatMap(({ turn }) => (turn === undefined ? [] : [turn.response]));
  }

  giveUpBodies(): void {
    for (const { post } of this.#all) post?.giveUp();
  }

  #watch(connection: Connection, socket: Socket): void {
    this.#bySocket.set(socket, connection);
    parseInPieces(socket, connection);
    // Node removes its own listener on CONNECT. An error without a listener would end the process. `close` follows each.
    socket.on('error', ignore);
    // Node resumes the socket whenever it reads a body.
    socket.on('resume', () => {
      if (connection.backlog.length >= this.#limits.maxBacklog) socket.pause();
    });
  }

  /** Reports a failed handshake. A client that sent nothing, like a balancer's health check, has not failed. */
  #checkHandshake({ accepted, socket, peer, handshakeError = 'ECONNRESET' }: Connection): void {
    if (socket !== accepted || accepted.bytesRead === 0) return;
    const door = handshakeError === 'ERR_SSL_NO_APPLICATION_PROTOCOL' ? 'alpn' : 'tls_handshake';
    this.#options.onDoor(door, peer, handshakeError);
  }

  #begin(connection: Connection, turn: Turn): void {
    connection.turn = turn;
    connection.since = performance.now();
    // Node drops requests that are pipelined behind an upgrade. The close makes the client send them again.
    if (turn.request.headers.upgrade !== undefined) connection.isLast = true;
    turn.response.once('close', () => this.#end(connection, turn));
  }

  /** Ends a turn: the answer was sent, or the client is gone. */
  #end(connection: Connection, turn: Turn): void {
    if (connection.turn !== turn) return;
    const { post, socket, backlog } = connection;
    connection.turn = undefined;
    connection.post = undefined;
    connection.since = performance.now();
    connection.unreadSince = undefined;
    post?.onOver();
    if (!socket.writable) return;
    const next = connection.isLast ? undefined : backlog.shift();
    if (next === undefined) {
      if (connection.isLast || connection.isBroken || socket.readableEnded) hangUp(socket);
      return;
    }
    this.#begin(connection, next);
    if (backlog.length === this.#limits.maxBacklog - 1) socket.resume();
    // Other connections get their turn first.
    setImmediate(() => {
      if (connection.turn === next) this.#options.serve(next.request, next.response);
    });
  }

  /** Ends all requests of a closed connection. Node emits no `close` for a response that waits behind another. */
  #abandon(connection: Connection): void {
    if (connection.turn !== undefined) this.#end(connection, connection.turn);
    for (const { request } of connection.backlog.splice(0)) this.#options.onGone(request);
  }

  #sweep(now: number): void {
    const { keepAliveMs, bodyDeadlineMs, unreadDeadlineMs } = this.#limits;
    for (const connection of this.#all) {
      const { turn, post, since } = connection;
      if (turn === undefined) {
        if (now - since > keepAliveMs) connection.accepted.destroy();
      } else if (post?.isReading) {
        if (now - since > bodyDeadlineMs) post.giveUp();
      } else if (turn.response.writableEnded) {
        connection.unreadSince ??= now;
        if (now - connection.unreadSince > unreadDeadlineMs) connection.accepted.destroy();
      }
    }
  }

  #giveUpOldestBody(): void {
    const oldest = this.#unfinished.find();
    if (oldest === undefined) return;
    this.#options.onDoor('given_up', oldest.peer);
    oldest.post?.giveUp();
  }

  #makeRoom(newcomer: Connection): void {
    const found = this.#idle.find();
    // The newcomer has had no time to send a request.
    const victim = found === undefined || found === newcomer ? this.#unread.find() : found;
    if (victim === undefined) this.#giveUpOldestBody();
    else {
      this.#options.onDoor('given_up', victim.peer);
      this.#all.delete(victim);
      victim.accepted.destroy();
    }
  }
}

function ignore(): void {}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
