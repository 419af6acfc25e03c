/**
 * Everything that happens: one function for each business event, which makes a log line, a count and an
 * event of it. A token's value leaves it only as a fingerprint; keys, secret paths and bodies never
 * come in. The counts are exact. Log lines that strangers can cause are throttled.
 */
import type { Logger } from 'pino';
import type { Handed } from '../handoff/handoff.ts';
import type { Expiry } from '../store/contract.ts';
import type { Notice } from '../store/notice.ts';
import type { Claim, TokenPost, TokenRecord, UnusablePost } from '../token.ts';
import { type Door, DoorCounts } from './doors.ts';
import type { FactsOf, Happening, TokenOutcome } from './event.ts';
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

export interface Arrival {
  /** The address of the sender. */
  from: string;
  /** Milliseconds from the last byte of the post until it was kept, or found unusable. */
  tookMs: number;
}

export interface DoorVisit {
  /** The address of the sender. */
  from: string;
  /** The merchant whose path was nearly requested. */
  merchant?: string | undefined;
  /** The code of an error of Node. */
  reason?: string | undefined;
}

type Level = 'info' | 'warn' | 'error';

const DOOR_MESSAGES: Record<Door, string> = {
  not_found: 'a request to a path that does not exist was answered 404',
  near_miss: 'a request nearly met the path of a merchant and was answered 404; check the registered URL and the proxy',
  bad_request: 'something that is not HTTP was answered 400, or its connection closed',
  tls_handshake: 'a TLS handshake failed; check the certificate chain and the TLS versions of the client',
  alpn: 'a TLS handshake failed, because the client does not offer http/1.1',
  given_up: 'a connection was closed, because there are too many',
};

const WARNED_DOORS: ReadonlySet<Door> = new Set(['near_miss', 'tls_handshake', 'alpn']);

export class Recorder {
  readonly events = new Events();
  readonly posts = new RecentPosts();
  readonly doors = new DoorCounts();
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #redaction: Redaction;
  readonly #throttle: LogThrottle;

  constructor({ log, metrics, throttle, ...redaction }: RecorderOptions) {
    this.#log = log;
    this.#metrics = metrics;
    this.#redaction = new Redaction(redaction);
    this.#throttle = new LogThrottle(throttle);
    this.events.follow((event) => this.posts.record(event));
    this.events.onMerge((event, isNew) => this.posts.recordMerged(event, isNew));
  }

  /** Logs how many lines the throttle has held back. */
  close(): void {
    this.#throttle.close();
  }

