/**
 * The one write path: a post becomes a token in the store, or a recorded reason why it is unusable. Never throws and
 * never takes longer than the deadline, for Carat must be answered whatever happens. Whatever becomes of a post, it takes
 * the same way and the same time: the store feigns to keep what it does not, and the journal hears of it after the answer.
 */
import type { Journal } from './journal.ts';
import { readPost, type TokenPost, type UnusableReason } from './post.ts';
import type { Sources } from './sources.ts';
import { type PutAnswer, type TokenStore, tokenId } from './store/store.ts';

/** What came on an authenticity path. */
export interface ArrivedPost {
  merchant: string;
  /** The peer's address, and what proxies said of the sender. */
  peer: string | undefined;
  forwardedFor: string | undefined;
  /** The text of the form, or why there is none. */
  body: string | { unusable: UnusableReason };
}

export interface IntakeOptions {
  store: TokenStore;
  sources: Sources;
  journal: Journal;
  /** How long the store may take before Carat is answered without its acknowledgement. */
  deadlineMs?: number;
}

export class Intake {
  readonly #store: TokenStore;
  readonly #sources: Sources;
  readonly #journal: Journal;
  readonly #deadlineMs: number;

  constructor({ store, sources, journal, deadlineMs = 900 }: IntakeOptions) {
    this.#store = store;
    this.#sources = sources;
    this.#journal = journal;
    this.#deadlineMs = deadlineMs;
  }

  /** Resolves when the token is kept, or the post was found unusable. */
  async receive(arrived: ArrivedPost): Promise<void> {
    try {
      await this.#receive(arrived);
    } catch (error) {
      this.#journal.bug(error, 'intake');
    }
  }

  async #receive({ merchant, peer, forwardedFor, body }: ArrivedPost): Promise<void> {
    const begunAt = performance.now();
    const from = this.#sources.senderOf(peer, forwardedFor);
    const reading = typeof body === 'string' ? readPost(body) : ({ usable: false, reason: body.unusable } as const);
    if (reading.usable && this.#sources.isAllowed(from)) {
      const id = tokenId(merchant, reading.post.kind, reading.post.value);
      const outcome = await this.#inTime(() => this.#keep(id, merchant, reading.post));
      const tookMs = performance.now() - begunAt;
      setImmediate(() => this.#journal.tokenPosted(id, merchant, reading.post, { from, tookMs }, outcome));
    } else {
      const reason = reading.usable || !this.#sources.isAllowed(from) ? 'not_allowed' : reading.reason;
      await this.#inTime(() => this.#store.feign(merchant));
      const tookMs = performance.now() - begunAt;
      setImmediate(() => this.#journal.unusablePost(merchant, reason, { from, tookMs }));
    }
  }

  #keep(id: string, merchant: string, { kind, value, correlators, pooled }: TokenPost): Promise<PutAnswer> {
    return this.#store.put({ id, merchant, kind, value, pooled, ...correlators });
  }

  #inTime<T>(write: () => Promise<T>): Promise<T | 'late' | 'failed'> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#deadlineMs, 'late');
      const written = async (): Promise<T> => write();
      written()
        .catch((error: unknown) => {
          this.#journal.bug(error, 'put');
          return 'failed' as const;
        })
        .then((answer) => {
          clearTimeout(timer);
          resolve(answer);
        });
    });
  }
}
