/**
 * The composition root: builds every part, and defines the order in which they start and stop.
 *
 * Layout, in the order in which a token travels:
 *
 * - `token`: the domain. Kinds, correlators, claims, topics.
 * - `listeners/authenticity/`: the public server that Carat posts to.
 * - `intake/`: `parse-post` reads the bytes of a post; `intake` puts its token into the store.
 * - `store/`: `contract` says what a store promises. `embedded/` decides in the `ledger` and writes to `disk`. `redis/`
 *   decides in scripts. `fallback/` wraps Redis with a local store for use while Redis is unavailable. `encrypted` and
 *   `instrumented` wrap any store: each extends `forwarding`.
 * - `asking/`: asks Carat for tokens on behalf of workers, with the calls of `carat/`.
 * - `handoff/`: gives tokens to workers. `wakeups` turns the store's hints into wake-ups of `waiters`; claims queue in the
 *   `claim-queue`.
 * - `listeners/workers/`: the worker API and its OpenAPI document.
 * - `observability/`: `recorder` receives everything that happens and writes the log, `metrics` and `events`. `relay`
 *   exchanges events with the other instances. `tracing/` runs only when it is configured.
 * - `operator/`: the operator page.
 * - `config/` reads the environment; `main` is the process.
 *
 * Beside the service: `carat/` (Carat's calls and flows, also as a library), `client/` (for workers), `simulator/` (a Carat
 * for tests, and the demo) and `cli/`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { Asker } from './asking/asker.ts';
import { RechargeGuard } from './asking/guard.ts';
import { type CaratClient, createCaratClient } from './carat/client.ts';
import type { CaratConfig, Config } from './config/config.ts';
import type { RedisAddress } from './config/store-url.ts';
import { VERSION } from './config/version.ts';
import { Handoff } from './handoff/handoff.ts';
import { Waiters } from './handoff/waiters.ts';
import { Wakeups } from './handoff/wakeups.ts';
import { Intake } from './intake/intake.ts';
import { SenderPolicy } from './intake/sender.ts';
import { CertificateWatch } from './listeners/authenticity/certificate.ts';
import { connectionBound, descriptorLimit, MOST_CONNECTIONS } from './listeners/authenticity/descriptors.ts';
import { AuthenticityListener } from './listeners/authenticity/listener.ts';
import { createWorkerListener } from './listeners/workers/listener.ts';
import { AlertWebhook } from './observability/alert-webhook.ts';
import { Metrics } from './observability/metrics.ts';
import { Recorder } from './observability/recorder.ts';
import type { InstanceState } from './observability/relay/message.ts';
import { Relay } from './observability/relay/relay.ts';
import type { Tracing } from './observability/tracing/tracing.ts';
import { Operator, WAITERS_SHOWN } from './operator/operator.ts';
import type { Channel, TokenStore } from './store/contract.ts';
import { DurableLedger } from './store/embedded/durable-ledger.ts';
import { EmbeddedStore } from './store/embedded/embedded-store.ts';
import { EmbeddedRecharges } from './store/embedded/recharges.ts';
import { EncryptedStore, ValueCipher } from './store/encrypted.ts';
import { FallbackStore } from './store/fallback/fallback-store.ts';
import { LocalStore } from './store/fallback/local-store.ts';
import { JournaledRecharges } from './store/fallback/recharges.ts';
import { InstrumentedStore } from './store/instrumented.ts';
import type { RechargeStore } from './store/recharges.ts';

/** How many unexpected tokens are remembered for each merchant, so that strangers cannot fill the store. */
const MAX_UNEXPECTED = 10_000;

/** Paths that the documentation shows, so they are not secret. */
const PUBLIC_PATHS: ReadonlySet<string | undefined> = new Set(['/authenticity', '/']);

/** Settings of a process or a test beside the configuration. */
export interface Overrides {
  log: Logger;
  /** Used instead of the store that the configuration names. */
  store?: TokenStore | undefined;
  tracing?: Tracing | undefined;
  /** How many log lines could not be written. */
  droppedLines?: () => number;
}

/** The parts that depend on `STORE_URL`. */
interface Backend {
  createStore(): TokenStore;
  createRecharges(): RechargeStore;
  /** Connects to the other instances. Absent with the embedded store. */
  channel?: Channel;
}

