/**
 * Random operations from a seed, each answered by the service and by the model. Each lane has its
 * own merchants and runs one operation at a time. Only waiting workers run beside another
 * operation, in a known order. Lanes run in parallel; only a kill stops all of them.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { tokenId } from '../../src/token.ts';
import { Random } from '../support/random.ts';
import type { Answer, Api } from '../support/worker-api.ts';
import { type Correlators, type Kind, Model, type Operation, type Outcome, type Query, type Rules } from './model.ts';
import { World } from './world.ts';

/** Mostly one kind, so that operations meet the same tokens. */
const KINDS: Kind[] = ['seid', 'seid', 'seid', 'nit', 'token'];
const CORRELATORS = ['merchant_data', 'sid', 'merchant_usn', 'order_id'] as const;
/** Short, so that many tokens expire during a run. */
const TTL_SECONDS = 6;
/**
 * After a slower answer, the instance may have treated Redis as away. Then other answers are right,
 * too.
 */
const SLOW_MS = 100;
/** Time until it is known whether an instance treated Redis as away. */
const AWAY_LAG_MS = 200;
/** Number of operations that use a name. Then the name rests until its records have expired. */
const OPERATIONS_PER_NAME = 300;
const CLAIM_IDS = 5;
const KEYS = 2;
const OPERATIONS_BETWEEN_KILLS = 1500;
const LONG_WAIT_SECONDS = 1;
const SHORT_WAIT_SECONDS = 0.5;
const SWEEP_EVERY = 50;
/** Time until a request waits in the service. Operations avoid deadlines within this time. */
const PARKING_MS = 400;
const SHOWN_BEFORE = 25;
/** Merchants of each lane. A merchant that is set aside rests until its records have expired. */
const MERCHANTS_A_LANE = 4;
const REST_MS = (TTL_SECONDS + 2) * 1000;
const MOST_DIVERGENCES = 10;

export interface RunOptions {
  seed: number;
  operations: number;
  store: 'embedded' | 'redis';
  lanes?: number;
  onProgress?: (text: string) => void;
}

export interface Divergence {
  seed: number;
  rules: Rules;
  lane: number;
  operation: unknown;
  expected: Outcome[] | string;
  got: Outcome;
  /** Earlier operations on the same tokens. */
  before: string[];
}

export interface Report {
  seed: number;
  store: string;
  seconds: number;
  operations: number;
  /** Counts by operation and answer. */
  counts: Record<string, number>;
  kills: number;
  /** How often a lane started again because several answers were right after a slow answer. */
  setAside: number;
  divergences: Divergence[];
}

const RULES: Rules[] = [
  { accept: 'any', onConflict: 'newest', ttlSeconds: TTL_SECONDS },
  { accept: 'expected', onConflict: 'newest', ttlSeconds: TTL_SECONDS },
  { accept: 'any', onConflict: 'refuse', ttlSeconds: TTL_SECONDS },
];

export async function run({ seed, operations, store, lanes = 8, onProgress = () => {} }: RunOptions): Promise<Report> {
  const begun = performance.now();
  const report: Report = { seed, store, seconds: 0, operations: 0, counts: {}, kills: 0, setAside: 0, divergences: [] };
  for (const [phase, rules] of RULES.entries()) {
    const merchants = Array.from({ length: lanes }, (_lane, lane) =>
      Array.from({ length: MERCHANTS_A_LANE }, (_merchant, at) => `m${lane}-${at}`),
    );
    const world = await World.start(store, merchants.flat(), rules);
    try {
      const share = Math.ceil((operations * (phase + 1)) / RULES.length);
      const walkers = merchants.map(
        (ofLane, lane) =>
          new Lane({
            world,
            merchants: ofLane,
            lane,
            rules,
            seed: seed * 100 + phase * 10 + lane,
            run: seed,
            report,
            onProgress,
          }),
      );
      const random = new Random(seed + phase);
      while (report.operations < share && report.divergences.length < MOST_DIVERGENCES) {
        const each = Math.ceil(Math.min(OPERATIONS_BETWEEN_KILLS, share - report.operations) / lanes);
        await Promise.all(walkers.map((walker) => walker.walk(each)));
        onProgress(
          `${report.operations} operations, ${rules.accept}/${rules.onConflict}, ${report.divergences.length} divergences`,
        );
        if (report.operations >= share) break;
        await random.pick(world.instances).killAndRestart();
        await world.settled();
        report.kills += 1;
      }
    } finally {
      await world.stop();
    }
  }
  report.seconds = Math.round((performance.now() - begun) / 1000);
  return report;
}

/** Several answers are right: the lane resets its model and starts again. */
class Unclear extends Error {}
class Diverged extends Error {}

