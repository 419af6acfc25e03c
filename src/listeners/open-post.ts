/**
 * One request to an authenticity path, from its arrival to its answer. However its body ends, or does not, it is handed
 * to intake once, and answered `200 OK` once.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Intake } from '../intake.ts';
import type { UnusableReason } from '../post.ts';
import { answerOk, hangUp } from './always-ok.ts';

export interface OpenPostOptions {
  merchant: string;
  intake: Intake;
  /** A body is read for so long, and so far, before it is answered all the same. */
  bodyDeadlineMs: number;
  maxBodyBytes: number;
  isStopping: () => boolean;
  /** Told once, when nothing more is read of the body. */
  onRead: () => void;
}

export class OpenPost {
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  readonly #options: OpenPostOptions;
  /** Ends the patience with a slow body. */
  readonly #timer: NodeJS.Timeout;
  /** What is recorded of a body that is not read to its end. */
  #reason: UnusableReason;
  #reading = true;

  constructor(request: FastifyRequest, reply: FastifyReply, options: OpenPostOptions) {
    this.#request = request;
    this.#reply = reply;
    this.#options = options;
    this.#reason = request.method === 'POST' ? 'not_a_form' : 'not_post';
    // An empty content type says no more than none.
    if (request.headers['content-type'] === '') delete request.headers['content-type'];
    this.#timer = setTimeout(() => this.giveUp(), options.bodyDeadlineMs);
    reply.raw.once('close', () => {
      clearTimeout(this.#timer);
      options.onRead();
    });
  }

  get response(): ServerResponse {
    return this.#reply.raw;
  }

  /** True when the request came to its end, whatever came behind it. */
  get isWhole(): boolean {
    return this.#request.raw.complete;
  }

  /** Takes the body that was read: a form's text, or something else. */
  read(text: string | undefined): void {
    this.#hijack();
    const { method, headers } = this.#request;
    const encoding = headers['content-encoding'] ?? 'identity';
    if (method !== 'POST') this.swallow('not_post');
    else if (text === undefined || encoding.toLowerCase() !== 'identity') this.#receive({ unusable: 'not_a_form' });
    else this.#receive(text);
  }

  /** Reads a body to its end, or to the limit, keeping nothing of it. */
  swallow(reason: UnusableReason): void {
    this.#hijack();
    this.#reason = reason;
    let left = this.#options.maxBodyBytes;
    const { raw } = this.#request;
    raw.on('data', (chunk: Buffer) => {
      left -= chunk.length;
      if (left < 0) this.giveUp();
    });
    raw.on('end', () => this.#receive({ unusable: reason }));
    raw.resume();
  }

  /** Answers a request whose body will not be read to its end, and closes the connection. */
  giveUp(): void {
    if (!this.#reading) return;
    this.#hijack();
    this.hangUpWhenAnswered();
    this.#receive({ unusable: this.#reason });
  }

  hangUpWhenAnswered(): void {
    this.response.once('finish', () => hangUp(this.#request.raw.socket));
  }

  #hijack(): void {
    if (!this.#reply.sent) this.#reply.hijack();
  }

  /** Hands what came to intake, and answers when it is kept. */
  #receive(body: string | { unusable: UnusableReason }): void {
    if (!this.#reading) return;
    this.#reading = false;
    clearTimeout(this.#timer);
    const { merchant, intake, isStopping, onRead } = this.#options;
    onRead();
    const { headers, raw } = this.#request;
    const forwardedFor = headers['x-forwarded-for'] as string | undefined;
    const answer = (): void => answerOk(this.response, isStopping());
    intake.receive({ merchant, peer: raw.socket.remoteAddress, forwardedFor, body }).then(answer, answer);
  }
}
