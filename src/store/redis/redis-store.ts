/**
 * The Redis store, shared by any number of processes. Each transition is one script. Posts, claims
 * and settles of one tick go together, each in one call per merchant. One connection writes, with a
 * deadline and no queue; another subscribes to hints.
 */
import { randomUUID } from 'node:crypto';
import type { RedisAddress } from '../../config/store-url.ts';
import { type Claim, type NewToken, type TokenQuery, type TokenRecord, topicOf, topicsOf } from '../../token.ts';
import {
  type ClaimAnswer,
  type ClaimRequest,
  type Expectation,
  type KeyOptions,
  type PutAnswer,
  type ReadAnswer,
  type SettleAnswer,
  StoreAway,
  type StoreEvents,
  type StoreHealth,
} from '../contract.ts';
import type { ExpectationEntry } from '../embedded/records.ts';
import type {
  Attendance,
  MergedExpectations,
  MergedToken,
  MergeResult,
  Settled,
  SharedStore,
  TokenChange,
} from '../fallback/shared-store.ts';
import { CONNECT_WITHIN_DEADLINES, createRedisClient, DEADLINE_MS, listen, type RedisClient } from './client.ts';
import { Misconfigured, within } from './deadline.ts';
import { ScriptBatch } from './script-batch.ts';
import { defineScripts, type WithScripts } from './scripts.ts';
import { SeenMarks } from './seen-marks.ts';
import { tellOfServers } from './server-checks.ts';
import { connected, isConnected, lookForNodes, onTopologyChange } from './topology.ts';
import {
  attendanceOf,
  cancelledOf,
  changeOf,
  claimAnswerOf,
  claimArguments,
  expectationArguments,
  expiryOf,
  hintOf,
  mergeArguments,
  mergedExpectationsOf,
  mergedOf,
  type Put,
  prefixOf,
  putsOf,
  readAnswerOf,
  settledOf,
  tokenArguments,
} from './wire.ts';

export interface RedisStoreOptions extends KeyOptions {
  address: RedisAddress;
  merchants: readonly string[];
  ttlMs: number;
  accept: 'any' | 'expected';
  /** Limit of remembered unexpected tokens per merchant; the oldest are evicted. */
  maxUnexpected: number;
  /**
   * Response deadline of Redis. The start waits five times as long for a connection, then continues
   * without.
   */
  deadlineMs?: number | undefined;
}

/** Transitions of the store, by the file of `lua/`. Each has one key: the prefix of the merchant's keys. */
const SCRIPTS = {
  caratPut: 'put',
  caratRead: 'read',
  caratMarkSeen: 'mark-seen',
  caratClaim: 'claim',
  caratSettle: 'settle',
  caratUndo: 'undo',
  caratRevoke: 'revoke',
  caratUse: 'use',
  caratExpect: 'expect',
  caratCancel: 'cancel',
  caratMerge: 'merge',
  caratClock: 'clock',
  caratMergeExpectations: 'merge-expectations',
  caratAttend: 'attend',
  caratProbe: 'probe',
  caratSequence: 'sequence',
  caratSweep: 'sweep',
} as const;
type ScriptName = keyof typeof SCRIPTS;

interface Settling {
  claimId: string;
  how: 'use' | 'release';
}

const SWEEP_EVERY_MS = 1000;
/** Prefix of an echo. Older versions skip an echo: it has no merchant. */
const ECHO = '\n\n';
/** Number of reads of Redis' clock. */
const CLOCK_SAMPLES = 3;
const LOOK_FOR_NODES_EVERY_MS = 5000;
/** Limit of reported reasons per absence. */
const MOST_REASONS = 10;
/** Messages of ioredis for a connection that it gives up, whatever the reason. */
const CONNECTION_CLOSED = 'Connection is closed.';

export class RedisStore implements SharedStore {
  readonly #options: RedisStoreOptions;
  readonly #deadlineMs: number;
  readonly #writer: WithScripts<ScriptName>;
  readonly #subscriber: RedisClient;
  readonly #channel: string;
  readonly #puts: ScriptBatch<NewToken, Put>;
  readonly #claims: ScriptBatch<ClaimRequest, ClaimAnswer>;
  readonly #settles: ScriptBatch<Settling, Settled>;
  readonly #seen: SeenMarks;
  /** Published by the writer. The subscriber receives it if both are connected to the same server. */
  #echo = '';
  #isEchoHeard = false;
  /** The form that the scripts take. */
  readonly #openable: string;
  /** Time for which a verdict may be put off after an expectation ends. */
  readonly #retentionMs: number;
  #events: StoreEvents | undefined;
  #onTokenChange: (change: TokenChange) => void = () => {};
  #timers: NodeJS.Timeout[] = [];
  #trouble: string | undefined;
  #nodeError: string | undefined;
  /** Reasons for the current absence. */
  readonly #reported = new Set<string>();
  #isServerChecked = false;

