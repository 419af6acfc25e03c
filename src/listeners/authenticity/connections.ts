/**
 * The connections of the public server. It serves one request of each connection at a time, in the order of arrival, so
 * that the backlog of a client that pipelines delays only this client. The number of connections is bounded. When there
 * are too many, these give way, the longest waiting first: idle ones, then those whose client does not read its answer,
 * then those with an unfinished body. A post that was read whole never gives way.
 *
 * All bookkeeping is per connection: nothing is added to a collection, or removed from one, for each request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { hangUp } from './ok-response.ts';

export interface ConnectionLimits {
  /** Each takes some 10 kB and a file descriptor. */
  maxConnections: number;
  /** Each may hold an incomplete form of 16 KiB. */
  maxHalfOpenBodies: number;
  /** Pipelined requests that wait for their turn, per connection. From this number on the connection is not read. */
  maxBacklog: number;
  /** Idle connections are closed after this time. Longer than load balancers keep theirs (GCP: 600 s). */
  keepAliveMs: number;
  /** A body is read for at most this long before it is answered. */
  bodyDeadlineMs: number;
  /** A connection ends when its client has taken nothing of an answer for this long. */
  unreadDeadlineMs: number;
}

/** A request to an authenticity path that is not answered yet. */
export interface Pending {
  /** True until its body was read to the end, or given up. */
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

interface Connection {
  /** The socket that was accepted. */
  readonly accepted: Socket;
  readonly peer: string | undefined;
  /** The socket on which HTTP is spoken: with TLS another one. */
  socket: Socket;
  /** Why the TLS handshake failed. */
  handshakeError: string | undefined;
  /** What is served now; none while the connection is idle. */
  turn: Turn | undefined;
  /** The current turn, if it is a request to an authenticity path. */
  post: Pending | undefined;
  /** Nothing was received yet. */
  isSilent: boolean;
  /** Pipelined requests, oldest first. */
  readonly backlog: Turn[];
  /** When the current turn, or else the idle time, began. In milliseconds of `performance.now()`. */
  since: number;
  /** When the answer was first seen to be stuck. */
  unreadSince: number | undefined;
  /** The connection ends with the current answer. */
  isLast: boolean;
  /** Node cannot parse what follows; it reports this for each piece that arrives. */
  isBroken: boolean;
}

/** How often the deadlines of all connections are checked. */
const SWEEP_EVERY_MS = 250;
/** How much is parsed before it is checked whether a connection must wait. Holds every post of Carat. */
const PIECE_BYTES = 4096;
/** How many connections that may give way are found at once. */
const BATCH = 256;

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #limits: ConnectionLimits;
  readonly #all = new Set<Connection>();
  readonly #bySocket = new WeakMap<Socket, Connection>();
  /** Those on which TLS will be spoken, by the peer's address and port. */
  readonly #byPeer = new Map<string, Connection>();
  readonly #idle = new Oldest(this.#all, ({ turn, since }) => (turn === undefined ? since : undefined));
  readonly #unread = new Oldest(this.#all, ({ turn, post, since }) =>
    turn?.response.writableEnded && !post?.isReading ? since : undefined,
  );
  readonly #unfinished = new Oldest(this.#all, ({ post, since }) => (post?.isReading ? since : undefined));
  /** How many bodies are not read to their end. */
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

  /** Requests of a TLS connection come by another socket than the one that was accepted. */
  addSecure(secure: Socket): void {
    const peer = peerOf(secure);
    const connection = this.#byPeer.get(peer);
    this.#byPeer.delete(peer);
    if (connection === undefined) return;
    connection.socket = secure;
    this.#watch(connection, secure);
  }

  /** Says why a TLS handshake failed. */
  failHandshake(secure: Socket, reason: string | undefined): void {
    const connection = this.#byPeer.get(peerOf(secure));
    if (connection !== undefined) connection.handshakeError = reason;
  }

  /** Serves a request as soon as those before it on its connection are answered. */
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

  /** Says that the request that is served on a connection is a post. Call `endReading` once for each. */
  attach(socket: Socket, post: Pending): void {
    const connection = this.#bySocket.get(socket);
    if (connection === undefined) return;
    connection.post = post;
    this.#reading += 1;
    // What broke may be the body of a request that had to wait for its turn.
    if (connection.isBroken && connection.turn?.request.complete === false) post.giveUp();
    else if (this.#reading > this.#limits.maxHalfOpenBodies) this.#giveUpOldestBody();
  }

  endReading(): void {
    this.#reading -= 1;
  }

  /** Ends a connection when its current request is answered. */
  endAfterAnswer(socket: Socket): void {
    const connection = this.#bySocket.get(socket);
    if (connection !== undefined) connection.isLast = true;
  }

  /**
   * Nothing more can be read of a connection: it could not be parsed, or took too long. What was read whole is answered
   * before the connection ends. False if there is nothing to answer.
   */
  break(socket: Socket): boolean {
    const connection = this.#bySocket.get(socket);
    if (connection === undefined) return false;
    if (connection.isBroken) return true;
    connection.isBroken = true;
    if (connection.turn?.request.complete === false) connection.post?.giveUp();
    return connection.turn !== undefined;
  }

  /** False for a connection whose TLS handshake has not ended well, or that was given up. */
  has(socket: Socket): boolean {
    return this.#bySocket.has(socket);
  }

  isSilent(socket: Socket): boolean {
    return this.#bySocket.get(socket)?.isSilent === true;
  }

  /** Closes the connections that have not sent anything yet. Node does not take them for idle. */
  closeSilent(): void {
    for (const { isSilent, accepted } of this.#all) if (isSilent) accepted.destroy();
  }

  /** The responses that are not sent yet, without those that wait for their turn. */
  pending(): ServerResponse[] {
    return [...this.#all].flatMap(({ turn }) => (turn === undefined ? [] : [turn.response]));
  }

  giveUpBodies(): void {
    for (const { post } of this.#all) post?.giveUp();
  }

  #watch(connection: Connection, socket: Socket): void {
    this.#bySocket.set(socket, connection);
    this.#parseInPieces(connection, socket);
    // Node removes its own listener on CONNECT. An error without a listener ends the process; `close` follows each.
    socket.on('error', ignore);
    // Node resumes the socket whenever it reads a body.
    socket.on('resume', () => {
      if (connection.backlog.length >= this.#limits.maxBacklog) socket.pause();
    });
  }

  /**
   * Puts itself before the parser. Node parses all that one read brings, up to 64 KiB, in one go: thousands of pipelined
   * requests. Other connections would wait for that, and pausing the socket would come too late.
   */
  #parseInPieces(connection: Connection, socket: Socket): void {
    const [parse] = socket.listeners('data') as ((piece: Buffer) => void)[];
    if (parse === undefined) return;
    socket.off('data', parse);
    socket.on('data', (bytes: Buffer) => {
      connection.isSilent = false;
      for (let at = 0; at < bytes.length && !connection.isBroken; at += PIECE_BYTES) {
        if (socket.isPaused()) {
          socket.unshift(bytes.subarray(at));
          return;
        }
        parse(bytes.length <= PIECE_BYTES ? bytes : bytes.subarray(at, at + PIECE_BYTES));
      }
    });
  }

  /** A client that only connected, as health checks of balancers do, has not failed. */
  #checkHandshake({ accepted, socket, peer, handshakeError = 'ECONNRESET' }: Connection): void {
    if (socket !== accepted || accepted.bytesRead === 0) return;
    const door = handshakeError === 'ERR_SSL_NO_APPLICATION_PROTOCOL' ? 'alpn' : 'tls_handshake';
    this.#options.onDoor(door, peer, handshakeError);
  }

  #begin(connection: Connection, turn: Turn): void {
    connection.turn = turn;
    connection.since = performance.now();
    // Node drops what a client pipelined behind a request to upgrade. The end tells the client to send it again.
    if (turn.request.headers.upgrade !== undefined) connection.isLast = true;
    turn.response.once('close', () => this.#end(connection, turn));
  }

  /** The answer was sent, or the client is gone. */
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

  /** The connection has closed. A response that waits behind another is not told so by Node. */
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
    // A newcomer had no time yet to ask anything.
    const giving = found === undefined || found === newcomer ? this.#unread.find() : found;
    if (giving === undefined) this.#giveUpOldestBody();
    else {
      this.#options.onDoor('given_up', giving.peer);
      this.#all.delete(giving);
      giving.accepted.destroy();
    }
  }
}

