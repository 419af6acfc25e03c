/**
 * The authenticity listener: the public server that Carat posts to. Every request to an authenticity path is answered
 * `200 OK`, through whatever door it leaves: the handler, an error of Fastify's, a body that is too large, too slow or
 * broken, an expectation that Node refuses, or the stop of the service.
 */
import { METHODS } from 'node:http';
import type { Socket } from 'node:net';
import formbody from '@fastify/formbody';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Intake } from '../intake.ts';
import { MAX_FORM_BYTES, type UnusableReason } from '../post.ts';
import { answerOk, hangUp, okOnTheWire } from './always-ok.ts';

/** A body is read for so long, and so far, before it is answered all the same. */
const BODY_DEADLINE_MS = 30_000;
const MAX_BODY_BYTES = 1024 * 1024;
const HEADERS_DEADLINE_MS = 10_000;
/** How long a stopping listener waits for clients to speak once more on the connections they keep open. */
const IDLE_GRACE_MS = 500;
/** How long it waits for requests under way; the process must end within 10 s. */
const STOP_DEADLINE_MS = 7000;

const REFUSED = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n';

/** A request to an authenticity path that is not answered yet. */
interface OpenPost {
  request: FastifyRequest;
  reply: FastifyReply;
  merchant: string;
  /** Ends the patience with a slow body. */
  timer: NodeJS.Timeout | undefined;
}

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
  tls?: { cert: Buffer; key: Buffer } | undefined;
}

export class AuthenticityListener {
  readonly app: FastifyInstance;
  readonly #paths: ReadonlyMap<string, string>;
  readonly #intake: Intake;
  readonly #open = new Set<OpenPost>();
  /** The last request of each connection: when a body breaks, its connection is all that Node tells. */
  readonly #lastOf = new WeakMap<Socket, OpenPost>();
  readonly #connections = new Set<Socket>();
  #stopping = false;