  constructor(options: RedisStoreOptions) {
    this.#options = options;
    this.#retentionMs = options.accept === 'expected' ? options.ttlMs : 0;
    this.#openable = options.openable === undefined ? '*' : [...options.openable].map((key) => `${key},`).join('');
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS;
    const writer = createRedisClient(options.address, 'writer', this.#deadlineMs);
    this.#writer = defineScripts(writer, SCRIPTS, { db: options.address.db, numberOfKeys: 1 });
    this.#subscriber = createRedisClient(options.address, 'subscriber', this.#deadlineMs);
    this.#channel = `carat:${options.address.db}:arrivals`;
    this.#seen = new SeenMarks((merchant, marks) => this.#run('caratMarkSeen', merchant, ...marks));
    const { accept } = options;
    this.#puts = new ScriptBatch(
      (merchant, tokens) => this.#putAll(merchant, tokens),
      // Waiters of this instance read at once, behind the post on the same connection. They do not
      // wait for the announcement. A post that may be refused wakes nobody: an unauthenticated
      // client can send any number of them.
      (token) => {
        if (accept === 'any') this.#events?.onHint({ merchant: token.merchant, topics: topicsOf(token) });
      },
    );
    this.#claims = new ScriptBatch((merchant, requests) => this.#claimAll(merchant, requests));
    this.#settles = new ScriptBatch((merchant, settlings) => this.#settleAll(merchant, settlings));
  }

