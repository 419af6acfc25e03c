/**
 * The one write path: a post becomes a token in the store, or a recorded reason why it is unusable. Carat must always be
 * answered, so intake never throws and never takes longer than the deadline. A refused post costs no write. The recorder
 * runs after the answer.
 */
import type { Recorder } from '../observability/recorder.ts';
import type { PutAnswer, TokenStore } from '../store/contract.ts';
import { type TokenPost, tokenId } from '../token.ts';
import type { PostReading } from './parse-post.ts';
import type { SenderPolicy } from './sender.ts';

/** A request to an authenticity path, after its body was read. */
export interface ArrivedPost {
  merchant: string;
  /** The peer's address. */
  peer: string | undefined;
  /** The `X-Forwarded-For` header. */
  forwardedFor: string | undefined;
  /** The token of its form, or why it is unusable. */
  reading: PostReading;
}

export interface IntakeOptions {
  store: TokenStore;
  sources: SenderPolicy;
  recorder: Recorder;
  /** How long the store may take before Carat is answered without its acknowledgement. */
  deadlineMs?: number | undefined;
}

const NOT_ALLOWED = { usable: false, reason: 'not_allowed' } as const;

export class Intake {
  readonly #store: TokenStore;
  readonly #sources: SenderPolicy;
  readonly #recorder: Recorder;
  readonly #deadlineMs: number;

  constructor({ store, sources, recorder, deadlineMs = 900 }: IntakeOptions) {
    this.#store = store;
    this.#sources = sources;
    this.#recorder = recorder;
    this.#deadlineMs = deadlineMs;
  }

  /** Resolves when the token is stored, at the deadline, or at once for an unusable post. */
  receive(arrived: ArrivedPost): Promise<void> {
    try {
      return this.#receive(arrived);
    } catch (error) {
      this.#recorder.bug(error, 'intake');
      return Promise.resolve();
    }
  }

  #receive({ merchant, peer, forwardedFor, reading }: ArrivedPost): Promise<void> {
    const begunAt = performance.now();
    const from = this.#sources.senderOf(peer, forwardedFor);
    if (reading.usable && this.#sources.isAllowed(from)) {
      const { post } = reading;
      const id = tokenId(merchant, post.kind, post.value);
      return this.#inTime(
        () => this.#keep(id, merchant, post),
        (outcome, tookMs) => this.#recorder.tokenPosted(id, merchant, post, { from, tookMs }, outcome),
        begunAt,
      );
    }
    const unusable = reading.usable || !this.#sources.isAllowed(from) ? NOT_ALLOWED : reading;
    const tookMs = performance.now() - begunAt;
    setImmediate(() => this.#recorder.unusablePost(merchant, unusable, { from, tookMs }));
    return Promise.resolve();
  }

  #keep(id: string, merchant: string, { kind, value, correlators, pooled }: TokenPost): Promise<PutAnswer> {
    return this.#store.put({ id, merchant, kind, value, correlators, pooled });
  }

  /** Resolves on success, timeout or failure, then reports the outcome once. */
  #inTime(
    write: () => Promise<PutAnswer>,
    report: (outcome: PutAnswer | 'late' | 'failed', tookMs: number) => void,
    begunAt: number,
  ): Promise<void> {
    return new Promise((resolve) => {
      let isReported = false;
      const end = (outcome: PutAnswer | 'late' | 'failed'): void => {
        if (isReported) return;
        isReported = true;
        clearTimeout(timer);
        resolve();
        setImmediate(report, outcome, performance.now() - begunAt);
      };
      const fail = (error: unknown): void => {
        this.#recorder.bug(error, 'put');
        end('failed');
      };
      const timer = setTimeout(end, this.#deadlineMs, 'late');
      try {
        write().then(end, fail);
      } catch (error) {
        fail(error);
      }
    });
  }
}