  tokenPosted(id: string, merchant: string, post: TokenPost, { from, tookMs }: Arrival, outcome: TokenOutcome): void {
    const { kind, correlators, dropped } = post;
    this.#metrics.posts.inc({ merchant, kind, outcome });
    if (post.unusualLength) this.#metrics.unusualLengths.inc({ merchant, kind });
    for (const correlator of dropped) this.#metrics.droppedCorrelators.inc({ merchant, correlator });
    const fingerprint = this.#redaction.fingerprint(post.value);
    const unread = dropped.length === 0 ? undefined : dropped;
    const facts = { outcome, kind, ...correlators, fingerprint, from, dropped: unread, tookMs, token: id };
    this.events.emit({ name: 'post', merchant, facts });
    if (outcome === 'unexpected' && !this.#mayLog({ event: 'post', outcome, merchant })) return;
    const level = outcome === 'failed' || outcome === 'late' ? 'error' : outcome === 'unexpected' ? 'warn' : 'info';
    // Spelled out, as in `handedOver`: to copy the facts into the line costs 2.5 µs more for each post.
    const line = { event: 'post', outcome, merchant, kind, ...correlators, fingerprint, from, dropped: unread };
    this.#log[level](line, `authenticity post: ${outcome}`);
  }

  unusablePost(merchant: string, post: UnusablePost, { from, tookMs }: Arrival): void {
    const { reason, dropped, contentType, contentEncoding } = post;
    this.#metrics.posts.inc({ merchant, kind: 'none', outcome: reason });
    const facts = { from, dropped, contentType, contentEncoding };
    this.events.emit({ name: 'post', merchant, facts: { outcome: 'unusable', reason, ...facts, tookMs } });
    const group = { event: 'post', outcome: reason, merchant };
    if (this.#mayLog(group)) this.#log.warn({ ...group, ...facts }, `authenticity post not usable: ${reason}`);
  }

  /** A request or connection that did not reach an authenticity path. Its path is never recorded. */
  doorMet(door: Door, { merchant, from, reason }: DoorVisit): void {
    this.#metrics.doors.inc({ door });
    this.doors.add(door, merchant);
    if (!this.#mayLog({ event: 'door', door, ...(merchant === undefined ? {} : { merchant }) })) return;
    const level = WARNED_DOORS.has(door) ? 'warn' : 'info';
    this.#report({ name: 'door', merchant, facts: { door, from, reason } }, level, DOOR_MESSAGES[door]);
  }

  /** The answer to a worker that asked for a token. */
  answered(merchant: string, how: 'read' | 'claim' | 'renew', outcome: Handed['outcome']): void {
    this.#metrics.workerRequests.inc({ merchant, how, outcome: outcome === 'disconnected' ? 'gone' : outcome });
    if (outcome === 'conflict') this.#metrics.conflicts.inc({ merchant });
  }

  handedOver(token: TokenRecord, how: 'read' | 'claim', distinct: number, claim: Claim | null): void {
    const { merchant, kind, correlators } = token;
    const afterMs = Math.max(0, Date.now() - token.receivedAt);
    this.#metrics.handovers.inc({ merchant, kind, how });
    this.#metrics.handoverSeconds.observe({ merchant, kind, how }, afterMs / 1000);
    if (distinct > 1) this.#metrics.conflicts.inc({ merchant });
    if (how === 'claim' && claim !== null && claim.deliveries > 1 && claim.renewals === 0) {
      this.#metrics.redeliveries.inc({ merchant, kind });
    }
    const fingerprint = this.#redaction.fingerprint(token.value);
    const line = { event: 'handover', how, merchant, kind, ...correlators, fingerprint, afterMs };
    this.#log.info(line, `token handed over by ${how}`);
    const claimId = how === 'claim' ? claim?.id : undefined;
    const facts = { how, kind, ...correlators, fingerprint, afterMs, token: token.id, claimId };
    this.events.emit({ name: 'handover', merchant, facts });
  }

  settled(merchant: string, what: 'used' | 'released', by: { claimId: string } | { token: string }): void {
    this.#metrics.settled.inc({ merchant, what });
    this.#report({ name: 'settled', merchant, facts: { what, ...by } }, 'info', `token ${what}`);
  }

  leaseLost(merchant: string, claimId: string): void {
    this.#metrics.leasesLost.inc({ merchant });
    const message = 'a claim was settled after it had lost its token';
    this.#report({ name: 'lease_lost', merchant, facts: { claimId } }, 'warn', message);
  }

  /** The service asked Carat for a token on behalf of a worker. `outcome`: `done`, `answer_lost` or the code of a problem. */
  asked(merchant: string, call: string, outcome: string, seconds: number, caratCode: string | undefined): void {
    this.#metrics.asks.inc({ merchant, call, outcome });
    this.#metrics.askSeconds.observe({ merchant, call }, seconds);
    const level = outcome === 'done' || outcome === 'answer_lost' ? 'info' : 'warn';
    this.#report(
      { name: 'ask', merchant, facts: { call, outcome, caratCode } },
      level,
      `asked Carat: ${call}: ${outcome}`,
    );
  }

  /** A step of a recharge that is owed to Carat. `guard_undo`: no decision was made in time. */
  recharge(merchant: string, facts: FactsOf<'recharge'>): void {
    const { what } = facts;
    this.#metrics.recharges.inc({ merchant, what });
    this.#report({ name: 'recharge', merchant, facts }, what === 'guard_undo' ? 'warn' : 'info', `recharge: ${what}`);
  }

  expectation(merchant: string, facts: FactsOf<'expectation'>): void {
    const { what, id } = facts;
    this.#metrics.expectations.inc({ merchant, what });
    this.#log.info({ event: 'expectation', what, merchant, id }, `expectation ${what}`);
    this.events.emit({ name: 'expectation', merchant, facts });
  }

  expired(expiry: Expiry): void {
    const { what, merchant, kind } = expiry;
    this.#metrics.expired.inc({ merchant, kind, what });
    const happening: Happening =
      expiry.what === 'no_show'
        ? { name: 'no_show', merchant, facts: { what: expiry.what, kind, expectation: expiry.expectation } }
        : { name: 'orphan', merchant, facts: { what: expiry.what, kind, id: expiry.id } };
    this.events.emit(happening);
    const message =
      what === 'no_show' ? 'expectation ended without its post' : 'token expired, and nobody had asked for it';
    if (this.#mayLog({ event: what, merchant })) this.#write(happening, 'warn', message);
  }

  notice({ level, code, message, facts }: Notice): void {
    this.#metrics.notices.inc({ code });
    const masked = this.#redaction.text(message);
    this.#log[level]({ event: 'trouble', code, ...facts }, masked);
    this.#emitNotice({ level, code, message: masked, ...facts });
  }

  /** An error that no code expects. Logged with its stack, without the fields that a library added to it. */
  bug(error: unknown, where: string, level: 'error' | 'fatal' = 'error'): void {
    this.#metrics.notices.inc({ code: 'bug' });
    this.#log[level]({ event: 'bug', where, error: this.#redaction.error(error) }, 'unexpected error');
    this.#emitNotice({ level: 'error', code: 'bug', message: 'unexpected error, see the log', where });
  }

  /** A notice of a store names its merchant among its facts. */
  #emitNotice({ merchant, ...facts }: FactsOf<'trouble'>): void {
    this.events.emit({ name: 'trouble', merchant: typeof merchant === 'string' ? merchant : undefined, facts });
  }

  /** Emits an event, and logs the same. */
  #report(happening: Happening, level: Level, message: string): void {
    this.events.emit(happening);
    this.#write(happening, level, message);
  }

  #write({ name, merchant, facts }: Happening, level: Level, message: string): void {
    this.#log[level]({ event: name, merchant, ...facts }, message);
  }

  /** Whether a line of this group may be logged now. What is held back is summarised in one line. */
  #mayLog(group: Readonly<Record<string, string>>): boolean {
    return this.#throttle.allows(Object.values(group).join(' '), (more) =>
      this.#log.warn(
        { ...group, more, withinSeconds: this.#throttle.windowMs / 1000 },
        `${more} more like these were counted and not logged`,
      ),
    );
  }
}
