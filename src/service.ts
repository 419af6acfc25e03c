/**
 * The composition root: builds every part, and knows the order in which they start and stop.
 *
 * Layout
 *
 * - `post` reads the bytes of an authenticity post; `intake` puts its token into the store.
 * - `store/` keeps tokens: `store` is the contract; `embedded` decides in the `ledger` and writes to `disk`; `redis` decides
 *   in scripts; `fallback` stands around `redis` with a `local` store beside it; `sealed` around either, if there are keys.
 * - `wakeups` brings the store's hints to the `waiters`; `handoff` gives tokens to workers, claims in a `line`.
 * - `listeners/` are the two servers: `authenticity` for Carat, `workers` for everybody inside.
 * - `journal` hears of everything that happens, and tells the log and the `metrics`.
 * - `protocol` is the wire of the worker API; `config` reads the environment; `main` is the process.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { Handoff } from './handoff.ts';
import { Intake } from './intake.ts';
import { Journal } from './journal.ts';
import { AuthenticityListener } from './listeners/authenticity.ts';
import { createWorkerListener } from './listeners/workers.ts';
import { Metrics } from './metrics.ts';
import { Sources } from './sources.ts';
import { EmbeddedStore } from './store/embedded.ts';
import { FallbackStore } from './store/fallback.ts';
import { LocalStore } from './store/local.ts';
import { MeasuredStore } from './store/measured.ts';
import { RedisStore } from './store/redis.ts';
import type { RedisAddress } from './store/redis-address.ts';
import { SealedStore } from './store/sealed.ts';
import type { TokenStore } from './store/store.ts';
import { Vault } from './store/vault.ts';
import { VERSION } from './version.ts';
import { Waiters } from './waiters.ts';
import { Wakeups } from './wakeups.ts';

/** How many unexpected tokens are remembered for each merchant, so that strangers cannot fill the store. */
const MAX_UNEXPECTED = 10_000;

export class Service {
  /** Where the two listeners listen, once they do. */
  authenticityUrl = '';
  workerUrl = '';
  readonly waiters: Waiters;
  readonly wakeups: Wakeups;
  readonly store: TokenStore;
  readonly #config: Config;
  readonly #journal: Journal;
  readonly #metrics: Metrics;
  readonly #authenticity: AuthenticityListener;
  #workers: FastifyInstance | undefined;

  constructor(config: Config, log: Logger, store: TokenStore = createStore(config)) {
    this.#config = config;
    this.waiters = new Waiters({ max: config.maxWaiters });
    this.wakeups = new Wakeups(this.waiters);
    const metrics = new Metrics();
    this.#metrics = metrics;
    this.store = new MeasuredStore(store, (operation, outcome, seconds) =>
      metrics.storeSeconds.observe({ operation, outcome }, seconds),
    );
    metrics.watch({
      version: VERSION,
      merchants: config.merchants,
      waitersOf: (merchant) => this.waiters.countOf(merchant),
      maxWaiters: config.maxWaiters,
      health: () => this.store.health(),
    });
    this.#journal = new Journal({ log, metrics: this.#metrics, fingerprintKey: config.encryptionKeys[0] });
    const sources = new Sources(config.allowedSources, config.trustedProxies);
    const intake = new Intake({ store: this.store, sources, journal: this.#journal });
    const onAnswer = (merchant: string, status: number | 'gone', seconds: number): void => {
      if (status === 'gone') return metrics.unanswered.inc({ merchant });
      metrics.answerSeconds.observe({ merchant }, seconds);
      if (status !== 200) metrics.notOk.inc({ merchant });
    };
    const tls = config.tls && { cert: readFileSync(config.tls.certFile), key: readFileSync(config.tls.keyFile) };
    this.#authenticity = new AuthenticityListener({ paths: config.paths, intake, tls, onAnswer });
  }

  /** @throws DirectoryInUse, or the error of a listener that cannot listen; then nothing is left open. */
  async start(): Promise<void> {
    const { store, waiters, wakeups } = this;
    const journal = this.#journal;
    await store.open({
      onHint: (hint) => wakeups.onHint(hint),
      onGap: () => wakeups.onGap(),
      onExpiry: (expiry) => journal.expired(expiry),
      onTrouble: (trouble) => journal.trouble(trouble),
    });
    try {
      wakeups.start(store);
      const { onConflict, workerHost, workerPort, host, port } = this.#config;
      const handoff = new Handoff({ store, waiters, onConflict });
      const metrics = this.#metrics;
      this.#workers = await createWorkerListener({ config: this.#config, store, handoff, waiters, journal, metrics });
      this.workerUrl = await this.#workers.listen({ host: workerHost, port: workerPort });
      this.authenticityUrl = await this.#authenticity.listen(host, port);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Sends the waiting away at once, answers what Carat still sends, and closes the store last. */
  async stop(): Promise<void> {
    this.waiters.drain();
    await this.#authenticity.stop();
    await this.#workers?.close();
    this.wakeups.stop();
    await this.store.close();
  }
}

function createStore(config: Config): TokenStore {
  const store = config.store === undefined ? createEmbedded(config) : createFallback(config, config.store);
  return config.encryptionKeys.length === 0 ? store : new SealedStore(store, new Vault(config.encryptionKeys));
}

function createEmbedded({ dataDir, tokenTtlMs, accept }: Config): TokenStore {
  const directory = join(dataDir, 'tokens');
  return new EmbeddedStore({ directory, ttlMs: tokenTtlMs, accept, maxUnexpected: MAX_UNEXPECTED });
}

function createFallback({ dataDir, tokenTtlMs, accept, merchants }: Config, address: RedisAddress): TokenStore {
  const options = { ttlMs: tokenTtlMs, accept, maxUnexpected: MAX_UNEXPECTED };
  const shared = new RedisStore({ ...options, address, merchants });
  const local = new LocalStore({ ...options, unmatched: 'deferred', directory: join(dataDir, 'tokens') });
  return new FallbackStore({ shared, local, merchants });
}