interface LaneOptions {
  world: World;
  merchants: readonly string[];
  lane: number;
  rules: Rules;
  seed: number;
  run: number;
  report: Report;
  onProgress: (text: string) => void;
}

interface Asked {
  outcome: Outcome;
  leaseEnds: number;
  from: number;
  to: number;
}

class Lane {
  readonly #options: LaneOptions;
  readonly #random: Random;
  /**
   * Unused merchants in the order in which they were set aside, with the end of their rest by
   * `performance.now()`.
   */
  readonly #spare: { merchant: string; restsUntil: number }[];
  #merchant: string;
  #model: Model;
  #era = 0;
  #count = 0;
  #posted: { kind: Kind; value: string }[] = [];
  #announcements: string[] = [];
  #trail: string[] = [];

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    const [merchant, ...spare] = options.merchants as [string, ...string[]];
    this.#merchant = merchant;
    this.#spare = spare.map((one) => ({ merchant: one, restsUntil: 0 }));
    this.#model = new Model(options.rules);
  }

  async walk(operations: number): Promise<void> {
    const { report } = this.#options;
    for (let done = 0; done < operations && report.divergences.length < MOST_DIVERGENCES; ) {
      const before = this.#count;
      try {
        await this.#step();
        if (this.#count % SWEEP_EVERY === 0) this.#model.sweep(Date.now());
      } catch (error) {
        if (error instanceof Unclear) report.setAside += 1;
        else if (!(error instanceof Diverged)) throw error;
        await this.#beginAnew();
      }
      done += this.#count - before;
    }
  }

  /** The service has no records of the next merchant, like a new model. */
  async #beginAnew(): Promise<void> {
    this.#spare.push({ merchant: this.#merchant, restsUntil: performance.now() + REST_MS });
    const { merchant, restsUntil } = this.#spare.shift() as { merchant: string; restsUntil: number };
    await delay(Math.max(0, restsUntil - performance.now()));
    this.#merchant = merchant;
    this.#era += 1;
    this.#model = new Model(this.#options.rules);
    this.#posted = [];
    this.#announcements = [];
    this.#trail = [];
  }

  async #step(): Promise<void> {
    const what = this.#random.below(100);
    if (what < 8) await this.#wait();
    else if (what < 10) await this.#twoWait();
    else await this.#ask(this.#anything());
  }

  #anything(): Operation {
    const what = this.#random.below(100);
    if (what < 26) return this.#post();
    if (what < 42) return { do: 'read', query: this.#query(true) };
    if (what < 64) return this.#claim();
    if (what < 72) return { do: 'use', id: this.#claimId() };
    if (what < 82) return { do: 'release', id: this.#claimId() };
    if (what < 87) return this.#useToken();
    if (what < 95) return this.#expect();
    return { do: 'cancel', number: this.#model.announcements - 1 - this.#random.below(6) };
  }

  #post(query = this.#query(false)): Operation & { do: 'post' } {
    const again = this.#random.below(5) === 0 ? this.#random.pick([undefined, ...this.#posted.slice(-12)]) : undefined;
    const { kind, value } = again ?? { kind: query.kind ?? this.#random.pick(KINDS), value: this.#newValue() };
    const correlators: Correlators = query.by === undefined ? {} : { [query.by]: query.is };
    if (query.by !== undefined && this.#random.below(4) === 0) Object.assign(correlators, this.#correlator());
    if (again === undefined) this.#posted.push({ kind, value });
    return { do: 'post', kind, value, correlators };
  }

  #claim(query = this.#query(false)): Operation & { do: 'claim' } {
    const lease = this.#random.pick([1, 1, 2, 600]);
    const renew = this.#random.below(6) === 0 ? { renew: true as const } : {};
    return { do: 'claim', id: this.#claimId(), query, lease, ...renew };
  }

  #useToken(): Operation {
    const { kind, value } = this.#random.pick([{ kind: 'seid' as const, value: 'never' }, ...this.#posted.slice(-12)]);
    return { do: 'use token', kind, value };
  }

  #expect(query = this.#query(false)): Operation {
    const kind = query.kind ?? 'seid';
    // A token's place is the only one without a correlator that says what it is for.
    const usable: Query = query.by === undefined && kind !== 'token' ? this.#correlator2(kind) : query;
    // A place in the pool has no name. It must end before the merchant's rest does.
    const isPlace = usable.by === undefined;
    return { do: 'expect', kind, query: usable, ttl: this.#random.pick(isPlace ? [1, 2, 6] : [1, 2, 600]) };
  }

  #correlator2(kind: Kind): Query {
    const [[by, is] = ['sid', 'x']] = Object.entries(this.#correlator());
    return { by: by as keyof Correlators, is, kind };
  }

  #name(many: number): string {
    const epoch = Math.floor(this.#count / OPERATIONS_PER_NAME) - this.#random.below(2);
    return `${this.#era}-${Math.max(0, epoch)}-${this.#random.below(many)}`;
  }

  #claimId(): string {
    return `c-${this.#name(CLAIM_IDS)}`;
  }

  #correlator(): Correlators {
    return { [this.#random.pick(CORRELATORS)]: `k-${this.#name(KEYS)}` };
  }

  /** @param isRead reads cannot use the pool, and need no kind */
  #query(isRead: boolean): Query {
    const kind = this.#random.pick(KINDS);
    if (!isRead && this.#random.below(3) === 0) return { kind };
    const [[by, is] = ['sid', 'x']] = Object.entries(this.#correlator());
    return { by: by as keyof Correlators, is, ...(isRead && this.#random.below(2) === 0 ? {} : { kind }) };
  }

  /** A worker waits while another operation may give it an answer. */
  async #wait(): Promise<void> {
    const isRead = this.#random.below(2) === 0;
    const query = this.#query(isRead);
    const waiting: Operation = isRead
      ? { do: 'read', query }
      : { do: 'claim', id: this.#claimId(), query, lease: this.#random.pick([1, 2, 600]) };
    if (this.#random.below(4) === 0) await this.#whileWaiting([waiting], [this.#anything()], SHORT_WAIT_SECONDS);
    else await this.#whileWaiting([waiting], this.#triggersFor(query), LONG_WAIT_SECONDS);
  }

  /** Two claims on the pool: served in order of arrival. */
  async #twoWait(): Promise<void> {
    const query: Query = { kind: this.#random.pick(KINDS) };
    const claim = (at: number): Operation => ({
      do: 'claim',
      id: `w${at}-${this.#era}-${this.#count}`,
      query,
      lease: this.#random.pick([1, 2]),
    });
    const triggers = [...this.#arrival(query), ...this.#arrival(query)];
    await this.#whileWaiting([claim(0), claim(1)], triggers, LONG_WAIT_SECONDS);
  }

  #triggersFor(query: Query): Operation[] {
    const what = this.#random.below(10);
    if (what < 8) return this.#arrival({ ...query, kind: query.kind ?? this.#random.pick(KINDS) });
    if (what < 9) return [{ do: 'release', id: this.#claimId() }];
    return [this.#expect(query), { do: 'cancel', number: this.#model.announcements }];
  }

  /** A post, with the announcement that admits it. */
  #arrival(query: Query): Operation[] {
    const isAnnounced = this.#options.rules.accept === 'expected' && this.#random.below(8) > 0;
    return [...(isAnnounced ? [this.#expect(query)] : []), this.#post(query)];
  }

  async #whileWaiting(waiting: Operation[], triggers: Operation[], wait: number): Promise<void> {
    const now = Date.now();
    // No deadline may answer a waiter before all are in line.
    if (!waiting.every((one) => this.#model.isPending(one, { from: now, to: now + PARKING_MS }))) {
      for (const one of waiting) await this.#ask(one);
      return;
    }
    const api = this.#anyApi();
    const asked: Promise<Asked>[] = [];
    try {
      for (const one of waiting) {
        const answer = this.#send(one, api, wait);
        // The promise may reject before it is awaited.
        answer.catch(() => {});
        asked.push(answer);
        await this.#parked(api, asked.length);
      }
      const from = Date.now();
      if (from > now + PARKING_MS) throw new Unclear();
      for (const one of triggers) await this.#ask(one);
      // A token that arrives too late need not be handed to the waiter.
      if (Date.now() > now + wait * 800) throw new Unclear();
      for (const [at, one] of waiting.entries()) {
        // The answer may have come at any time since the first trigger.
        await this.#take(one, { ...(await (asked[at] as Promise<Asked>)), from }, true);
      }
    } finally {
      await Promise.allSettled(asked);
    }
  }

  async #parked(api: Api, count: number): Promise<void> {
    const merchant = this.#merchant;
    const isParked = async (): Promise<boolean> => (await api.metric('waiters', `merchant="${merchant}"`)) >= count;
    for (const begun = Date.now(); !(await isParked()); await delay(2)) {
      if (Date.now() > begun + PARKING_MS) throw new Unclear();
    }
  }

  async #ask(operation: Operation): Promise<void> {
    // The answer to a post does not show on which side of a deadline it was.
    const now = Date.now();
    const soon = { from: now - PARKING_MS, to: now + PARKING_MS };
    if (operation.do === 'post' && this.#model.isDoubtful(operation, soon)) await delay(3 * PARKING_MS);
    await this.#take(operation, await this.#send(operation, this.#anyApi(), 0), false);
  }

  /** Checks the answer with the model. */
  async #take(operation: Operation, { outcome, leaseEnds, from, to }: Asked, waited: boolean): Promise<void> {
    const { report, lane, rules, run: seed } = this.#options;
    this.#count += 1;
    report.operations += 1;
    const name = `${operation.do}${waited ? ' (waited)' : ''} ${outcome.status}${outcome.code === undefined ? '' : ` ${outcome.code}`}`;
    report.counts[name] = (report.counts[name] ?? 0) + 1;
    if (outcome.code === 'store_away') throw new Unclear();
    let verdict: true | 'unclear' | Outcome[] | string;
    try {
      verdict = this.#model.accepts(operation, outcome, { from, to }, leaseEnds, waited);
    } catch (error) {
      verdict = (error as Error).message;
    }
    if (verdict === 'unclear') throw new Unclear();
    const line = JSON.stringify({ at: [from, to], operation, outcome, ...(waited ? { waited } : {}) });
    if (verdict === true) {
      this.#trail.push(line);
      if (this.#trail.length > 3000) this.#trail.splice(0, 1000);
      return;
    }
    const names = [
      ...JSON.stringify([operation, outcome, verdict]).matchAll(/"((?:[ckw]\d?-|[0-9a-f]{16})[^"]*)"/g),
    ].map(([, one = '']) => one);
    const before = this.#trail.filter((text) => names.some((one) => text.includes(`"${one}"`))).slice(-SHOWN_BEFORE);
    const divergence = { seed, rules, lane, operation: JSON.parse(line), expected: verdict, got: outcome, before };
    report.divergences.push(divergence);
    this.#options.onProgress(JSON.stringify(divergence, undefined, 2));
    throw new Diverged();
  }

  async #send(operation: Operation, api: Api, wait: number): Promise<Asked> {
    const from = Date.now();
    const answer = await this.#request(operation, api, wait);
    const to = Date.now();
    if (operation.do === 'expect') this.#announcements.push(String(answer.body?.['id']));
    if (answer.ms > SLOW_MS + wait * 1000) await delay(AWAY_LAG_MS);
    if (this.#options.world.wasAwaySince(from - AWAY_LAG_MS)) throw new Unclear();
    const { status, body } = answer;
    const claim = body?.['claim'] as { id: string; deliveries: number; lease_expires_at: string } | null | undefined;
    const outcome: Outcome = {
      status,
      ...(typeof body?.['code'] === 'string' ? { code: body['code'] } : {}),
      ...(body?.['value'] === undefined ? {} : { value: String(body['value']) }),
      ...(body?.['distinct'] === undefined ? {} : { distinct: Number(body['distinct']) }),
      ...(claim === undefined ? {} : { holder: claim?.id ?? null }),
      ...(body?.['claim_id'] === undefined ? {} : { holder: String(body['claim_id']) }),
      ...(claim?.deliveries === undefined ? {} : { deliveries: claim.deliveries }),
    };
    return { outcome, leaseEnds: Date.parse(claim?.lease_expires_at ?? ''), from, to };
  }

  #request(operation: Operation, api: Api, wait: number): Promise<Answer> {
    const merchant = this.#merchant;
    const selector = ({ by, is, kind }: Query): Record<string, string> => ({
      ...(by === undefined ? {} : { [by]: is as string }),
      ...(kind === undefined ? {} : { kind }),
    });
    switch (operation.do) {
      case 'post':
        return api.post({ [operation.kind]: operation.value, ...operation.correlators }, `/${merchant}`);
      case 'read':
        return api.read({ merchant, ...selector(operation.query), ...(wait === 0 ? {} : { wait }) });
      case 'claim': {
        const { id, query, lease, renew } = operation;
        return api.claim(id, {
          merchant,
          ...selector(query),
          lease,
          ...(wait === 0 ? {} : { wait }),
          ...(renew && { renew }),
        });
      }
      case 'use':
        return api.used(operation.id, merchant);
      case 'release':
        return api.release(operation.id, merchant);
      case 'use token':
        return api.use(tokenId(merchant, operation.kind, operation.value), merchant);
      case 'expect':
        return api.expect({ merchant, ttl: operation.ttl, ...selector(operation.query), kind: operation.kind });
      case 'cancel':
        return api.cancel(this.#announcements[operation.number] ?? 'never', merchant);
    }
  }

  #newValue(): string {
    return [0, 0]
      .map(() =>
        this.#random
          .below(2 ** 32)
          .toString(16)
          .padStart(8, '0'),
      )
      .join('');
  }

  #anyApi(): Api {
    return this.#random.pick(this.#options.world.instances).api;
  }
}
