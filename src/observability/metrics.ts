/**
 * The metrics of `/metrics`, by Prometheus' conventions. Every label has a bounded number of
 * values. Merchants, kinds and outcomes come from the configuration and the protocol, never from
 * input.
 */
import { statfs } from 'node:fs/promises';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { StoreHealth } from '../store/contract.ts';
import { KINDS, UNUSABLE_REASONS } from '../token.ts';
import { DOORS } from './doors.ts';

const PREFIX = 'carat_authenticity_';

/** Sources of the gauges, read at each scrape. */
export interface Watched {
  version: string;
  merchants: readonly string[];
  waitersOf: (merchant: string) => number;
  maxWaiters: number;
  health: () => StoreHealth;
  dataDir: string;
  /** Milliseconds since 1970; undefined without a certificate of its own. */
  certificateExpiresAt: () => number | undefined;
  droppedLines: () => number;
}

export class Metrics {
  readonly registry = new Registry();

  readonly posts = this.#counter('posts_total', 'Posts on an authenticity path, by outcome', [
    'merchant',
    'kind',
    'outcome',
  ]);
  readonly answerSeconds = this.#histogram(
    'answer_seconds',
    'Time from the headers of a post to its answer',
    ['merchant'],
    {
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 30],
    },
  );
  readonly notOk = this.#counter('answers_not_ok_total', 'Answers of an authenticity path other than 200: always 0', [
    'merchant',
  ]);
  readonly unanswered = this.#counter('unanswered_total', 'Posts whose sender went away before the answer', [
    'merchant',
  ]);
  readonly doors = this.#counter(
    'doors_total',
    'Requests and connections that did not reach an authenticity path, by door',
    ['door'],
  );
  readonly unusualLengths = this.#counter('unusual_lengths_total', 'Tokens of a length that Carat does not document', [
    'merchant',
    'kind',
  ]);
  readonly droppedCorrelators = this.#counter('dropped_correlators_total', 'Malformed correlators', [
    'merchant',
    'correlator',
  ]);
  readonly workerRequests = this.#counter('worker_requests_total', 'Reads and claims, by outcome', [
    'merchant',
    'how',
    'outcome',
  ]);
  readonly handovers = this.#counter('handovers_total', 'Tokens given to workers', ['merchant', 'kind', 'how']);
  readonly redeliveries = this.#counter('redeliveries_total', 'Tokens claimed again after another claim', [
    'merchant',
    'kind',
  ]);
  readonly handoverSeconds = this.#histogram('handover_seconds', 'Time from the post to the worker', [
    'merchant',
    'kind',
    'how',
  ]);
  readonly settled = this.#counter('settled_total', 'Tokens used or put back by workers', ['merchant', 'what']);
  readonly leasesLost = this.#counter('leases_lost_total', 'Claims settled after their lease was lost', ['merchant']);
  readonly conflicts = this.#counter('conflicts_total', 'Answers with different live tokens under one selector', [
    'merchant',
  ]);
  readonly expectations = this.#counter('expectations_total', 'Expectations opened and cancelled', [
    'merchant',
    'what',
  ]);
  readonly asks = this.#counter('asks_total', 'Tokens that the service asked Carat for, by outcome', [
    'merchant',
    'call',
    'outcome',
  ]);
  readonly recharges = this.#counter('recharges_total', 'Recharges handed out, decided and ended', [
    'merchant',
    'what',
  ]);
  readonly askSeconds = this.#histogram('ask_seconds', 'Time from the request of a worker to the token', [
    'merchant',
    'call',
  ]);
  readonly expired = this.#counter(
    'expired_total',
    'Expectations that ended without a post (no_show), tokens that expired unread (orphan)',
    ['merchant', 'kind', 'what'],
  );
  readonly storeSeconds = this.#histogram('store_operation_seconds', 'Operations of the store, by outcome', [
    'operation',
    'outcome',
  ]);
  readonly eventsNotRelayed = this.#counter(
    'events_not_relayed_total',
    'Events that could not be sent to other instances',
    [],
  );
  readonly alertPosts = this.#counter('alert_posts_total', 'POSTs to ALERT_WEBHOOK_URL, by outcome', ['outcome']);
  readonly notices = this.#counter('troubles_total', 'Operator notices, by code', ['code']);

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /**
   * Adds the gauges, and each series of an alert or a panel at 0. `increase()` ignores a series
   * that starts at 1: the first lost post would raise no alert.
   */
  watch({
    version,
    merchants,
    waitersOf,
    maxWaiters,
    health,
    dataDir,
    certificateExpiresAt,
    droppedLines,
  }: Watched): void {
    for (const door of DOORS) this.doors.inc({ door }, 0);
    for (const outcome of ['sent', 'failed']) this.alertPosts.inc({ outcome }, 0);
    for (const merchant of merchants) this.#zero(merchant);
    for (const operation of STORE_OPERATIONS) {
      for (const outcome of ['ok', 'away', 'error']) this.storeSeconds.zero({ operation, outcome });
    }
    this.#gauge('waiters', 'Waiting workers', ['merchant'], (gauge) => {
      for (const merchant of merchants) gauge.set({ merchant }, waitersOf(merchant));
    });
    this.#gauge('waiters_max', 'Limit of waiting workers', [], (gauge) => gauge.set(maxWaiters));
    this.#gauge('build_info', 'Always 1; version and store in the labels', ['version', 'store'], (gauge) =>
      gauge.set({ version, store: health().kind }, 1),
    );
    this.#gauge('store_state', '1 for the state that the store is in', ['state'], (gauge) => {
      const now = health().state;
      for (const state of ['ok', 'degraded', 'away']) gauge.set({ state }, state === now ? 1 : 0);
    });
    this.#gauge('fallback_pending', 'Tokens and expectations not yet brought to Redis', [], (gauge) =>
      gauge.set(health().fallback?.pending ?? 0),
    );
    this.#gauge('fallback_pending_age_seconds', 'Age of the oldest of them', [], (gauge) =>
      gauge.set((health().fallback?.pendingForMs ?? 0) / 1000),
    );
    this.#gauge('fallback_journaled', 'Tokens on local disk, copies included', [], (gauge) =>
      gauge.set(health().fallback?.journaled ?? 0),
    );
    this.#gauge('data_dir_available_bytes', 'Free space of the file system of DATA_DIR', [], async (gauge) => {
      gauge.remove();
      const space = await statfs(dataDir).catch(() => undefined);
      if (space !== undefined) gauge.set(space.bavail * space.bsize);
    });
    this.#gauge('certificate_expiry_timestamp_seconds', 'Expiry of the certificate in TLS_CERT_FILE', [], (gauge) => {
      const at = certificateExpiresAt();
      if (at === undefined) gauge.remove();
      else gauge.set(at / 1000);
    });
    new Counter({
      name: `${PREFIX}log_lines_dropped_total`,
      help: 'Log lines that could not be written to standard output',
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(droppedLines());
      },
    });
  }

  #zero(merchant: string): void {
    for (const counter of [this.notOk, this.unanswered, this.leasesLost, this.conflicts]) counter.inc({ merchant }, 0);
    this.answerSeconds.zero({ merchant });
    for (const outcome of UNUSABLE_REASONS) this.posts.inc({ merchant, kind: 'none', outcome }, 0);
    for (const kind of KINDS) {
      for (const outcome of POST_OUTCOMES) this.posts.inc({ merchant, kind, outcome }, 0);
      for (const what of ['no_show', 'orphan']) this.expired.inc({ merchant, kind, what }, 0);
      for (const how of ['read', 'claim']) {
        this.handovers.inc({ merchant, kind, how }, 0);
        this.handoverSeconds.zero({ merchant, kind, how });
      }
      this.redeliveries.inc({ merchant, kind }, 0);
    }
    for (const how of ['read', 'claim']) {
      for (const outcome of WORKER_OUTCOMES) this.workerRequests.inc({ merchant, how, outcome }, 0);
    }
  }

  /** Adds the gauge of recharges without a known end at Carat. */
  watchRecharges(merchants: Iterable<string>, owedOf: (merchant: string) => number): void {
    const names = [...merchants];
    this.#gauge('recharges_owed', 'Recharges that Carat has not yet confirmed or undone', ['merchant'], (gauge) => {
      for (const merchant of names) gauge.set({ merchant }, owedOf(merchant));
    });
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers: [this.registry] });
  }

  #histogram<T extends string>(name: string, help: string, labelNames: T[], { buckets } = { buckets: BUCKETS }) {
    return new Histogram({ name: `${PREFIX}${name}`, help, labelNames, buckets, registers: [this.registry] });
  }

  #gauge<T extends string>(
    name: string,
    help: string,
    labelNames: T[],
    look: (gauge: Gauge<T>) => void | Promise<void>,
  ): void {
    const gauge: Gauge<T> = new Gauge({
      name: `${PREFIX}${name}`,
      help,
      labelNames,
      registers: [this.registry],
      collect: () => look(gauge),
    });
  }
}

const POST_OUTCOMES = ['kept', 'known', 'unexpected', 'deferred', 'late', 'failed'] as const;
const WORKER_OUTCOMES = [
  ...(['token', 'nothing', 'gone', 'used', 'cancelled', 'claimed', 'conflict'] as const),
  ...(['store_away', 'draining', 'too_many_waiters'] as const),
];
const STORE_OPERATIONS = ['put', 'read', 'claim', 'settle', 'undo', 'use', 'expect', 'cancel'] as const;
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
