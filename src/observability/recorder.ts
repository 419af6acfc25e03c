/**
 * What happened: one function for each business event, which becomes a log line, a count, and an event for those who look
 * on. A token's value leaves it as a fingerprint; keys, secret paths and bodies never come in. The counts are exact; of what
 * strangers can cause as often as they like, the log tells the first few, and then how many more there were.
 */
import type { Logger } from 'pino';
import type { Handed } from '../handoff/handoff.ts';
import type { Expiry, PutAnswer } from '../store/contract.ts';
import type { Notice } from '../store/notice.ts';
import type { Claim, TokenPost, TokenRecord, UnusablePost } from '../token.ts';
import { type Door, DoorCounts } from './doors.ts';
import { Events } from './events.ts';
import { LogThrottle, type LogThrottleOptions } from './log-throttle.ts';
import type { Metrics } from './metrics.ts';
import { RecentPosts } from './recent-posts.ts';
import { Redaction, type RedactionOptions } from './redaction.ts';

export interface RecorderOptions extends RedactionOptions {
  log: Logger;
  metrics: Metrics;
  throttle?: LogThrottleOptions;
}

/** How a post came. */
export interface Arrival {
  from: string;
  /** Milliseconds from its last byte until it was kept, or found unusable. */
  tookMs: number;
}

export interface MetAtDoor {
  from: string;
  /** Whose path was nearly met. */
  merchant?: string | undefined;
  /** The code of an error of Node. */
  reason?: string | undefined;
}

export interface OpenedExpectation {
  kind: string;
  topic: string;
  /** Milliseconds since 1970. */
  expiresAt: number;
}

const DOOR_MESSAGES: Record<Door, string> = {
  not_found: 'a request to a path that does not exist was answered 404',
  near_miss: 'a request nearly met the path of a merchant and was answered 404; check the registered URL and the proxy',
  bad_request: 'something that is not HTTP was answered 400, or its connection closed',
  tls_handshake: 'a TLS handshake failed; check the certificate chain and the TLS versions of the client',
  alpn: 'a TLS handshake failed, because the client does not offer http/1.1',
  given_up: 'a connection was closed, because there are too many',
};

export class Recorder {
  readonly events = new Events();
  readonly posts = new RecentPosts();
  readonly doors = new DoorCounts();
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #masking: Redaction;
  readonly #throttle: LogThrottle;

  constructor({ log, metrics, throttle, ...masking }: RecorderOptions) {
    this.#log = log;
    this.#metrics = metrics;
    this.#masking = new Redaction(masking);
    this.#throttle = new LogThrottle(throttle);
    this.events.follow((event) => this.posts.note(event));
    this.events.onMerge((event, isNew) => this.posts.noteMerged(event, isNew));
  }

  /** Tells what was held back. */
  close(): void {
    this.#throttle.close();
  }

  /** 8 hexadecimal digits that tell tokens apart and give nothing away. */
  fingerprint(value: string): string {
    return this.#masking.fingerprint(value);
  }

