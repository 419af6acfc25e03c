/**
 * The authenticity listener: the public Fastify server that Carat posts to. `@fastify/formbody` reads the form, and the
 * route's handler passes it to intake. Everything else here covers a case in which Fastify or Node would answer something
 * other than `200 OK`.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, METHODS, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, isIPv6, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Server as TlsServer } from 'node:tls';
import formbody from '@fastify/formbody';
import fastify, { type FastifyInstance, type FastifyServerFactoryHandler } from 'fastify';
import type { Intake } from '../../intake/intake.ts';
import { type PostReading, readPost } from '../../intake/parse-post.ts';
import type { Door } from '../../observability/doors.ts';
import { acceptPending } from '../orderly-close.ts';
import type { CertificatePair } from './certificate.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import { MOST_CONNECTIONS } from './descriptors.ts';
import { nearMiss } from './near-miss.ts';
import { hangUp, okOnTheWire } from './ok-response.ts';
import { PendingPost, type PostsContext } from './pending-post.ts';

/** Limits of a request and of a shutdown. */
export interface AuthenticityLimits extends ConnectionLimits {
  /** A body is read up to this size before it is answered. */
  maxBodyBytes: number;
  headersDeadlineMs: number;
  /** How long shutdown waits for clients to use their keep-alive connections once more. */
  idleGraceMs: number;
  /** How long shutdown then keeps idle connections open after it stopped accepting new ones. */
  idleCloseDelayMs: number;
  /** How long shutdown waits for pending requests; the process must exit within 10 s. */
  stopDeadlineMs: number;
  /** How long a request that was given up may still take to be answered. The store takes at most 0.9 s. */
  finalAnswersMs: number;
}

const LIMITS: AuthenticityLimits = {
  bodyDeadlineMs: 30_000,
  maxBodyBytes: 1024 * 1024,
  headersDeadlineMs: 10_000,
  unreadDeadlineMs: 30_000,
  keepAliveMs: 620_000,
  idleGraceMs: 500,
  idleCloseDelayMs: 250,
  stopDeadlineMs: 7000,
  finalAnswersMs: 1000,
  maxConnections: MOST_CONNECTIONS,
  maxHalfOpenBodies: 2000,
  maxBacklog: 16,
};
const POLL_MS = 10;
/** How often Node checks for overdue headers. */
const CHECK_HEADERS_EVERY_MS = 2000;
const LIVEZ = /^\/livez(\?|$)/;
const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';
/** The route for requests to unknown paths. It does not exist. */
const NOWHERE = '/';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set on every request to an authenticity path. */
    post: PendingPost;
  }
}

export interface DoorMet {
  peer: string | undefined;
  forwardedFor?: string | undefined;
  /** The merchant whose path is similar to the requested one. */
  merchant?: string | undefined;
  /** The code of an error of Node. */
  reason?: string | undefined;
}

export interface AuthenticityListenerOptions {
  /** The merchant of each path. */
  paths: ReadonlyMap<string, string>;
  intake: Intake;
  tls?: CertificatePair | undefined;
  limits?: Partial<AuthenticityLimits> | undefined;
  /** Called for requests and connections that do not reach an authenticity path. */
  onDoor?: ((door: Door, met: DoorMet) => void) | undefined;
  /** Called for each answer that was sent, and for each client that went away before it (`gone`). */
  onAnswer?: ((merchant: string, status: number | 'gone', seconds: number) => void) | undefined;
}

export class AuthenticityListener {
  readonly app: FastifyInstance;
  readonly #paths: ReadonlyMap<string, string>;
  readonly #tls: CertificatePair | undefined;
  readonly #limits: AuthenticityLimits;
  readonly #intake: Intake;
  readonly #onDoor: NonNullable<AuthenticityListenerOptions['onDoor']>;
  readonly #connections: Connections;
  readonly #posts: PostsContext;
  #serve: FastifyServerFactoryHandler | undefined;
  #stopping = false;

