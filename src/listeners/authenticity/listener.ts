/**
 * The authenticity listener: the public server that Carat posts to. Every request to an authenticity path is answered
 * `200 OK`, through whatever door it leaves: a body that is whole, or too large, too slow or broken, an expectation that
 * Node refuses, or the stop of the service. It is Node's own server, because all that a framework would add on this path
 * are more doors.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Server as TlsServer } from 'node:tls';
import { Chain, type Link } from '../../chain.ts';
import type { Intake } from '../../intake/intake.ts';
import { whenOver } from '../client-gone.ts';
import type { CertificatePair } from './certificate.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import { hangUp, okOnTheWire } from './ok-response.ts';
import { OpenPost, type PostsContext } from './pending-post.ts';

/** What bounds a request and a stop. */
export interface AuthenticityLimits extends ConnectionLimits {
  /** A body is read for so long, and so far, before it is answered all the same. */
  bodyDeadlineMs: number;
  maxBodyBytes: number;
  headersDeadlineMs: number;
  /** How long a stopping listener waits for clients to speak once more on the connections they keep open. */
  idleGraceMs: number;
  /** How long it then waits, taking no more connections, for what is on its way on those that are open. */
  lastWordsMs: number;
  /** How long it waits for requests under way; the process must end within 10 s. */
  stopDeadlineMs: number;
  /** How long what is given up then has until it is answered; the store takes 0.9 s at most. */
  lastAnswersMs: number;
}

const LIMITS: AuthenticityLimits = {
  bodyDeadlineMs: 30_000,
  maxBodyBytes: 1024 * 1024,
  headersDeadlineMs: 10_000,
  idleGraceMs: 500,
  lastWordsMs: 250,
  stopDeadlineMs: 7000,
  lastAnswersMs: 1000,
  maxConnections: 10_000,
  maxHalfOpenBodies: 2000,
};
const POLL_MS = 10;
/** How often the bodies are looked for whose time is over. */
const LOOK_FOR_SLOW_BODIES_EVERY_MS = 100;
/** For so long a connection may be idle: longer than those of the proxies that keep theirs open for us. */
const KEEP_ALIVE_MS = 72_000;
/** The target of the one other thing that is served. */
const LIVEZ = /^\/livez(\?|$)/;
const ALIVE = '{"status":"alive"}';
const NOT_FOUND = 'Not Found';

/**
 * Listens to the errors of each socket. Node removes its own listener on CONNECT and on an upgrade, and an error that
 * nobody listens to ends the process. The socket's `close` follows, and releases what belongs to the connection.
 */
const ignore = (): void => {};

const REFUSED = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

export interface AuthenticityListenerOptions {
  /** The merchant of each path. */
  paths: ReadonlyMap<string, string>;
  intake: Intake;
  tls?: CertificatePair | undefined;
  limits?: Partial<AuthenticityLimits> | undefined;
  /** Told of each answer that was sent, and of each that nobody was there to take (`gone`). */
  onAnswer?: ((merchant: string, status: number | 'gone', seconds: number) => void) | undefined;
}

export class AuthenticityListener {
  readonly server: Server;
  readonly #tls: boolean;
  readonly #paths: ReadonlyMap<string, string>;
  readonly #intake: Intake;
  readonly #limits: AuthenticityLimits;
  readonly #onAnswer: NonNullable<AuthenticityListenerOptions['onAnswer']>;
  readonly #context: PostsContext;
  /** Not answered yet. */
  readonly #open = new Chain<OpenPost>();
  /** The last request of each connection: when what follows its headers breaks, its connection is all that Node tells. */
  readonly #lastOf = new WeakMap<Socket, OpenPost>();
  /** Node tells again of each piece that comes on a connection that is broken already. */
  readonly #broken = new WeakSet<Socket>();
  readonly #connections: Connections;
  #slowBodies: NodeJS.Timeout | undefined;
  #stopping = false;