  /** `late`: the store had not acknowledged the token when Carat had to be answered. */
  tokenPosted(
    id: string,
    merchant: string,
    post: TokenPost,
    { from, tookMs }: Arrival,
    outcome: PutAnswer | 'late' | 'failed',
  ): void {
    this.#metrics.posts.inc({ merchant, kind: post.kind, outcome });
    if (post.unusualLength) this.#metrics.unusualLengths.inc({ merchant, kind: post.kind });
    for (const correlator of post.dropped) this.#metrics.droppedCorrelators.inc({ merchant, correlator });
    const { kind, correlators, dropped } = post;
    const fingerprint = this.fingerprint(post.value);
    const odd = dropped.length === 0 ? undefined : dropped;
    const token = id;
    const facts = { outcome, kind, ...correlators, fingerprint, from, dropped: odd, tookMs, token };
    this.events.tell('post', merchant, facts);
    if (outcome === 'unexpected' && !this.#mayLog({ event: 'post', outcome, merchant })) return;
    const level = outcome === 'failed' || outcome === 'late' ? 'error' : outcome === 'unexpected' ? 'warn' : 'info';
    const event = 'post';
    const line = { event, outcome, merchant, kind, ...correlators, fingerprint, from, dropped: odd };
    this.#log[level](line, `authenticity post: ${outcome}`);
  }

  unusablePost(merchant: string, post: UnusablePost, { from, tookMs }: Arrival): void {
    const { reason, dropped, contentType, contentEncoding } = post;
    this.#metrics.posts.inc({ merchant, kind: 'none', outcome: reason });
    const facts = { from, dropped, contentType, contentEncoding };
    this.events.tell('post', merchant, { outcome: 'unusable', reason, ...facts, tookMs });
    if (!this.#mayLog({ event: 'post', outcome: reason, merchant })) return;
    this.#log.warn({ event: 'post', outcome: reason, merchant, ...facts }, `authenticity post not usable: ${reason}`);
  }

  /** What reached the public listener and was not a request to an authenticity path. The path is never recorded. */
  doorMet(door: Door, { merchant, from, reason }: MetAtDoor): void {
    this.#metrics.doors.inc({ door });
    this.doors.add(door, merchant);
    const sort = { event: 'door', door, ...(merchant === undefined ? {} : { merchant }) };
    if (!this.#mayLog(sort)) return;
    const level = door === 'near_miss' || door === 'tls_handshake' || door === 'alpn' ? 'warn' : 'info';
    this.#log[level]({ ...sort, from, reason }, DOOR_MESSAGES[door]);
    this.#tell({ ...sort, from, reason });
  }

  /** What a worker was answered that asked for a token. */
  answered(merchant: string, how: 'read' | 'claim' | 'renew', outcome: Handed['outcome']): void {
    this.#metrics.workerRequests.inc({ merchant, how, outcome: outcome === 'disconnected' ? 'gone' : outcome });
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
    const named = { ...token.correlators, fingerprint: this.fingerprint(token.value), afterMs };
    this.#log.info({ event: 'handover', how, merchant, kind, ...named }, `token handed over by ${how}`);
    const claimId = how === 'claim' ? claim?.id : undefined;
    this.events.tell('handover', merchant, { how, kind, ...named, token: token.id, claimId });
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

  /** The service asked Carat for a token on behalf of a worker. `outcome`: `done`, `answer_lost` or the code of a problem. */
  asked(merchant: string, call: string, outcome: string, seconds: number, caratCode: string | undefined): void {
    this.#metrics.asks.inc({ merchant, call, outcome });
    this.#metrics.askSeconds.observe({ merchant, call }, seconds);
    const level = outcome === 'done' || outcome === 'answer_lost' ? 'info' : 'warn';
    this.#log[level]({ event: 'ask', call, outcome, merchant, caratCode }, `asked Carat: ${call}: ${outcome}`);
    this.#tell({ event: 'ask', merchant, call, outcome, caratCode });
  }

  /** What became of a recharge that is owed to Carat; `guard_undo`: nobody decided about it in time. */
  recharge(
    merchant: string,
    what: 'handed_out' | 'confirm' | 'undo' | 'guard_undo' | 'confirmed' | 'undone' | 'not_effected',
    facts: { merchant_usn: string; decision?: string; by?: string; status?: string },
  ): void {
    this.#metrics.recharges.inc({ merchant, what });
    const level = what === 'guard_undo' ? 'warn' : 'info';
    this.#log[level]({ event: 'recharge', what, merchant, ...facts }, `recharge: ${what}`);
    this.#tell({ event: 'recharge', merchant, what, ...facts });
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
    this.#tell({ event: expiry.what, ...expiry });
    if (!this.#mayLog({ event: expiry.what, merchant: expiry.merchant })) return;
    const message =
      expiry.what === 'no_show' ? 'expectation ended without its post' : 'token expired, and nobody had asked for it';
    this.#log.warn({ event: expiry.what, ...expiry }, message);
  }

  notice({ level, code, message, facts }: Notice): void {
    this.#metrics.troubles.inc({ code });
    const masked = this.#masking.text(message);
    this.#log[level]({ event: 'trouble', code, ...facts }, masked);
    this.#tell({ event: 'trouble', level, code, message: masked, ...facts });
  }

  /** Something that should not happen: told with its stack, and without what a library hung on the error. */
  bug(error: unknown, where: string, level: 'error' | 'fatal' = 'error'): void {
    this.#metrics.troubles.inc({ code: 'bug' });
    this.#log[level]({ event: 'bug', where, error: this.#masking.error(error) }, 'unexpected error');
    this.#tell({ event: 'trouble', level: 'error', code: 'bug', message: 'unexpected error, see the log', where });
  }

  #tell({ event, merchant, ...facts }: { event: string; merchant?: string; [fact: string]: unknown }): void {
    this.events.tell(event, merchant, facts);
  }

  #mayLog(sort: { event: string; [fact: string]: string }): boolean {
    return this.#throttle.allows(Object.values(sort).join(' '), (more) =>
      this.#log.warn(
        { ...sort, more, withinSeconds: this.#throttle.windowMs / 1000 },
        `${more} more like these were counted and not logged`,
      ),
    );
  }
}
