/** The figures of `/metrics`, by Prometheus' conventions. Every label takes a bounded number of values. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

const PREFIX = 'carat_authenticity_';

export class Metrics {
  readonly registry = new Registry();

  readonly posts = this.#counter('posts_total', 'Posts on an authenticity path, by what became of them', [
    'merchant',
    'kind',
    'outcome',
  ]);
  readonly unusualLengths = this.#counter('unusual_lengths_total', 'Tokens of a length that Carat does not document', [
    'merchant',
    'kind',
  ]);
  readonly droppedCorrelators = this.#counter('dropped_correlators_total', 'Malformed correlators', [
    'merchant',
    'correlator',
  ]);
  readonly handovers = this.#counter('handovers_total', 'Tokens given to workers', ['merchant', 'kind', 'how']);
  readonly settled = this.#counter('settled_total', 'Tokens used or put back by workers', ['merchant', 'what']);
  readonly expired = this.#counter('expired_total', 'Expectations without their post, tokens nobody asked for', [
    'merchant',
    'kind',
    'what',
  ]);
  readonly troubles = this.#counter('troubles_total', 'Things an operator should know of', ['code']);
  readonly handoverSeconds = new Histogram({
    name: `${PREFIX}handover_seconds`,
    help: 'From the post to the worker',
    labelNames: ['kind', 'how'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300],
    registers: [this.registry],
  });

  constructor(waiters: () => number) {
    collectDefaultMetrics({ register: this.registry });
    new Gauge({
      name: `${PREFIX}waiters`,
      help: 'Workers that wait for a token',
      registers: [this.registry],
      collect() {
        this.set(waiters());
      },
    });
  }

  #counter<T extends string>(name: string, help: string, labelNames: T[]): Counter<T> {
    return new Counter({ name: `${PREFIX}${name}`, help, labelNames, registers: [this.registry] });
  }
}
