/**
 * What happened: one function for each business event, which becomes a log line and a count. A token's value leaves it as
 * a fingerprint; keys, secret paths and bodies never come in. The counts are exact; of what strangers can cause as often
 * as they like, the log tells the first few, and then how many more there were.
 */
import type { Logger } from 'pino';
import { Masking, type MaskingOptions } from './masking.ts';
import type { Metrics } from './metrics.ts';
import type { Correlators, TokenPost, UnusableReason } from './post.ts';
import { Quiet, type QuietOptions } from './quiet.ts';
import type { Expiry, PutAnswer, TokenRecord, Trouble } from './store/store.ts';

export interface JournalOptions extends MaskingOptions {
  log: Logger;
  metrics: Metrics;
  quiet?: QuietOptions;
}

export class Journal {
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #masking: Masking;
  readonly #quiet: Quiet;

  constructor({ log, metrics, quiet, ...masking }: JournalOptions) {
    this.#log = log;
    this.#metrics = metrics;
    this.#masking = new Masking(masking);
    this.#quiet = new Quiet(quiet);
  }

  /** Tells what was held back. */
  close(): void {
    this.#quiet.close();
  }

  /** 8 hexadecimal digits that tell tokens apart and give nothing away. */
  fingerprint(value: string): string {
    return this.#masking.fingerprint(value);
  }

  /** `late`: the store had not acknowledged the token when Carat had to be answered. */
  tokenPosted(merchant: string, post: TokenPost, from: string, outcome: PutAnswer | 'late' | 'failed'): void {
    this.#metrics.posts.inc({ merchant, kind: post.kind, outcome });
    if (post.unusualLength) this.#metrics.unusualLengths.inc({ merchant, kind: post.kind });
    for (const correlator of post.dropped) this.#metrics.droppedCorrelators.inc({ merchant, correlator });
    const { kind, correlators, dropped } = post;
    const facts = {
      event: 'post',
      outcome,
      merchant,
      kind,
      ...shown(correlators),
      fingerprint: this.fingerprint(post.value),
      from,
    };
    const level = outcome === 'failed' || outcome === 'late' ? 'error' : outcome === 'unexpected' ? 'warn' : 'info';
    if (outcome === 'unexpected' && !this.#mayTell({ event: 'post', outcome, merchant })) return;
    this.#log[level](dropped.length === 0 ? facts : { ...facts, dropped }, `authenticity post: ${outcome}`);
  }

  unusablePost(merchant: string, reason: UnusableReason, from: string): void {
    this.#metrics.posts.inc({ merchant, kind: 'none', outcome: reason });
    if (!this.#mayTell({ event: 'post', outcome: reason, merchant })) return;
    this.#log.warn({ event: 'post', outcome: reason, merchant, from }, `authenticity post not usable: ${reason}`);
  }

  handedOver(token: TokenRecord, how: 'read' | 'claim'): void {
    const afterMs = Math.max(0, Date.now() - token.receivedAt);
    const { merchant, kind } = token;
    this.#metrics.handovers.inc({ merchant, kind, how });
    this.#metrics.handoverSeconds.observe({ kind, how }, afterMs / 1000);
    const facts = {
      event: 'handover',
      how,
      merchant,
      kind,
      ...shown(token),
      fingerprint: this.fingerprint(token.value),
      afterMs,
    };
    this.#log.info(facts, `token handed over by ${how}`);
  }

  settled(merchant: string, what: 'used' | 'released', claimId?: string): void {
    this.#metrics.settled.inc({ merchant, what });
    this.#log.info({ event: 'settled', what, merchant, claimId }, `token ${what}`);
  }

  expectation(merchant: string, what: 'opened' | 'cancelled', id: string): void {
    this.#log.info({ event: 'expectation', what, merchant, id }, `expectation ${what}`);
  }

  expired(expiry: Expiry): void {
    this.#metrics.expired.inc({ merchant: expiry.merchant, kind: expiry.kind, what: expiry.what });
    if (!this.#mayTell({ event: expiry.what, merchant: expiry.merchant })) return;
    const message =
      expiry.what === 'no_show' ? 'expectation ended without its post' : 'token expired, and nobody had asked for it';
    this.#log.warn({ event: expiry.what, ...expiry }, message);
  }

  trouble({ level, code, message, facts }: Trouble): void {
    this.#metrics.troubles.inc({ code });
    this.#log[level]({ event: 'trouble', code, ...facts }, this.#masking.text(message));
  }

  /** Something that should not happen: told with its stack, and without what a library hung on the error. */
  bug(error: unknown, where: string, level: 'error' | 'fatal' = 'error'): void {
    this.#metrics.troubles.inc({ code: 'bug' });
    this.#log[level]({ event: 'bug', where, error: this.#masking.error(error) }, 'unexpected error');
  }

  #mayTell(sort: { event: string; outcome?: string; merchant: string }): boolean {
    return this.#quiet.allows(Object.values(sort).join(' '), (more) =>
      this.#log.warn(
        { ...sort, more, withinSeconds: this.#quiet.windowMs / 1000 },
        `${more} more like these were counted and not logged`,
      ),
    );
  }
}

function shown({ merchant_data, sid, merchant_usn, order_id }: Correlators): Correlators {
  return {
    ...(merchant_data === undefined ? {} : { merchant_data }),
    ...(sid === undefined ? {} : { sid }),
    ...(merchant_usn === undefined ? {} : { merchant_usn }),
    ...(order_id === undefined ? {} : { order_id }),
  };
}
