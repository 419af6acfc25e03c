/**
 * One request to an authenticity path, from its arrival to its answer. However its body ends, or does not, it is handed
 * to intake once, and answered `200 OK` once.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Link } from '../../chain.ts';
import type { Intake } from '../../intake/intake.ts';
import { MAX_FORM_BYTES } from '../../intake/parse-post.ts';
import type { UnusableReason } from '../../token.ts';
import type { HalfOpen } from './connections.ts';
import { answerOk, hangUp } from './ok-response.ts';

/** What all requests of a listener share. */
export interface PostsContext {
  intake: Intake;
  /** A body is read so far before it is answered all the same. */
  maxBodyBytes: number;
  isStopping: () => boolean;
  /** Told once of each request, when nothing more is read of its body. */
  onRead: (open: OpenPost) => void;
}

/** A content type that says nothing is taken for a form's. */
const FORM = /^(?:application\/x-www-form-urlencoded[ \t]*(?:;.*)?)?$/i;

export class OpenPost implements HalfOpen {
  readonly merchant: string;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** When its headers had come, in milliseconds of `performance.now()`. */
  readonly begunAt = performance.now();
  /** Its place among those whose bodies are not read to the end. */
  halfOpen: Link<HalfOpen> | undefined;
  /** True when its answer has gone out, or there is nobody to take it. */
  isOver = false;
  readonly #context: PostsContext;
  /** What was read of the body, as long as that may be a form. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  #reading = true;

  constructor(context: PostsContext, merchant: string, request: IncomingMessage, response: ServerResponse) {
    this.#context = context;
    this.merchant = merchant;
    this.request = request;
    this.response = response;
    request.on('data', (chunk: Buffer) => this.#take(chunk));
    request.on('end', () => this.#receive(this.#body()));
  }

  /** Answers a request whose body will not be read to its end, and closes the connection. */
  giveUp(): void {
    if (!this.#reading) return;
    this.hangUpWhenAnswered();
    this.#receive({ unusable: this.#flaw() ?? 'not_a_form' });
  }

  hangUpWhenAnswered(): void {
    this.response.once('finish', () => hangUp(this.request.socket));
  }

  /** Reads a body to its end, or to the limit, keeping no more of it than a form may have. */
  #take(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes <= MAX_FORM_BYTES) this.#chunks.push(chunk);
    else this.#chunks = [];
    if (this.#bytes > this.#context.maxBodyBytes) this.giveUp();
  }

  #body(): string | { unusable: UnusableReason } {
    const unusable = this.#flaw();
    if (unusable !== undefined) return { unusable };
    const [only = Buffer.alloc(0)] = this.#chunks;
    return (this.#chunks.length > 1 ? Buffer.concat(this.#chunks) : only).toString();
  }

  /** What is wrong with it apart from its form. */
  #flaw(): UnusableReason | undefined {
    const { method, headers } = this.request;
    if (method !== 'POST') return 'not_post';
    if (this.#bytes > MAX_FORM_BYTES) return 'too_large';
    if (!FORM.test(headers['content-type'] ?? '')) return 'not_a_form';
    return (headers['content-encoding'] ?? 'identity').toLowerCase() === 'identity' ? undefined : 'not_a_form';
  }

  /** Hands what came to intake, and answers when it is kept. */
  #receive(body: string | { unusable: UnusableReason }): void {
    if (!this.#reading) return;
    this.#reading = false;
    const { intake, isStopping, onRead } = this.#context;
    onRead(this);
    // A connection remembers its last request for as long as it is open.
    this.#chunks = [];
    const { headers, socket } = this.request;
    const forwardedFor = headers['x-forwarded-for'] as string | undefined;
    const answer = (): void => answerOk(this.response, isStopping());
    intake.receive({ merchant: this.merchant, peer: socket.remoteAddress, forwardedFor, body }).then(answer, answer);
  }
}
