/**
 * The authenticity listener: the public server that Carat posts to. Every request to an authenticity path is answered
 * `200 OK`, through whatever door it leaves: the handler, an error of Fastify's, a body that is too large, too slow or
 * broken, an expectation that Node refuses, or the stop of the service.
 */
import { type IncomingMessage, METHODS } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Server as TlsServer } from 'node:tls';
import formbody from '@fastify/formbody';
import fastify, { type FastifyInstance } from 'fastify';
import type { Intake } from '../intake.ts';
import { MAX_FORM_BYTES } from '../post.ts';
import { hangUp, okOnTheWire } from './always-ok.ts';
import type { CertificatePair } from './certificate.ts';
import { type ConnectionLimits, Connections } from './connections.ts';
import { OpenPost } from './open-post.ts';

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
/** The target of the one other thing that is served. */
const LIVEZ = /^\/livez(\?|$)/;

const REFUSED = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set for a request to an authenticity path, and only for such. */
    openPost: OpenPost | undefined;
  }
}

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
  readonly app: FastifyInstance;
  readonly #paths: ReadonlyMap<string, string>;
  readonly #intake: Intake;
  readonly #limits: AuthenticityLimits;
  readonly #onAnswer: NonNullable<AuthenticityListenerOptions['onAnswer']>;
  /** Not answered yet. */
  readonly #open = new Set<OpenPost>();
  /** The last request of each connection: when what follows its headers breaks, its connection is all that Node tells. */
  readonly #lastOf = new WeakMap<Socket, OpenPost>();
  /** Node tells again of each piece that comes on a connection that is broken already. */
  readonly #broken = new WeakSet<Socket>();
  readonly #connections: Connections;
  #stopping = false;

  constructor({ paths, intake, tls, limits, onAnswer = () => {} }: AuthenticityListenerOptions) {
    this.#paths = paths;
    this.#intake = intake;
    this.#limits = { ...LIMITS, ...limits };
    this.#connections = new Connections(this.#limits);
    this.#onAnswer = onAnswer;
    const { headersDeadlineMs } = this.#limits;
    const http = { requireHostHeader: false, headersTimeout: headersDeadlineMs, connectionsCheckingInterval: 2000 };
    this.app = fastify({
      ...(tls === undefined ? { http } : { https: { ...http, ...tls, handshakeTimeout: headersDeadlineMs } }),
      return503OnClosing: false,
      exposeHeadRoutes: false,
      // The router gets nothing to parse: there are the authenticity paths, all of them at `/`, and `/livez`.
      rewriteUrl: ({ url = '' }) => (LIVEZ.test(url) ? '/livez' : '/'),
      clientErrorHandler: (error, socket) => this.#onBroken(error, socket as Socket),
    }) as unknown as FastifyInstance;
    this.#readBodies();
    this.#addRoutes();
    this.#openServerDoors();
  }

  listen(host: string, port: number): Promise<string> {
    return this.app.listen({ host, port });
  }

  /** What is served to connections from now on. @throws Error when the pair cannot be used */
  useCertificate(pair: CertificatePair): void {
    (this.app.server as unknown as TlsServer).setSecureContext(pair);
  }

  /** Goes on answering until what is under way is done, then closes. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { idleGraceMs, lastWordsMs, stopDeadlineMs, lastAnswersMs } = this.#limits;
    const giveUpAt = performance.now() + stopDeadlineMs;
    const underWay = [...this.#open];
    await this.#until(() => this.#connections.count === 0, performance.now() + idleGraceMs);
    await this.#until(() => underWay.every((open) => !this.#open.has(open)), giveUpAt);
    // A server that closes cuts the connections that look idle; on one of them a post may be on its way.
    const { server } = this.app;
    const cutIdle = server.closeIdleConnections.bind(server);
    server.closeIdleConnections = () => undefined;
    const closed = this.app.close();
    const timers = [
      setTimeout(cutIdle, lastWordsMs),
      setTimeout(() => {
        for (const open of this.#open) open.giveUp();
        timers.push(setTimeout(() => server.closeAllConnections(), lastAnswersMs));
      }, giveUpAt - performance.now()),
    ];
    await closed;
    for (const timer of timers) clearTimeout(timer);
  }

  /** Only the body of a POST is read, and only a form is kept. */
  #readBodies(): void {
    const { app } = this;
    for (const method of METHODS) {
      if (method !== 'CONNECT' && method !== 'POST')
        app.addHttpMethod(method, { hasBody: false, overrideExisting: true });
    }
    app.removeAllContentTypeParsers();
    // The plugin reads the body within its limit; the text goes to our own parser, which looks at the known fields only.
    app.register(formbody, { bodyLimit: MAX_FORM_BYTES, parser: (text) => ({ text }) });
    app.addContentTypeParser('*', { parseAs: 'string', bodyLimit: MAX_FORM_BYTES }, (request, text, done) => {
      done(null, request.headers['content-type'] === undefined ? { text } : {});
    });
  }

  #addRoutes(): void {
    const { app } = this;
    app.decorateRequest('openPost', undefined);
    app.addHook('onRequest', (request, reply, done) => {
      const merchant = this.#merchantOf(request.originalUrl);
      if (merchant !== undefined) {
        const isStopping = (): boolean => this.#stopping;
        const onRead = (): void => this.#connections.endBody(open);
        const options = { merchant, intake: this.#intake, isStopping, onRead, ...this.#limits };
        const open = new OpenPost(request, reply, options);
        request.openPost = open;
        this.#track(open, request.raw.socket, merchant);
        done();
      } else if (request.routeOptions.url === '/livez') {
        reply.send({ status: 'alive' });
      } else {
        // The connection ends with the answer, for nobody waits for a body here.
        reply.code(404).type('text/plain').header('connection', 'close').send('Not Found');
      }
    });
    app.get('/livez', () => {});
    app.all('/', ({ openPost, body }) => {
      openPost?.read(body === undefined ? '' : (body as { text?: string }).text);
    });
    app.setErrorHandler((error, { openPost }) => {
      openPost?.swallow(
        (error as { code?: string }).code === 'FST_ERR_CTP_BODY_TOO_LARGE' ? 'too_large' : 'not_a_form',
      );
    });
  }

  #track(open: OpenPost, socket: Socket, merchant: string): void {
    const begunAt = performance.now();
    this.#open.add(open);
    this.#lastOf.set(socket, open);
    this.#connections.begin(socket);
    this.#connections.beginBody(open);
    open.response.once('close', () => {
      this.#open.delete(open);
      this.#connections.end(socket);
      if (!open.response.writableFinished) this.#onAnswer(merchant, 'gone', (performance.now() - begunAt) / 1000);
    });
    open.response.once('finish', () => {
      this.#onAnswer(merchant, open.response.statusCode, (performance.now() - begunAt) / 1000);
      // A client that ended its half has nothing more to ask: once all is answered, the other half ends, too.
      if (socket.readableEnded && this.#lastOf.get(socket) === open) hangUp(socket);
    });
  }

  #openServerDoors(): void {
    const { server } = this.app;
    // Node drops headers past the 1000th, be it the length or the sender; their bytes are bounded anyway.
    server.maxHeadersCount = 0;
    // A client that has sent all it wanted may end its half of the connection before it is answered.
    Object.assign(server, { httpAllowHalfOpen: true });
    // Node answers 417 to an expectation that it does not know, and closes the connection on CONNECT.
    server.on('checkExpectation', (request, response) => server.emit('request', request, response));
    server.on('connect', (request, stream) => this.#onConnect(request, stream));
    server.on('connection', (socket: Socket) => this.#connections.add(socket));
    server.on('secureConnection', (socket: Socket) => this.#connections.addSecure(socket));
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
    if (open !== undefined && this.#open.has(open)) {
      if (open.isWhole) open.hangUpWhenAnswered();
      else open.giveUp();
    } else if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else hangUp(socket.end(REFUSED));
  }

  /** Resolves when something is so, or at a time of `performance.now()`. */
  async #until(isSo: () => boolean, at: number): Promise<void> {
    while (!isSo() && performance.now() < at) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