export class Service {
  /** The URLs of the two listeners. Empty until they listen. */
  authenticityUrl = '';
  workerUrl = '';
  readonly waiters: Waiters;
  readonly wakeups: Wakeups;
  readonly store: TokenStore;
  readonly #config: Config;
  readonly #recorder: Recorder;
  readonly #metrics: Metrics;
  readonly #relay: Relay | undefined;
  readonly #tracing: Tracing | undefined;
  readonly #alerts: AlertWebhook | undefined;
  readonly #operator: Operator;
  readonly #authenticity: AuthenticityListener;
  readonly #certificate: CertificateWatch | undefined;
  readonly #createRecharges: () => RechargeStore;
  readonly #descriptorLimit = descriptorLimit();
  #workers: FastifyInstance | undefined;
  #asker: Asker | undefined;
  #guard: RechargeGuard | undefined;

  /** Builds the service. Loads only the modules that its configuration needs. Opens nothing: see `start`. */
  static async create(config: Config, overrides: Overrides): Promise<Service> {
    const backend = config.store === undefined ? embeddedBackend(config) : await redisBackend(config, config.store);
    return new Service(config, backend, overrides);
  }

  private constructor(
    config: Config,
    { createStore, createRecharges, channel }: Backend,
    { log, store = createStore(), tracing, droppedLines = () => 0 }: Overrides,
  ) {
    this.#createRecharges = createRecharges;
    this.#config = config;
    this.#tracing = tracing;
    this.waiters = new Waiters({ max: config.maxWaiters, merchants: config.merchants });
    this.wakeups = new Wakeups(this.waiters);
    const metrics = new Metrics();
    this.#metrics = metrics;
    this.store = new InstrumentedStore(store, (operation, outcome, seconds) =>
      metrics.storeSeconds.observe({ operation, outcome }, seconds),
    );
    metrics.watch({
      version: VERSION,
      merchants: config.merchants,
      waitersOf: (merchant) => this.waiters.countOf(merchant),
      maxWaiters: config.maxWaiters,
      health: () => this.store.health(),
      dataDir: directoryIn(config),
      certificateExpiresAt: () => this.#certificate?.expiresAt,
      droppedLines,
    });
    const [fingerprintKey] = config.encryptionKeys;
    this.#recorder = new Recorder({ log, metrics, fingerprintKey, secrets: secretsOf(config) });
    const self = this.#instanceState();
    const onDropped = (count: number): void => metrics.eventsNotRelayed.inc(count);
    this.#relay = channel && new Relay({ channel, events: this.#recorder.events, self, onDropped });
    const { alertWebhookUrl } = config;
    this.#alerts =
      alertWebhookUrl === undefined
        ? undefined
        : new AlertWebhook({
            url: alertWebhookUrl,
            events: this.#recorder.events,
            onNotice: (notice) => this.#recorder.notice(notice),
            onPosted: (outcome) => metrics.alertPosts.inc({ outcome }),
          });
    this.#operator = new Operator({
      recorder: this.#recorder,
      store: this.store,
      waiters: this.waiters,
      merchants: config.merchants,
      maxWaiters: config.maxWaiters,
      needsKey: config.workerKeys.length > 0,
      relay: this.#relay,
      owed: (merchant) => this.#guard?.owed(merchant),
      self,
      addresses: () => this.addresses(),
    });
    const sources = new SenderPolicy(config.allowedSources, config.trustedProxies);
    const { answerMs: deadlineMs } = config.deadlines ?? {};
    const intake = new Intake({ store: this.store, sources, recorder: this.#recorder, deadlineMs });
    const onAnswer = (merchant: string, status: number | 'gone', seconds: number): void => {
      if (status === 'gone') metrics.unanswered.inc({ merchant });
      else metrics.answerSeconds.observe({ merchant }, seconds);
      if (status !== 'gone' && status !== 200) metrics.notOk.inc({ merchant });
    };
    const tls = config.tls && { cert: readFileSync(config.tls.certFile), key: readFileSync(config.tls.keyFile) };
    this.#authenticity = new AuthenticityListener({
      paths: config.paths,
      intake,
      tls,
      limits: { maxConnections: connectionBound(this.#descriptorLimit) },
      onAnswer,
      onDoor: (door, { peer, forwardedFor, merchant, reason }) =>
        this.#recorder.doorMet(door, { from: sources.senderOf(peer, forwardedFor), merchant, reason }),
    });
    if (config.tls === undefined || tls === undefined) return;
    this.#certificate = new CertificateWatch({
      files: config.tls,
      pair: tls,
      use: (pair) => this.#authenticity.useCertificate(pair),
      onNotice: (notice) => this.#recorder.notice(notice),
    });
  }

  /** Records an error that nothing caught, without the properties that a library may have added to it. */
  bug(error: unknown, level: 'error' | 'fatal' = 'fatal'): void {
    this.#recorder.bug(error, 'process', level);
  }

  /** Closes everything again when it fails. @throws DirectoryInUse, or the error of a listener that cannot listen */
  async start(): Promise<void> {
    const { store, waiters, wakeups } = this;
    const recorder = this.#recorder;
    this.#alerts?.start();
    await store.open({
      onHint: (hint) => wakeups.onHint(hint),
      onGap: () => wakeups.onGap(),
      onExpiry: (expiry) => recorder.expired(expiry),
      onNotice: (notice) => recorder.notice(notice),
    });
    this.#reportFewDescriptors();
    try {
      wakeups.start(store);
      this.#relay?.start();
      this.#operator.start();
      this.#tracing?.start(recorder.events, (notice) => recorder.notice(notice));
      const { onConflict, workerHost, workerPort, host, port } = this.#config;
      const handoff = new Handoff({ store, waiters, onConflict });
      const { carat } = this.#config;
      const clients = carat === undefined ? new Map<string, CaratClient>() : caratClients(carat);
      if (carat !== undefined) this.#asker = new Asker({ clients, store, handoff, recorder });
      // Without credentials, recharges of an earlier run may be owed.
      if (carat !== undefined || existsSync(directoryIn(this.#config, 'recharges'))) await this.#startGuard(clients);
      const [metrics, operator, tracing] = [this.#metrics, this.#operator, this.#tracing];
      this.#workers = await createWorkerListener({
        config: this.#config,
        store,
        handoff,
        waiters,
        recorder,
        metrics,
        operator,
        relay: this.#relay,
        asker: this.#asker,
        guard: this.#guard,
        onAnswered: tracing && ((answered) => tracing.answered(answered)),
      });
      this.workerUrl = await this.#workers.listen({ host: workerHost, port: workerPort });
      this.#certificate?.start();
      this.authenticityUrl = await this.#authenticity.listen(host, port);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  #reportFewDescriptors(): void {
    const limit = this.#descriptorLimit;
    const connections = connectionBound(limit);
    if (connections === MOST_CONNECTIONS) return;
    this.#recorder.notice({
      level: 'warn',
      code: 'few_file_descriptors',
      message: `this process may open ${limit} files, so at most ${connections} connections to the authenticity URL are kept; raise the limit (ulimit -n, LimitNOFILE) to ${2 * MOST_CONNECTIONS}`,
      facts: { limit, connections },
    });
  }

  /** Ends every wait at once, keeps answering Carat's requests, and closes the store last. */
  async stop(): Promise<void> {
    this.waiters.drain();
    this.#asker?.stop();
    this.#certificate?.stop();
    await this.#authenticity.stop();
    await this.#guard?.stop();
    await this.#workers?.close();
    this.wakeups.stop();
    this.#operator.stop();
    this.#relay?.stop();
    await this.#tracing?.stop();
    await this.store.close();
    await this.#alerts?.stop();
    this.#recorder.close();
  }

  async #startGuard(clients: ReadonlyMap<string, CaratClient>): Promise<void> {
    const { merchants } = this.#config;
    const guard = new RechargeGuard({ store: this.#createRecharges(), clients, merchants, recorder: this.#recorder });
    this.#guard = guard;
    this.#metrics.watchRecharges(merchants, (merchant) => guard.owed(merchant));
    await guard.start();
  }

  /** Describes this instance for the operator pages of all instances. */
  #instanceState(): () => InstanceState {
    const { merchants } = this.#config;
    const startedAt = Date.now();
    return () => {
      const { state, fallback } = this.store.health();
      return {
        name: this.#recorder.events.instance,
        version: VERSION,
        startedAt,
        store: state,
        pending: fallback?.pending ?? 0,
        waiters: Object.fromEntries(merchants.map((merchant) => [merchant, this.waiters.countOf(merchant)])),
        first: merchants.flatMap((merchant) => this.waiters.list(merchant, WAITERS_SHOWN)),
      };
    };
  }

  /** Returns the URLs for posts and for workers. A configured path is secret and is replaced by a placeholder. */
  addresses(): { authenticityUrl: string; workerUrl: string } {
    const [path] = this.#config.paths.keys();
    const reachable = (url: string): string => url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
    const shownPath = PUBLIC_PATHS.has(path) ? path : '/YOUR-PATH';
    return { authenticityUrl: `${reachable(this.authenticityUrl)}${shownPath}`, workerUrl: reachable(this.workerUrl) };
  }
}

