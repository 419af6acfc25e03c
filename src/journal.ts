/**
 * What happened: one function for each business event, which becomes a log line, a count, and an event for those who look
 * on. The only code that masks: a token's value leaves it as a fingerprint, and keys, secret paths and bodies never come in.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { Events } from './events.ts';
import type { Handed } from './handoff.ts';
import type { Metrics } from './metrics.ts';
import type { Correlators, TokenPost, UnusableReason } from './post.ts';
import { RecentPosts } from './recent-posts.ts';
import { type Claim, type Expiry, type PutAnswer, type TokenRecord, type Trouble, tokenId } from './store/store.ts';

export interface JournalOptions {
  log: Logger;
  metrics: Metrics;
  /** The key of the fingerprints; without one, they compare only within this process. */
  fingerprintKey?: Buffer | undefined;
}

export interface OpenedExpectation {
  kind: string;
  topic: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

export class Journal {
  readonly events = new Events();
  readonly posts = new RecentPosts();
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #fingerprintKey: Buffer;

  constructor({ log, metrics, fingerprintKey = randomBytes(32) }: JournalOptions) {
    this.#log = log;
    this.#metrics = metrics;
    this.#fingerprintKey = fingerprintKey;
    this.events.follow((event) => this.posts.note(event));
  }

  /** 8 hexadecimal digits that tell tokens apart and give nothing away. */
  fingerprint(value: string): string {
    return createHmac('sha256', this.#fingerprintKey).update(value).digest('hex').slice(0, 8);
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
    const told = dropped.length === 0 ? facts : { ...facts, dropped };
    this.#log[level](told, `authenticity post: ${outcome}`);
    this.#tell({ ...told, token: tokenId(merchant, kind, post.value) });
  }

  unusablePost(merchant: string, reason: UnusableReason, from: string): void {
    this.#metrics.posts.inc({ merchant, kind: 'none', outcome: reason });
    this.#log.warn({ event: 'post', outcome: reason, merchant, from }, `authenticity post not usable: ${reason}`);
    const unusable = { outcome: 'unusable', reason, merchant, from };
    this.#tell({ event: 'post', ...unusable });
  }

  /** What a worker was answered that asked for a token. */
  answered(merchant: string, how: 'read' | 'claim', outcome: Handed['outcome']): void {
    this.#metrics.workerRequests.inc({ merchant, how, outcome });
    if (outcome === 'conflict') this.#metrics.conflicts.inc({ merchant });
  }

  handedOver(token: TokenRecord, how: 'read' | 'claim', distinct: number, claim: Claim | null): void {
    const afterMs = Math.max(0, Date.now() - token.receivedAt);
    const { merchant, kind } = token;
    this.#metrics.handovers.inc({ merchant, kind, how });
    this.#metrics.handoverSeconds.observe({ merchant, kind, how }, afterMs / 1000);
    if (distinct > 1) this.#metrics.conflicts.inc({ merchant });
    if (how === 'claim' && claim !== null && claim.deliveries > 1 && claim.renewals === 0) {
      this.#metrics.redeliveries.inc({ merchant, kind });
    }
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
    this.#tell({ ...facts, token: token.id, ...(how === 'claim' && claim !== null ? { claimId: claim.id } : {}) });
  }

  settled(merchant: string, what: 'used' | 'released', by: { claimId: string } | { token: string }): void {
    this.#metrics.settled.inc({ merchant, what });
    this.#log.info({ event: 'settled', what, merchant, ...by }, `token ${what}`);
    this.#tell({ event: 'settled', what, merchant, ...by });
  }

  leaseLost(merchant: string, claimId: string): void {
    this.#metrics.leasesLost.inc({ merchant });
    this.#log.warn({ event: 'lease_lost', merchant, claimId }, 'a claim was settled after it had lost its token');
    this.#tell({ event: 'lease_lost', merchant, claimId });
  }

  /** `opened` says what is expected, and until when. */
  expectation(
    merchant: string,
    what: 'opened' | 'cancelled',
    id: string,
    opened: Partial<OpenedExpectation> = {},
  ): void {
    this.#metrics.expectations.inc({ merchant, what });
    this.#log.info({ event: 'expectation', what, merchant, id }, `expectation ${what}`);
    this.#tell({ event: 'expectation', what, merchant, id, ...opened });
  }

  expired(expiry: Expiry): void {
    this.#metrics.expired.inc({ merchant: expiry.merchant, kind: expiry.kind, what: expiry.what });
    const message =
      expiry.what === 'no_show' ? 'expectation ended without its post' : 'token expired, and nobody had asked for it';
    this.#log.warn({ event: expiry.what, ...expiry }, message);
    this.#tell({ event: expiry.what, ...expiry });
  }

  trouble({ level, code, message, facts }: Trouble): void {
    this.#metrics.troubles.inc({ code });
    this.#log[level]({ event: 'trouble', code, ...facts }, message);
    this.#tell({ event: 'trouble', level, code, message, ...facts });
  }

  /** Something that should not happen: told with its stack, which holds no secret. */
  bug(error: unknown, where: string): void {
    this.#metrics.troubles.inc({ code: 'bug' });
    this.#log.error({ event: 'bug', where, err: error }, 'unexpected error');
    this.#tell({ event: 'trouble', level: 'error', code: 'bug', message: 'unexpected error, see the log', where });
  }

  #tell({ event, merchant, ...facts }: { event: string; merchant?: string; [fact: string]: unknown }): void {
    this.events.tell(event, merchant, facts);
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
