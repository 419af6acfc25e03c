/** The public side of the service as it is shipped, in this process, on a port of its own. */
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
  /** What is put between intake and the real store: the way in which it fails. */
  spoil?: (store: TokenStore) => TokenStore;
}

/** What the recorder told of one post. */
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
    // What a test looks for in the log must be there, however much of it there is.
    const recorder = new Recorder({ log, metrics, throttle: { mostLines: Number.POSITIVE_INFINITY, windowMs: 1 } });
    const intake = new Intake({ store, sources, recorder, deadlineMs: scaled(900) });
    const listener = new AuthenticityListener({ paths: new Map(Object.entries(paths)), intake, tls, limits, onAnswer });
    const port = Number(new URL(await listener.listen(LOOPBACK, 0)).port);
    return new Receiver({ port, store: real, listener, metrics }, lines, directory);
  }

  /** A connection that is closed with the receiver, at the latest. */
  readonly connect = async (tls?: { ca: Buffer }): Promise<RawConnection> => {
    const connection = await RawConnection.open(this.port, tls);
    this.#connections.push(connection);
    return connection;
  };

  /** What was recorded of posts since the last call, oldest first. */
  readonly recorded = (): Recorded[] => {
    return this.#log.splice(0).filter(({ event }) => event === 'post') as unknown as Recorded[];
  };

  /** Everything that was logged since the last call, as text: what must not be in it is looked for here. */
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

  /** How many connections the server has. */
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
