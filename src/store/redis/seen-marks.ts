/**
 * Marks the tokens that readers got from announcements as seen: no such token is reported as an
 * orphan. The answer does not wait for the mark. Marks are batched, sent a moment later, and
 * retried if Redis did not take them.
 */
import type { Kind, TokenRecord } from '../../token.ts';

/** Shorter than the shortest life of a token, with room for a second attempt. */
const MARK_AFTER_MS = 50;
const RETRY_AFTER_MS = 250;
/** Limit of marks per call. */
const MOST_A_CALL = 100;
/** Time after a token's end. After it, no clock treats the token as live. */
const FORGET_AFTER_MS = 60_000;

interface Mark {
  kind: Kind;
  expiresAt: number;
}

export class SeenMarks {
  readonly #call: (merchant: string, marks: (string | number)[]) => Promise<unknown>;
  /** Pending marks, by merchant and by token. */
  readonly #open = new Map<string, Map<string, Mark>>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param call calls the script with an id, a kind and an end for each token; fails if it may not
   * have run
   */
  constructor(call: (merchant: string, marks: (string | number)[]) => Promise<unknown>) {
    this.#call = call;
  }

  add({ merchant, id, kind, expiresAt }: TokenRecord): void {
    this.#keep(merchant, [[id, { kind, expiresAt }]], MARK_AFTER_MS);
  }

  /** Resolves when all marks are set, or have failed. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await Promise.all([...this.#open].map(([merchant, marks]) => this.#flushOf(merchant, marks)));
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#open.clear();
  }

  async #flushOf(merchant: string, marks: Map<string, Mark>): Promise<void> {
    this.#open.delete(merchant);
    const open = [...marks].filter(([, { expiresAt }]) => expiresAt + FORGET_AFTER_MS > Date.now());
    for (let at = 0; at < open.length; at += MOST_A_CALL) {
      const sent = open.slice(at, at + MOST_A_CALL);
      const flat = sent.flatMap(([id, { kind, expiresAt }]) => [id, kind, expiresAt]);
      await this.#call(merchant, flat).catch(() => this.#keep(merchant, sent, RETRY_AFTER_MS));
    }
  }

  #keep(merchant: string, marks: [string, Mark][], flushInMs: number): void {
    const open = this.#open.get(merchant) ?? new Map<string, Mark>();
    for (const [id, mark] of marks) open.set(id, mark);
    this.#open.set(merchant, open);
    this.#timer ??= setTimeout(() => void this.flush(), flushInMs);
  }
}