/** Returns the secrets to redact from every text. */
function secretsOf({ paths, workerKeys, encryptionKeys, store, carat, alertWebhookUrl }: Config): string[] {
  const keys = encryptionKeys.flatMap((key) => [
    key.toString('base64'),
    key.toString('base64url'),
    key.toString('hex'),
  ]);
  const passwords = [store?.password, store?.sentinelPassword].filter((password) => password !== undefined);
  const { pathname = '', search = '' } = alertWebhookUrl === undefined ? {} : new URL(alertWebhookUrl);
  const webhook = [alertWebhookUrl ?? '', `${pathname}${search}`];
  const secretPaths = [...paths.keys()].filter((path) => !PUBLIC_PATHS.has(path));
  const credentials = [...(carat?.credentials.values() ?? [])].flatMap((one) => [one.merchantId, one.merchantKey]);
  return [
    ...secretPaths,
    ...workerKeys.map(({ key }) => key),
    ...keys,
    ...credentials,
    ...webhook,
    ...passwords.flatMap((password) => [password, encodeURIComponent(password)]),
  ];
}

/** Creates a client for each merchant with credentials. */
function caratClients({ credentials, environment, apiUrl, rechargeUrl }: CaratConfig): Map<string, CaratClient> {
  const addresses = {
    ...(apiUrl === undefined ? {} : { portal: apiUrl }),
    ...(rechargeUrl === undefined ? {} : { recharge: rechargeUrl }),
  };
  // Without an environment, both addresses are configured, and this default has no effect.
  const options = { environment: environment ?? 'homologation', addresses } as const;
  return new Map([...credentials].map(([merchant, one]) => [merchant, createCaratClient({ ...options, ...one })]));
}

