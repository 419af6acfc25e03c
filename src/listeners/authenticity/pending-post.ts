/**
 * One request to an authenticity path, from its headers to its answer. It is passed to intake once and answered `200 OK`
 * once, even if its body never ends.
 */
import { Transform } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Intake } from '../../intake/intake.ts';
import { MAX_FORM_BYTES, type PostReading } from '../../intake/parse-post.ts';
import type { Connections, Pending } from './connections.ts';
import { answerOk } from './ok-response.ts';

/** Shared by all requests of a listener. */
export interface PostsContext {
  intake: Intake;
  connections: Connections;
  /** A body is read up to this size before it is answered. */
  maxBodyBytes: number;
  isStopping: () => boolean;
  /** Called once for each request: when its answer was sent, or when its client is `gone`. */
  onAnswer: (merchant: string, status: number | 'gone', seconds: number) => void;
}

const FORM = 'application/x-www-form-urlencoded';
/** A missing or empty content type counts as a form. Everything after the media type is ignored. */
const FORM_TYPE = /^(?:$|["']?application\/x-www-form-urlencoded(?![^\s;,"']))/i;
/** Only these encodings make a form unreadable. Some senders put a charset or nothing into the header. */
const COMPRESSION = /(?<![^\s,;"'])(?:x-)?(gzip|deflate|br|zstd|compress)(?![^\s,;"'])/i;
const MEDIA_TYPE = /^[\w.+-]{1,40}\/[\w.+-]{1,40}(?![^\s;,"'])/;

export class PendingPost implements Pending {
  readonly #context: PostsContext;
  readonly #merchant: string;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #begunAt = performance.now();
  readonly #contentType: string;
  readonly #compression: string | undefined;
  readonly #isForm: boolean;
  #bytes = 0;
  #isReading = true;
  #isCutOff = false;

  constructor(context: PostsContext, merchant: string, request: FastifyRequest, reply: FastifyReply) {
    this.#context = context;
    this.#merchant = merchant;
    this.#request = request;
    this.#reply = reply;
    const { method, headers } = request.raw;
    this.#contentType = headers['content-type'] ?? '';
    const encoding = headers['content-encoding'];
    this.#compression = encoding === undefined ? undefined : COMPRESSION.exec(encoding)?.[1];
    this.#isForm = method === 'POST' && this.#compression === undefined && FORM_TYPE.test(this.#contentType);
    // Fastify refuses content types without a parser, so each request gets one of the two that have a parser.
    headers['content-type'] = this.#isForm ? FORM : 'application/octet-stream';
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  /** Passes on at most 16 KiB of a body, discards the rest up to `maxBodyBytes`, and gives up beyond that. */
  gate<T extends NodeJS.ReadableStream>(body: T): T | Transform {
    const { 'content-length': length, 'transfer-encoding': encoding } = this.#request.raw.headers;
    if (encoding === undefined && Number(length ?? 0) <= MAX_FORM_BYTES) return body;
    const gate = Object.assign(
      new Transform({
        transform: (chunk: Buffer, _encoding, done) => {
          this.#bytes += chunk.length;
          gate.receivedEncodedLength = this.#bytes;
          if (this.#bytes > this.#context.maxBodyBytes) this.giveUp();
          done(null, this.#bytes <= MAX_FORM_BYTES ? chunk : undefined);
        },
      }),
      // Fastify compares this with the stated length.
      { receivedEncodedLength: 0 },
    );
    return body.pipe(gate);
  }

  /** Passes the reading to intake, and answers when intake has finished. Without a reading, the body is not a form. */
  receive(reading?: PostReading): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    const { intake, connections, isStopping } = this.#context;
    connections.endReading();
    const { headers, socket } = this.#request.raw;
    const answer = (): void => answerOk(this.#reply, isStopping());
    intake
      .receive({
        merchant: this.#merchant,
        peer: socket.remoteAddress,
        forwardedFor: headers['x-forwarded-for'] as string | undefined,
        reading: this.#unusable() ?? reading ?? { usable: false, reason: 'not_a_form' },
      })
      .then(answer, answer);
  }

  giveUp(): void {
    if (!this.#isReading) return;
    this.#context.connections.endAfterAnswer(this.#request.raw.socket);
    this.#isCutOff = true;
    this.receive();
  }

  onOver(): void {
    // If the client disconnected in the middle of its body, the post is still recorded.
    this.giveUp();
    const { statusCode, writableFinished } = this.#reply.raw;
    const seconds = (performance.now() - this.#begunAt) / 1000;
    this.#context.onAnswer(this.#merchant, writableFinished ? statusCode : 'gone', seconds);
  }

  /** Returns why the post is unusable, apart from the fields of its form. */
  #unusable(): PostReading | undefined {
    if (this.#request.raw.method !== 'POST') return { usable: false, reason: 'not_post' };
    if (this.#bytes > MAX_FORM_BYTES) return { usable: false, reason: 'too_large' };
    if (!this.#isForm) {
      const contentType = MEDIA_TYPE.exec(this.#contentType)?.[0] ?? 'malformed';
      const why = this.#compression === undefined ? { contentType } : { contentEncoding: this.#compression };
      return { usable: false, reason: 'not_a_form', ...why };
    }
    return this.#isCutOff ? { usable: false, reason: 'cut_off' } : undefined;
  }
}
