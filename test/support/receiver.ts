/** The shipped public side of the service, in this process, on its own port. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { pino } from 'pino';
import { Intake } from '../../src/intake/intake.ts';
import { SenderPolicy } from '../../src/intake/sender.ts';
import { AuthenticityListener, type AuthenticityListenerOptions } from '../../src/listeners/authenticity/listener.ts';
import { Metrics } from '../../src/observability/metrics.ts';
import { Recorder } from '../../src/observability/recorder.ts';
import type { TokenStore } from '../../src/store/contract.ts';
import { DurableLedger } from '../../src/store/embedded/durable-ledger.ts';
import { EmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import { LOOPBACK } from './ports.ts';
import { RawConnection } from './raw-http.ts';
import { scaled } from './time-scale.ts';

export interface ReceiverOptions {
  paths?: Record<string, string>;
  sources?: SenderPolicy;
  limits?: AuthenticityListenerOptions['limits'];
  tls?: AuthenticityListenerOptions['tls'];
  onAnswer?: AuthenticityListenerOptions['onAnswer'];
  /** Wraps the real store, to make it fail. */
  spoil?: (store: TokenStore) => TokenStore;
}

/** The recorder's report of one post. */
export interface Recorded {
  outcome: string;
  merchant: string;
  from: string;
  [fact: string]: unknown;
}

export class Receiver {
  readonly port: number;
  readonly store: TokenStore;
  readonly listener: AuthenticityListener;
  readonly metrics: Metrics;
  readonly #log: Record<string, unknown>[];
  readonly #connections: RawConnection[] = [];
  readonly #directory: string;

  private constructor(parts: Pick<Receiver, 'port' | 'store' | 'listener' | 'metrics'>, log: [], directory: string) {
    this.port = parts.port;
    this.store = parts.store;
    this.listener = parts.listener;
    this.metrics = parts.metrics;
    this.#log = log;
    this.#directory = directory;
  }

  static async start(options: ReceiverOptions = {}): Promise<Receiver> {
    const {
      paths = { '/authenticity': 'default' },
      sources = new SenderPolicy([], []),
      limits,
      tls,
      onAnswer,
      spoil,
    } = options;
    const directory = await mkdtemp(join(tmpdir(), 'receiver-'));
    const real = new EmbeddedStore(new DurableLedger({ directory, ttlMs: 900_000, accept: 'any', maxUnexpected: 100 }));
    await real.open({ onHint() {}, onGap() {}, onExpiry() {}, onNotice() {} });
    const store = spoil?.(real) ?? real;
    const lines: [] = [];
    const log = pino({ base: null }, { write: (line) => (lines as unknown[]).push(JSON.parse(line)) });
    const metrics = new Metrics();
    // Log without a limit: a test must find its line.
    const recorder = new Recorder({ log, metrics, throttle: { mostLines: Number.POSITIVE_INFINITY, windowMs: 1 } });
    const intake = new Intake({ store, sources, recorder, deadlineMs: scaled(900) });
    const listener = new AuthenticityListener({ paths: new Map(Object.entries(paths)), intake, tls, limits, onAnswer });
    const port = Number(new URL(await listener.listen(LOOPBACK, 0)).port);
    return new Receiver({ port, store: real, listener, metrics }, lines, directory);
  }

  /** A connection that is closed at the latest with the receiver. */
  readonly connect = async (tls?: { ca: Buffer }): Promise<RawConnection> => {
    const connection = await RawConnection.open(this.port, tls);
    this.#connections.push(connection);
    return connection;
  };

  /** The posts recorded since the last call, oldest first. */
  readonly recorded = (): Recorded[] => {
    return this.#log.splice(0).filter(({ event }) => event === 'post') as unknown as Recorded[];
  };

  /** The log text since the last call, for a search of forbidden content. */
  readonly logged = (): string => {
    return this.#log
      .splice(0)
      .map((line) => JSON.stringify(line))
      .join('\n');
  };

  async postsCounted(outcome: string): Promise<number> {
    const { values } = await this.metrics.posts.get();
    return values.filter(({ labels }) => labels.outcome === outcome).reduce((sum, { value }) => sum + value, 0);
  }

  /** Number of connections of the server. */
  connections(): Promise<number> {
    return promisify(this.listener.server.getConnections.bind(this.listener.server))();
  }

  disconnect(): void {
    for (const connection of this.#connections.splice(0)) connection.destroy();
  }

  async stop(): Promise<void> {
    this.disconnect();
    await this.listener.stop();
    await this.store.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