  constructor({ paths, intake, tls }: AuthenticityListenerOptions) {
    this.#paths = paths;
    this.#intake = intake;
    const http = { requireHostHeader: false, headersTimeout: HEADERS_DEADLINE_MS, connectionsCheckingInterval: 2000 };
    this.app = fastify({
      ...(tls === undefined ? { http } : { https: { ...http, ...tls } }),
      return503OnClosing: false,
      exposeHeadRoutes: false,
      rewriteUrl: ({ url = '' }) => (this.#merchantOf(url) === undefined ? url : '/'),
      clientErrorHandler: (error, socket) => this.#onBroken(error, socket as Socket),
    }) as unknown as FastifyInstance;
    this.#readBodies();
    this.#addRoutes();
    this.#openServerDoors();
  }

  listen(host: string, port: number): Promise<string> {
    return this.app.listen({ host, port });
  }

  /** Answers what is under way and what still comes, then closes. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const giveUpAt = performance.now() + STOP_DEADLINE_MS;
    await this.#connectionsEnded(IDLE_GRACE_MS);
    const closed = this.app.close();
    const timer = setTimeout(() => {
      for (const open of this.#open) this.#giveUp(open, 'not_a_form');
      setTimeout(() => this.app.server.closeAllConnections(), IDLE_GRACE_MS);
    }, giveUpAt - performance.now());
    await closed;
    clearTimeout(timer);
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
      if (merchant !== undefined) this.#begin(request, reply, merchant);
      done();
    });
    app.all('/', (request, reply) => {
      if (request.openPost === undefined) reply.callNotFound();
      else this.#onBody(request.openPost, reply.hijack());
    });
    app.get('/livez', (_request, reply) => reply.send({ status: 'alive' }));
    app.setNotFoundHandler((_request, reply) => reply.code(404).type('text/plain').send('Not Found'));
    app.setErrorHandler((error, { openPost }, reply) => {
      if (openPost === undefined) return reply.send(error);
      reply.hijack();
      if ((error as { code?: string }).code === 'FST_ERR_CTP_BODY_TOO_LARGE') this.#swallow(openPost);
      else this.#receive(openPost, { unusable: 'not_a_form' });
    });
  }

  #openServerDoors(): void {
    const { server } = this.app;
    // Node answers 417 to an expectation that it does not know, and closes the connection on CONNECT.
    server.on('checkExpectation', (request, response) => server.emit('request', request, response));
    server.on('connect', ({ url = '' }, socket) => {
      if (this.#merchantOf(url) === undefined) socket.destroy();
      else socket.end(okOnTheWire());
    });
    server.on('connection', (socket: Socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
  }

  /** A query, one trailing slash, and the origin that a proxy may put before the path are ignored. */
  #merchantOf(url: string): string | undefined {
    const merchant = this.#paths.get(url);
    if (merchant !== undefined) return merchant;
    const path = url.replace(/^https?:\/\/[^/?#]*/i, '').replace(/[?#].*$/s, '');
    return this.#paths.get(path.endsWith('/') ? path.slice(0, -1) : path);
  }

  #begin(request: FastifyRequest, reply: FastifyReply, merchant: string): void {
    const open: OpenPost = { request, reply, merchant, timer: undefined };
    request.openPost = open;
    this.#open.add(open);
    this.#lastOf.set(request.raw.socket, open);
    reply.raw.once('close', () => this.#end(open));
    open.timer = setTimeout(() => this.#giveUp(open, 'not_a_form'), BODY_DEADLINE_MS);
  }

  #end(open: OpenPost): void {
    clearTimeout(open.timer);
    this.#open.delete(open);
  }

  #onBody(open: OpenPost, { request }: FastifyReply): void {
    clearTimeout(open.timer);
    const { text = '', form = text !== undefined } = (request.body ?? { text: '' }) as {
      text?: string;
      form?: boolean;
    };
    const encoding = request.headers['content-encoding'] ?? 'identity';
    if (request.method !== 'POST') this.#receive(open, { unusable: 'not_post' });
    else if (!form || encoding.toLowerCase() !== 'identity') this.#receive(open, { unusable: 'not_a_form' });
    else this.#receive(open, text);
  }

  /** Hands what came to intake, and answers when it is kept. */
  #receive(open: OpenPost, body: string | { unusable: UnusableReason }): void {
    if (!this.#open.delete(open)) return;
    clearTimeout(open.timer);
    const { request, reply, merchant } = open;
    const forwardedFor = request.headers['x-forwarded-for'] as string | undefined;
    const answer = (): void => answerOk(reply.raw, this.#stopping);
    this.#intake.receive({ merchant, peer: request.raw.socket.remoteAddress, forwardedFor, body }).then(answer, answer);
  }

  /** Reads a large body to its end, or to the limit, keeping nothing of it. */
  #swallow(open: OpenPost): void {
    let left = MAX_BODY_BYTES;
    const { raw } = open.request;
    raw.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) this.#giveUp(open, 'too_large');
    });
    raw.on('end', () => this.#receive(open, { unusable: 'too_large' }));
    raw.resume();
  }

  /** Answers a request whose body will not be read to its end, and closes the connection. */
  #giveUp(open: OpenPost, reason: UnusableReason): void {
    if (!this.#open.has(open)) return;
    const { request, reply } = open;
    if (!reply.sent) reply.hijack();
    reply.raw.once('finish', () => hangUp(request.raw.socket));
    this.#receive(open, { unusable: reason });
  }

  /** What Node could not parse: a body, and then its request is answered; or something that never was a request. */
  #onBroken(error: NodeJS.ErrnoException, socket: Socket): void {
    const open = this.#lastOf.get(socket);
    if (open !== undefined && this.#open.has(open)) this.#giveUp(open, 'not_a_form');
    else if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else hangUp(socket.end(REFUSED));
  }

  /** Resolves when nobody is connected any more, or after some time. */
  async #connectionsEnded(withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    while (this.#connections.size > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