function embeddedBackend(config: Config): Backend {
  const { tokenTtlMs, accept, encryptionKeys } = config;
  const cipher = new ValueCipher(encryptionKeys);
  const options = { ttlMs: tokenTtlMs, accept, maxUnexpected: MAX_UNEXPECTED, openable: cipher.openable };
  const directory = directoryIn(config, 'tokens');
  return {
    // Needed without keys too: a value that another instance encrypted must not be handed out.
    createStore: () => new EncryptedStore(new EmbeddedStore(new DurableLedger({ ...options, directory })), cipher),
    createRecharges: () => new EmbeddedRecharges(directoryIn(config, 'recharges'), cipher),
  };
}

/** Loads the Redis modules, which only a process with a `STORE_URL` needs. */
async function redisBackend(config: Config, address: RedisAddress): Promise<Backend> {
  const [{ RedisStore }, { RedisChannel }, { RedisRecharges }] = await Promise.all([
    import('./store/redis/redis-store.ts'),
    import('./store/redis/channel.ts'),
    import('./store/redis/recharges.ts'),
  ]);
  const { tokenTtlMs, accept, merchants, deadlines, encryptionKeys } = config;
  const cipher = new ValueCipher(encryptionKeys);
  const options = { ttlMs: tokenTtlMs, accept, maxUnexpected: MAX_UNEXPECTED, openable: cipher.openable };
  return {
    createStore() {
      const shared = new RedisStore({ ...options, address, merchants, deadlineMs: deadlines?.redisMs });
      const local = new LocalStore({ ...options, directory: directoryIn(config, 'tokens') });
      return new EncryptedStore(new FallbackStore({ shared, local, merchants }), cipher);
    },
    createRecharges() {
      const local = new EmbeddedRecharges(directoryIn(config, 'recharges'), cipher);
      return new JournaledRecharges(new RedisRecharges({ address, cipher }), local);
    },
    channel: new RedisChannel(address),
  };
}

/** DATA_DIR or a directory in it. Absolute: a relative path has no meaning after the working directory is removed. */
function directoryIn({ dataDir }: Config, name = ''): string {
  return resolve(dataDir, name);
}
