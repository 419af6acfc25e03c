/**
 * One request to an authenticity path, from its headers to its answer. However its body ends, or does not, it is passed to
 * intake once and answered `200 OK` once.
 */
import { Transform } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Intake } from '../../intake/intake.ts';
import { MAX_FORM_BYTES, type PostReading } from '../../intake/parse-post.ts';
import type { UnusableReason } from '../../token.ts';
import type { Connections, Pending } from './connections.ts';
import { answerOk } from './ok-response.ts';

/** What all requests of a listener share. */
export interface PostsContext {
  intake: Intake;
  connections: Connections;
  /** A body is read this far before it is answered. */
  maxBodyBytes: number;
  isStopping: () => boolean;
  /** Called once for each request: when its answer was sent, or when its client is `gone`. */
  onAnswer: (merchant: string, status: number | 'gone', seconds: number) => void;
}

const FORM = 'application/x-www-form-urlencoded';
/** A missing or empty content type counts as a form's. */
const FORM_TYPE = /^(?:application\/x-www-form-urlencoded[ \t]*(?:;.*)?)?$/i;

export class PendingPost implements Pending {
  readonly #context: PostsContext;
  readonly #merchant: string;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #begunAt = performance.now();
  readonly #isForm: boolean;
  #bytes = 0;
  #isReading = true;

  constructor(context: PostsContext, merchant: string, request: FastifyRequest, reply: FastifyReply) {
    this.#context = context;
    this.#merchant = merchant;
    this.#request = request;
    this.#reply = reply;
    const { method, headers } = request.raw;
    const isPlain = (headers['content-encoding'] ?? 'identity').toLowerCase() === 'identity';
    this.#isForm = method === 'POST' && isPlain && FORM_TYPE.test(headers['content-type'] ?? '');
    // Fastify refuses content types that it cannot parse; here each is that of a form, or of something to skip.
    headers['content-type'] = this.#isForm ? FORM : 'application/octet-stream';
  }

  get isReading(): boolean {
    return this.#isReading;
  }

  /** Lets at most 16 KiB of a body through, reads on to the limit, and gives up beyond it. */
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

  /** Passes what was read to intake, and answers once it is kept. None was read if the body is not a form. */
  receive(reading?: PostReading): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    const { intake, connections, isStopping } = this.#context;
    connections.endReading();
    const { headers, socket } = this.#request.raw;
    const flaw = this.#flaw();
    const answer = (): void => answerOk(this.#reply, isStopping());
    intake
      .receive({
        merchant: this.#merchant,
        peer: socket.remoteAddress,
        forwardedFor: headers['x-forwarded-for'] as string | undefined,
        reading:
          flaw === undefined && reading !== undefined ? reading : { usable: false, reason: flaw ?? 'not_a_form' },
      })
      .then(answer, answer);
  }

  giveUp(): void {
    if (!this.#isReading) return;
    this.#context.connections.endAfterAnswer(this.#request.raw.socket);
    this.receive();
  }

  onOver(): void {
    if (this.#isReading) this.#context.connections.endReading();
    this.#isReading = false;
    const { statusCode, writableFinished } = this.#reply.raw;
    const seconds = (performance.now() - this.#begunAt) / 1000;
    this.#context.onAnswer(this.#merchant, writableFinished ? statusCode : 'gone', seconds);
  }

  /** What is wrong with it apart from the fields of its form. */
  #flaw(): UnusableReason | undefined {
    if (this.#request.raw.method !== 'POST') return 'not_post';
    if (this.#bytes > MAX_FORM_BYTES) return 'too_large';
    return this.#isForm ? undefined : 'not_a_form';
  }
}
