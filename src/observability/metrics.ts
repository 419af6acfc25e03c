/**
 * The figures of `/metrics`, by Prometheus' conventions. Every label takes a bounded number of values: merchants, kinds and
 * outcomes come from the configuration and the protocol, never from what was sent.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { StoreHealth } from '../store/contract.ts';

const PREFIX = 'carat_authenticity_';

/** What the gauges look at when they are scraped. */
export interface Watched {
  version: string;
  merchants: readonly string[];
  waitersOf: (merchant: string) => number;
  maxWaiters: number;
  health: () => StoreHealth;
}

export class Metrics {
  readonly registry = new Registry();

  readonly posts = this.#counter('posts_total', 'Posts on an authenticity path, by what became of them', [
    'merchant',
    'kind',
    'outcome',
  ]);
  readonly answerSeconds = this.#histogram('answer_seconds', 'From the headers of a post to its answer', ['merchant'], {
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 30],
  });
  readonly notOk = this.#counter('answers_not_ok_total', 'Answers of an authenticity path other than 200: always 0', [
    'merchant',
  ]);
  readonly unanswered = this.#counter('unanswered_total', 'Posts whose sender went away before the answer', [
    'merchant',
  ]);
  readonly unusualLengths = this.#counter('unusual_lengths_total', 'Tokens of a length that Carat does not document', [
    'merchant',
    'kind',
  ]);
  readonly droppedCorrelators = this.#counter('dropped_correlators_total', 'Malformed correlators', [
    'merchant',
    'correlator',
  ]);
  readonly workerRequests = this.#counter('worker_requests_total', 'Reads and claims, by what they were answered', [
    'merchant',
    'how',
    'outcome',
  ]);
  readonly handovers = this.#counter('handovers_total', 'Tokens given to workers', ['merchant', 'kind', 'how']);
  readonly redeliveries = this.#counter('redeliveries_total', 'Tokens claimed after an earlier claim had them', [
    'merchant',
    'kind',
  ]);
  readonly handoverSeconds = this.#histogram('handover_seconds', 'From the post to the worker', [
    'merchant',
    'kind',
    'how',
  ]);
  readonly settled = this.#counter('settled_total', 'Tokens used or put back by workers', ['merchant', 'what']);
  readonly leasesLost = this.#counter('leases_lost_total', 'Claims settled after they had lost their token', [
    'merchant',
  ]);
  readonly conflicts = this.#counter('conflicts_total', 'Answers with different live tokens under one selector', [
    'merchant',
  ]);
  readonly expectations = this.#counter('expectations_total', 'Expectations opened and cancelled', [
    'merchant',
    'what',
  ]);
  readonly expired = this.#counter('expired_total', 'Expectations without their post, tokens nobody asked for', [
    'merchant',
    'kind',
    'what',
  ]);
  readonly storeSeconds = this.#histogram('store_operation_seconds', 'Operations of the store, by outcome', [
    'operation',
    'outcome',
  ]);
  readonly eventsNotRelayed = this.#counter(
    'events_not_relayed_total',
    'Events that other instances were not told of',
    [],
  );
  readonly troubles = this.#counter('troubles_total', 'Things an operator should know of', ['code']);

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Adds the gauges, and a zero for each merchant where the absence of a series could be taken for health. */
  watch({ version, merchants, waitersOf, maxWaiters, health }: Watched): void {
    for (const merchant of merchants) {
      for (const counter of [this.notOk, this.unanswered, this.leasesLost, this.conflicts])
        counter.inc({ merchant }, 0);
      for (const what of ['no_show', 'orphan']) {
        for (const kind of ['seid', 'nit', 'token']) this.expired.inc({ merchant, kind, what }, 0);
      }
    }
    this.#gauge('waiters', 'Workers that wait for a token', ['merchant'], (gauge) => {
      for (const merchant of merchants) gauge.set({ merchant }, waitersOf(merchant));
    });
    this.#gauge('waiters_max', 'How many workers may wait at once', [], (gauge) => gauge.set(maxWaiters));
    this.#gauge('build_info', 'Always 1; says what runs', ['version', 'store'], (gauge) =>
      gauge.set({ version, store: health().kind }, 1),
    );
    this.#gauge('store_state', '1 for the state that the store is in', ['state'], (gauge) => {
      const now = health().state;
      for (const state of ['ok', 'degraded', 'away']) gauge.set({ state }, state === now ? 1 : 0);
    });
    this.#gauge('fallback_pending', 'Tokens and expectations that Redis is yet to be told of', [], (gauge) =>
      gauge.set(health().fallback?.pending ?? 0),
    );
    this.#gauge('fallback_pending_age_seconds', 'Since when the oldest of them waits', [], (gauge) =>
      gauge.set((health().fallback?.pendingForMs ?? 0) / 1000),
    );
    this.#gauge('fallback_journaled', 'Tokens on local disk, copies of what Redis has among them', [], (gauge) =>
      gauge.set(health().fallback?.journaled ?? 0),
    );
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers: [this.registry] });
  }

  #histogram<T extends string>(name: string, help: string, labelNames: T[], { buckets } = { buckets: BUCKETS }) {
    return new Histogram({ name: `${PREFIX}${name}`, help, labelNames, buckets, registers: [this.registry] });
  }

  #gauge<T extends string>(name: string, help: string, labelNames: T[], look: (gauge: Gauge<T>) => void): void {
    const gauge: Gauge<T> = new Gauge({
      name: `${PREFIX}${name}`,
      help,
      labelNames,
      registers: [this.registry],
      collect: () => look(gauge),
    });
  }
}

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