  constructor({ paths, intake, tls, limits, onAnswer = () => {} }: AuthenticityListenerOptions) {
    this.#paths = paths;
    this.#intake = intake;
    this.#limits = { ...LIMITS, ...limits };
    this.#connections = new Connections(this.#limits);
    this.#onAnswer = onAnswer;
    this.#context = {
      intake,
      maxBodyBytes: this.#limits.maxBodyBytes,
      isStopping: () => this.#stopping,
      onRead: (open) => this.#connections.endBody(open),
    };
    const { headersDeadlineMs } = this.#limits;
    const http = {
      requireHostHeader: false,
      headersTimeout: headersDeadlineMs,
      connectionsCheckingInterval: 2000,
      keepAliveTimeout: KEEP_ALIVE_MS,
      // A body that is late is answered: see `bodyDeadlineMs`.
      requestTimeout: 0,
    };
    this.#tls = tls !== undefined;
    this.server =
      tls === undefined
        ? createServer(http)
        : createTlsServer({ ...http, ...tls, handshakeTimeout: headersDeadlineMs });
    this.#openDoors();
  }

  /** Answers where it listens, as a URL. */
  async listen(host: string, port: number): Promise<string> {
    this.server.listen(port, host);
    await once(this.server, 'listening');
    const { bodyDeadlineMs } = this.#limits;
    this.#slowBodies = setInterval(
      () => this.#connections.giveUpBodiesBefore(performance.now() - bodyDeadlineMs),
      LOOK_FOR_SLOW_BODIES_EVERY_MS,
    );
    const { address, port: bound } = this.server.address() as AddressInfo;
    return `${this.#tls ? 'https' : 'http'}://${isIPv6(address) ? `[${address}]` : address}:${bound}`;
  }

  /** What is served to connections from now on. @throws Error when the pair cannot be used */
  useCertificate(pair: CertificatePair): void {
    (this.server as unknown as TlsServer).setSecureContext(pair);
  }

  /** Goes on answering until what is under way is done, then closes. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { idleGraceMs, lastWordsMs, stopDeadlineMs, lastAnswersMs } = this.#limits;
    const giveUpAt = performance.now() + stopDeadlineMs;
    const underWay = [...this.#open];
    await this.#until(() => this.#connections.count === 0, performance.now() + idleGraceMs);
    await this.#until(() => underWay.every(({ isOver }) => isOver), giveUpAt);
    // A server that closes cuts the connections that look idle; on one of them a post may be on its way.
    const { server } = this;
    const cutIdle = server.closeIdleConnections.bind(server);
    server.closeIdleConnections = () => undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    const timers = [
      setTimeout(cutIdle, lastWordsMs),
      setTimeout(() => {
        for (const open of this.#open) open.giveUp();
        timers.push(setTimeout(() => server.closeAllConnections(), lastAnswersMs));
      }, giveUpAt - performance.now()),
    ];
    await closed;
    for (const timer of timers) clearTimeout(timer);
    clearInterval(this.#slowBodies);
  }

  #openDoors(): void {
    const { server } = this;
    // Node drops headers past the 1000th, be it the length or the sender; their bytes are bounded anyway.
    server.maxHeadersCount = 0;
    // A client that has sent all it wanted may end its half of the connection before it is answered.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.on('request', (request, response) => this.#onRequest(request, response));
    // Node answers 417 to an expectation that it does not know, and closes the connection on CONNECT.
    server.on('checkExpectation', (request, response) => this.#onRequest(request, response));
    server.on('connect', (request, stream) => this.#onConnect(request, stream));
    server.on('clientError', (error, socket) => this.#onBroken(error, socket as Socket));
    server.on('connection', (socket: Socket) => {
      socket.on('error', ignore);
      this.#connections.add(socket, this.#tls);
    });
    server.on('secureConnection', (socket: Socket) => {
      socket.on('error', ignore);
      this.#connections.addSecure(socket);
    });
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = '', socket } = request;
    const merchant = this.#merchantOf(url);
    if (merchant !== undefined) {
      const open = new OpenPost(this.#context, merchant, request, response);
      const place = this.#open.add(open);
      this.#lastOf.set(socket, open);
      this.#connections.begin(socket);
      this.#connections.beginBody(open);
      whenOver(response, socket, () => this.#onOver(open, place, socket));
    } else if (method === 'GET' && LIVEZ.test(url)) {
      const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': ALIVE.length };
      response.writeHead(200, headers).end(ALIVE);
    } else {
      // The connection ends with the answer, for nobody waits for a body here.
      const headers = { 'content-type': 'text/plain', 'content-length': NOT_FOUND.length, connection: 'close' };
      response.writeHead(404, headers).end(NOT_FOUND);
    }
  }

  /** Its answer has gone out, or there is nobody to take it. */
  #onOver(open: OpenPost, place: Link<OpenPost>, socket: Socket): void {
    const { merchant, response, begunAt } = open;
    const isAnswered = response.writableFinished;
    open.isOver = true;
    this.#open.remove(place);
    this.#connections.end(socket);
    this.#connections.endBody(open);
    this.#onAnswer(merchant, isAnswered ? response.statusCode : 'gone', (performance.now() - begunAt) / 1000);
    // A client that ended its half has nothing more to ask: once all is answered, the other half ends, too.
    if (isAnswered && socket.readableEnded && this.#lastOf.get(socket) === open) hangUp(socket);
  }

  /** A query, one trailing slash, and the origin that a proxy may put before the path are ignored. */
  #merchantOf(url: string): string | undefined {
    const merchant = this.#paths.get(url);
    if (merchant !== undefined) return merchant;
    const path = url.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
    return this.#paths.get(path.endsWith('/') ? path.slice(0, -1) : path);
  }

  /** No tunnel is opened. */
  #onConnect({ url = '', socket, headers }: IncomingMessage, stream: Duplex): void {
    const merchant = this.#merchantOf(url);
    if (merchant === undefined) return void stream.destroy();
    const answer = (): unknown => hangUp(socket.end(okOnTheWire()));
    const forwardedFor = headers['x-forwarded-for'] as string | undefined;
    const body = { unusable: 'not_post' } as const;
    this.#intake.receive({ merchant, peer: socket.remoteAddress, forwardedFor, body }).then(answer, answer);
  }

  /** What Node could not parse: a body, and then its request is answered; or something that never was a request. */
  #onBroken(error: NodeJS.ErrnoException, socket: Socket): void {
    if (this.#broken.has(socket)) return;
    this.#broken.add(socket);
    const open = this.#lastOf.get(socket);
    if (open !== undefined && !open.isOver) {
      // When it came whole, what broke is what came behind it.
      if (open.request.complete) open.hangUpWhenAnswered();
      else open.giveUp();
    } else if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else hangUp(socket.end(REFUSED));
  }

  /** Resolves when something is so, or at a time of `performance.now()`. */
  async #until(isSo: () => boolean, at: number): Promise<void> {
    while (!isSo() && performance.now() < at) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