  constructor({ paths, intake, tls, limits, onAnswer = () => {}, onDoor = () => {} }: AuthenticityListenerOptions) {
    this.#paths = paths;
    this.#tls = tls;
    this.#limits = { ...LIMITS, ...limits };
    this.#intake = intake;
    this.#onDoor = onDoor;
    this.#connections = new Connections({
      limits: this.#limits,
      serve: (request, response) => this.#serve?.(request, response),
      onDoor: (door, peer, reason) => onDoor(door, { peer, reason }),
      onGone: ({ url }) => {
        const merchant = this.#merchantOf(url);
        if (merchant !== undefined) onAnswer(merchant, 'gone', 0);
      },
    });
    this.#posts = {
      intake,
      connections: this.#connections,
      maxBodyBytes: this.#limits.maxBodyBytes,
      isStopping: () => this.#stopping,
      onAnswer,
    };
    this.app = fastify({
      serverFactory: (serve) => {
        this.#serve = serve;
        return this.#createServer();
      },
      rewriteUrl: ({ url }) => this.#routeOf(url),
      // The gate of `PendingPost` bounds bodies, so that a large one is read to its end and not refused.
      bodyLimit: Number.MAX_SAFE_INTEGER,
      clientErrorHandler: (error, socket) => this.#onClientError(error, socket as Socket),
    });
    this.#addParsers();
    this.#addRoutes();
  }

  get server(): Server {
    return this.app.server;
  }

  /** Resolves with its URL. */
  async listen(host: string, port: number): Promise<string> {
    await this.app.ready();
    // `app.listen` would open a second server for `localhost` and return another address than the requested one.
    this.server.listen(port, host);
    await once(this.server, 'listening');
    this.#connections.start();
    const { address, port: bound } = this.server.address() as AddressInfo;
    return `${this.#tls === undefined ? 'http' : 'https'}://${isIPv6(address) ? `[${address}]` : address}:${bound}`;
  }

  /** Serves new connections with this certificate. @throws Error when the pair cannot be used */
  useCertificate(pair: CertificatePair): void {
    (this.server as unknown as TlsServer).setSecureContext(pair);
  }

  /** Answers every pending request, then closes. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { server } = this;
    const { idleGraceMs, idleCloseDelayMs, stopDeadlineMs, finalAnswersMs } = this.#limits;
    const giveUpAt = performance.now() + stopDeadlineMs;
    const pending = this.#connections.pending();
    await until(() => this.#connections.count === 0, performance.now() + idleGraceMs);
    await until(() => pending.every(({ closed }) => closed), giveUpAt);
    await acceptPending(server);
    // A closing server closes idle connections at once, but a post may already be on its way on one of them.
    const closeIdle = server.closeIdleConnections.bind(server);
    server.closeIdleConnections = () => undefined;
    const closed = new Promise((resolve) => server.close(resolve));
    const timers = [
      setTimeout(() => {
        closeIdle();
        this.#connections.closeSilent();
      }, idleCloseDelayMs),
      setTimeout(() => {
        this.#connections.giveUpBodies();
        timers.push(setTimeout(() => server.closeAllConnections(), finalAnswersMs));
      }, giveUpAt - performance.now()),
    ];
    await closed;
    for (const timer of timers) clearTimeout(timer);
    this.#connections.stop();
    // Last, because Fastify refuses requests while it closes.
    await this.app.close();
  }

  #createServer(): Server {
    const { headersDeadlineMs } = this.#limits;
    const options = {
      requireHostHeader: false,
      headersTimeout: headersDeadlineMs,
      connectionsCheckingInterval: CHECK_HEADERS_EVERY_MS,
      // `Connections` has the deadlines of bodies and of idle connections.
      requestTimeout: 0,
      keepAliveTimeout: 0,
    };
    const server =
      this.#tls === undefined
        ? createServer(options)
        : createTlsServer({ ...options, ...this.#tls, handshakeTimeout: headersDeadlineMs });
    // Node drops headers past the 1000th, which may be the content type or the sender; their size is bounded anyway.
    server.maxHeadersCount = 0;
    // A client may end its half of the connection before it is answered.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.on('request', (request, response) => this.#connections.receive(request, response));
    // By default Node answers 417 to an unknown expectation, and closes the connection on CONNECT.
    server.on('checkExpectation', (request, response) => this.#connections.receive(request, response));
    server.on('connect', (request, stream) => this.#onConnect(request, stream));
    server.on('connection', (socket: Socket) => this.#connections.add(socket, this.#tls !== undefined));
    server.on('secureConnection', (socket: Socket) => this.#connections.addSecure(socket));
    return server;
  }

  #addParsers(): void {
    const { app } = this;
    // Every body is read to its end. The rest would be parsed as the next request.
    for (const method of METHODS) {
      if (method !== 'CONNECT') app.addHttpMethod(method, { hasBody: true, overrideExisting: true });
    }
    app.removeAllContentTypeParsers();
    app.register(formbody, { parser: readPost as (body: string) => PostReading & Record<string, unknown> });
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null));
  }

  #addRoutes(): void {
    const { app } = this;
    app.decorateRequest('post', null as unknown as PendingPost);
    // Answers a 404 before its body is read.
    app.addHook('onRequest', (request, reply, done) => {
      if (!request.is404) return done();
      reply.code(404).header('connection', 'close').type('text/plain').send('Not Found');
      this.#onNotFound(request.raw, request.originalUrl);
    });
    app.get('/livez', async () => ({ status: 'alive' }));
    app.all<{ Params: { merchant: string }; Body: PostReading | undefined }>('/posts/:merchant', {
      preParsing: (request, reply, body, done) => {
        request.post = new PendingPost(this.#posts, request.params.merchant, request, reply);
        this.#connections.attach(request.raw.socket, request.post);
        done(null, request.post.gate(body));
      },
      handler: ({ post, body }) => post.receive(body),
      errorHandler: (_error, { post }) => post.giveUp(),
    });
  }

  /** Maps a request to its route. A client cannot request `/posts/:merchant` directly. */
  #routeOf(url: string | undefined): string {
    const merchant = this.#merchantOf(url);
    if (merchant !== undefined) return `/posts/${merchant}`;
    return LIVEZ.test(url ?? '') ? '/livez' : NOWHERE;
  }

  /** Ignores a query, one trailing slash, and the origin that a proxy may put before the path. */
  #merchantOf(url = ''): string | undefined {
    const merchant = this.#paths.get(url);
    if (merchant !== undefined) return merchant;
    const path = pathOf(url);
    return this.#paths.get(path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path);
  }

  #onNotFound({ socket, headers }: IncomingMessage, url: string): void {
    const merchant = nearMiss(pathOf(url), this.#paths);
    const forwardedFor = headers['x-forwarded-for'] as string | undefined;
    const met = { merchant, peer: socket.remoteAddress, forwardedFor };
    this.#onDoor(merchant === undefined ? 'not_found' : 'near_miss', met);
  }

  /** Answers CONNECT like any other request. Opens no tunnel. */
  #onConnect(request: IncomingMessage, stream: Duplex): void {
    const { url = '', socket, headers } = request;
    // Node stops parsing this connection. Earlier requests are answered, then the connection ends.
    if (this.#connections.break(socket)) return;
    const merchant = this.#merchantOf(url);
    if (merchant === undefined) {
      this.#onNotFound(request, url);
      return void stream.destroy();
    }
    const answer = (): unknown => hangUp(socket.end(okOnTheWire()));
    const forwardedFor = headers['x-forwarded-for'] as string | undefined;
    const reading = { usable: false, reason: 'not_post' } as const;
    this.#intake.receive({ merchant, peer: socket.remoteAddress, forwardedFor, reading }).then(answer, answer);
  }

  /** Node could not parse something, or headers took too long. */
  #onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
    // A balancer may open connections in advance. Node treats these as overdue headers.
    if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT' && this.#connections.isSilent(socket)) return;
    if (this.#connections.break(socket)) return;
    if (!this.#connections.has(socket)) {
      this.#connections.failHandshake(socket, error.code);
      return void socket.destroy();
    }
    if (error.code === 'ECONNRESET') return void socket.destroy();
    this.#onDoor('bad_request', { peer: socket.remoteAddress, reason: error.code });
    if (socket.writable) hangUp(socket.end(BAD_REQUEST));
    else socket.destroy();
  }
}

/** The path of a request's target, without the origin that a proxy may put before it. */
function pathOf(url: string): string {
  return url.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '') || '/';
}

/** Resolves when the condition holds, or at the given time of `performance.now()`. */
async function until(holds: () => boolean, at: number): Promise<void> {
  while (!holds() && performance.now() < at) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