interface Candidate {
  connection: Connection;
  since: number;
}

/**
 * Finds the connection that has been in some state for the longest time. It looks through all connections once for a
 * batch of answers, so that a flood of connections costs little.
 */
class Oldest {
  readonly #all: ReadonlySet<Connection>;
  /** Since when a connection is in the state; undefined when it is not. */
  readonly #sinceOf: (connection: Connection) => number | undefined;
  /** The oldest is last. */
  #batch: Candidate[] = [];

  constructor(all: ReadonlySet<Connection>, sinceOf: (connection: Connection) => number | undefined) {
    this.#all = all;
    this.#sinceOf = sinceOf;
  }

  find(): Connection | undefined {
    return this.#next() ?? this.#refill();
  }

  #next(): Connection | undefined {
    for (let one = this.#batch.at(-1); one !== undefined; one = this.#batch.at(-1)) {
      if (this.#all.has(one.connection) && this.#sinceOf(one.connection) === one.since) return one.connection;
      this.#batch.pop();
    }
    return undefined;
  }

  #refill(): Connection | undefined {
    const found: Candidate[] = [];
    for (const connection of this.#all) {
      const since = this.#sinceOf(connection);
      if (since !== undefined) found.push({ connection, since });
    }
    this.#batch = found.sort((a, b) => b.since - a.since).slice(-BATCH);
    return this.#next();
  }
}

function ignore(): void {}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