  async open(events: StoreEvents): Promise<void> {
    this.#events = events;
    for (const client of [this.#writer, this.#subscriber]) {
      client.on('error', (error: Error) => this.#onError(client, error));
      // A cluster's client reports only that it failed; its nodes report the reason.
      client.on('node error', ({ message }: Error) => {
        if (message !== CONNECTION_CLOSED) this.#nodeError = message;
      });
    }
    this.#writer.on('ready', () => this.#onReady());
    this.#subscriber.on('message', (_channel: string, message: string) => {
      if (message === '') return;
      if (message.startsWith(ECHO)) {
        this.#isEchoHeard ||= message === this.#echo;
        return;
      }
      const change = changeOf(message);
      if (change === undefined) events.onHint(hintOf(message));
      else this.#onTokenChange(change);
    });
    // Redis drops hints that are sent without a subscriber: every waiter reads again.
    const onSubscriber = (): void => {
      events.onGap();
      this.#renewEcho();
    };
    for (const event of ['ready', '+subscriber']) this.#subscriber.on(event, onSubscriber);
    onTopologyChange(this.#writer, () => this.#renewEcho());
    this.#timers = [
      setInterval(() => void this.#sweep(), SWEEP_EVERY_MS),
      setInterval(() => lookForNodes(this.#subscriber), LOOK_FOR_NODES_EVERY_MS),
    ];
    const ready = Promise.all([connected(this.#writer), listen(this.#subscriber, this.#channel)]).then(
      () => this.#sendEcho(),
      (error: Error) => this.#onError(this.#writer, error),
    );
    await Promise.race([
      ready,
      new Promise((resolve) => setTimeout(resolve, CONNECT_WITHIN_DEADLINES * this.#deadlineMs).unref()),
    ]);
  }

  async put(token: NewToken): Promise<PutAnswer> {
    return (await this.putAndReport(token)).answer;
  }

  putAndReport(token: NewToken): Promise<Put> {
    return this.#puts.add(token.merchant, token);
  }

  async #putAll(merchant: string, tokens: NewToken[]): Promise<Put[]> {
    const { ttlMs, accept, maxUnexpected } = this.#options;
    const flat = tokens.flatMap(tokenArguments);
    return putsOf(
      await this.#run('caratPut', merchant, this.#channel, merchant, ttlMs, accept, maxUnexpected, ...flat),
    );
  }

  async read(query: TokenQuery): Promise<ReadAnswer> {
    return readAnswerOf(
      await this.#run('caratRead', query.merchant, topicOf(query), query.kind ?? '', this.#openable),
      query.merchant,
    );
  }

  readArrival(arrival: TokenRecord): ReadAnswer | undefined {
    if (!this.#isEchoHeard) return undefined;
    this.#seen.add(arrival);
    return { state: 'live', token: arrival, distinct: 1, claim: null };
  }

  async claim(request: ClaimRequest): Promise<ClaimAnswer> {
    this.#checkConnection(request.merchant);
    return this.#claims.add(request.merchant, request);
  }

  async #claimAll(merchant: string, requests: ClaimRequest[]): Promise<ClaimAnswer[]> {
    const [{ instance = '' } = {}] = requests;
    const flat = requests.flatMap(claimArguments);
    const reply = await this.#run('caratClaim', merchant, this.#channel, merchant, this.#openable, instance, ...flat);
    if (reply === 'lost') throw new StoreAway('its data was lost', true);
    return (reply as unknown[]).map((one) => claimAnswerOf(one, merchant));
  }

  async settle(merchant: string, claimId: string, how: 'use' | 'release'): Promise<SettleAnswer> {
    return (await this.settleAndReport(merchant, claimId, how)).answer;
  }

  async settleAndReport(merchant: string, claimId: string, how: 'use' | 'release'): Promise<Settled> {
    this.#checkConnection(merchant);
    return this.#settles.add(merchant, { claimId, how });
  }

  async #settleAll(merchant: string, settlings: Settling[]): Promise<Settled[]> {
    const flat = settlings.flatMap(({ claimId, how }) => [claimId, how]);
    const reply = await this.#run('caratSettle', merchant, this.#channel, merchant, ...flat);
    return (reply as unknown[]).map((one) => settledOf(one, merchant));
  }

  async undo(merchant: string, claim: Claim): Promise<boolean> {
    const { id, deliveries, renewals, leaseExpiresAt } = claim;
    const args = [this.#channel, merchant, id, deliveries, renewals, leaseExpiresAt];
    return (await this.#run('caratUndo', merchant, ...args)) === 1;
  }

  async use(merchant: string, id: string): Promise<SettleAnswer> {
    return (await this.useAndReport(merchant, id)).answer;
  }

  async useAndReport(merchant: string, id: string): Promise<Settled> {
    return settledOf(await this.#run('caratUse', merchant, id, this.#channel, merchant), merchant);
  }

  async expect({ id, merchant, kind, topic, ttlMs }: Expectation): Promise<number> {
    return Number(await this.#run('caratExpect', merchant, id, kind, topic, ttlMs, this.#retentionMs));
  }

  async cancel(merchant: string, id: string): Promise<'done' | 'unknown'> {
    return (await this.cancelAndReport(merchant, id, Date.now)) === undefined ? 'unknown' : 'done';
  }

  async cancelAndReport(merchant: string, id: string, now: () => number): Promise<ExpectationEntry | undefined> {
    return cancelledOf(await this.#run('caratCancel', merchant, this.#channel, merchant, id), merchant, id, now());
  }

  async sequence(merchant: string): Promise<number> {
    return Number((await this.#run('caratSequence', merchant)) ?? 0);
  }

  /** A cluster's masters fail separately; any other store fails as a whole. */
  domainOf(merchant: string): string {
    return this.#options.address.topology === 'cluster' ? merchant : '';
  }

  async probe(merchant: string): Promise<void> {
    try {
      await this.#run('caratProbe', merchant, this.#channel);
    } catch (error) {
      if (error instanceof Misconfigured) this.#report(error.code, error.message);
      throw error;
    }
  }

  async merge(merchant: string, tokens: MergedToken[], now: number, instance = ''): Promise<MergeResult[]> {
    const { maxUnexpected } = this.#options;
    const flat = tokens.flatMap((token) => mergeArguments(token, now));
    const reply = await this.#run('caratMerge', merchant, this.#channel, merchant, maxUnexpected, instance, ...flat);
    if (reply === 'lost') throw new StoreAway('its data was lost', true);
    return mergedOf(reply);
  }

  async revoke(merchant: string, claims: { claimId: string; calls: string[] }[]): Promise<void> {
    const flat = claims.flatMap(({ claimId, calls }) => [claimId, calls.join(',')]);
    await this.#run('caratRevoke', merchant, this.#channel, merchant, ...flat);
  }

  async attend(merchant: string, instance: string, what: 'look' | 'asserted' | 'whole' | 'leave'): Promise<Attendance> {
    return attendanceOf(await this.#run('caratAttend', merchant, instance, what, this.#options.ttlMs));
  }

  onTokenChange(listener: (change: TokenChange) => void): void {
    this.#onTokenChange = listener;
  }

  /** The true time lies between the request and the answer: a quicker answer is more exact. */
  async clockAhead(merchant: string, clock: () => number): Promise<number> {
    let [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let sample = 0; sample < CLOCK_SAMPLES; sample += 1) {
      const asked = clock();
      const there = Number(await this.#run('caratClock', merchant)) / 1000;
      least = Math.max(least, there - clock());
      most = Math.min(most, there - asked);
    }
    return (least + most) / 2;
  }

  async mergeExpectations(
    merchant: string,
    expectations: readonly ExpectationEntry[],
    ahead: number,
    reconsiders: boolean,
  ): Promise<MergedExpectations> {
    const flat = expectations.flatMap((expectation) => expectationArguments(expectation, ahead));
    const args = [this.#channel, merchant, this.#retentionMs, reconsiders ? '1' : '', ...flat];
    return mergedExpectationsOf(await this.#run('caratMergeExpectations', merchant, ...args), ahead);
  }

  onReconnect(listener: () => void): void {
    onTopologyChange(this.#writer, listener);
    // Hints published without a subscriber are missing here. Without a writer, its next connection
    // calls back.
    const onSubscriber = (): void => {
      if (this.#writer.status === 'ready') listener();
    };
    for (const event of ['ready', '+subscriber']) this.#subscriber.on(event, onSubscriber);
  }

  health(): StoreHealth {
    if (this.#writer.status === 'ready' && this.#trouble === undefined) return { kind: 'redis', state: 'ok' };
    return { kind: 'redis', state: 'away', detail: this.#trouble ?? 'not connected' };
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#events = undefined;
    await this.#seen.flush();
    this.#seen.stop();
    this.#writer.disconnect();
    this.#subscriber.disconnect();
  }

  async #run(script: ScriptName, merchant: string, ...args: (string | number)[]): Promise<unknown> {
    this.#checkConnection(merchant);
    return within(this.#deadlineMs, this.#writer[script](prefixOf(merchant), ...args.map(String)));
  }

  /**
   * A cluster's client would try other nodes, and report only its last attempt. What a batch waits for
   * must not go to a later connection, whose data may be lost.
   * @throws StoreAway
   */
  #checkConnection(merchant: string): void {
    if (!isConnected(this.#writer, prefixOf(merchant))) throw new StoreAway('not connected', true);
  }

  #onReady(): void {
    if (this.#reported.size > 0) this.#tell('info', 'redis_back', 'Redis answers again');
    this.#reported.clear();
    this.#trouble = undefined;
    this.#nodeError = undefined;
    this.#events?.onGap();
    if (this.#isServerChecked || this.#events === undefined) return;
    this.#isServerChecked = true;
    const { shown } = this.#options.address;
    void tellOfServers(this.#writer, shown, (trouble) => this.#events?.onNotice(trouble));
  }

  /**
   * The sequence of a read compares with that of an announcement only if both come from one server.
   * After a failover, the old master's announcements may be late, and neither shows the later state
   * of its tokens. A message received after the echo is not from an earlier connection. In a
   * cluster, messages pass through other nodes and may be late.
   */
  #renewEcho(): void {
    this.#isEchoHeard = false;
    this.#echo = `${ECHO}${randomUUID()}`;
    this.#sendEcho();
  }

  #sendEcho(): void {
    if (this.#isEchoHeard || this.#options.address.topology === 'cluster' || this.#writer.status !== 'ready') return;
    this.#writer.publish(this.#channel, this.#echo).catch(() => {});
  }

  #onError(client: RedisClient, error: Error): void {
    const { cause, lastNodeError } = error as { cause?: { message?: string }; lastNodeError?: Error };
    const message = (lastNodeError ?? error).message || (cause?.message ?? 'unknown error');
    const reason = message === CONNECTION_CLOSED ? (this.#nodeError ?? message) : message;
    if (client === this.#writer) this.#trouble = reason;
    this.#report('redis_unreachable', reason);
  }

  /** Two connections and each sentinel may fail for different reasons, in turn and at each attempt. */
  #report(code: string, reason: string): void {
    if (this.#reported.has(reason) || this.#reported.size >= MOST_REASONS) return;
    this.#reported.add(reason);
    this.#tell('error', code, `cannot use Redis at ${this.#options.address.shown}: ${reason}`);
  }

  #tell(level: 'info' | 'error', code: string, message: string): void {
    this.#events?.onNotice({ level, code, message, facts: { redis: this.#options.address.shown } });
  }

  /** Reports expired entries. Its traffic also reveals a dead connection. */
  async #sweep(): Promise<void> {
    if ('ping' in this.#subscriber) this.#subscriber.ping().catch(() => {});
    this.#sendEcho();
    await Promise.all(
      this.#options.merchants.map(async (merchant) => {
        const over = (await this.#run('caratSweep', merchant)) as string[];
        for (const what of over) this.#events?.onExpiry(expiryOf(what, merchant));
      }),
    ).catch(() => {
      // Redis is away. Expired entries stay until an instance reports them.
    });
  }
}
