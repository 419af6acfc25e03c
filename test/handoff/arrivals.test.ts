/**
 * Reads that an announcement answers, over a real Redis, with lost, doubled and late announcements.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseStoreUrl } from '../../src/config/store-url.ts';
import { type Handed, Handoff } from '../../src/handoff/handoff.ts';
import { Waiters } from '../../src/handoff/waiters.ts';
import { Wakeups } from '../../src/handoff/wakeups.ts';
import type { Expiry, Hint, ReadAnswer } from '../../src/store/contract.ts';
import { EncryptedStore, ValueCipher } from '../../src/store/encrypted.ts';
import { RedisStore } from '../../src/store/redis/redis-store.ts';
import { KINDS, type Kind, type NewToken, type TokenQuery, type TokenRecord, tokenId } from '../../src/token.ts';
import { ticks } from '../support/counter.ts';
import { latch } from '../support/latch.ts';
import { Random } from '../support/random.ts';
import { type SharedRedis, shareRedis } from '../support/redis.ts';
import { SteppedStore } from '../support/stepped-store.ts';
import { scaled } from '../support/time-scale.ts';
import { until } from '../support/until.ts';

const LONG_MS = 600_000;
const KEY = randomBytes(32);

let redis: SharedRedis;
beforeAll(async () => {
  redis = await shareRedis();
});
afterAll(() => redis?.stop());

interface InstanceOptions {
  merchant: string;
  keys?: Buffer[];
  ttlMs?: number;
  onConflict?: 'newest' | 'refuse';
}

/** The reading part of an instance. The test controls its hints. */
class Instance {
  readonly store: ReadingStore;
  readonly expiries: Expiry[] = [];
  readonly #waiters = new Waiters({ max: 1000 });
  readonly #wakeups = new Wakeups(this.#waiters);
  readonly #handoff: Handoff;

  private constructor({ merchant, keys = [KEY], ttlMs = LONG_MS, onConflict = 'newest' }: InstanceOptions) {
    const cipher = new ValueCipher(keys);
    const options = { merchants: [merchant], ttlMs, accept: 'any', maxUnexpected: 10 } as const;
    const { openable } = cipher;
    const address = parseStoreUrl(redis.url);
    const shared = new RedisStore({ address, ...options, openable, deadlineMs: scaled(5000) });
    this.store = new ReadingStore(new EncryptedStore(shared, cipher));
    this.#handoff = new Handoff({ store: this.store, waiters: this.#waiters, onConflict });
  }

  static async open(options: InstanceOptions): Promise<Instance> {
    const instance = new Instance(options);
    await instance.store.open({
      onHint: (hint) => instance.#wakeups.onHint(hint),
      onGap: () => instance.#wakeups.onGap(),
      onExpiry: (expiry) => instance.expiries.push(expiry),
      onNotice: () => {},
    });
    instance.#wakeups.start(instance.store, 20);
    const none = recordOf(tokenFor(options.merchant, 'none'));
    await until('announcements answer reads', () => instance.store.readArrival(none));
    instance.store.fromArrivals = 0;
    return instance;
  }

  read(query: TokenQuery, signal: AbortSignal = new AbortController().signal): Promise<Handed> {
    return this.#handoff.read(query, { waitMs: LONG_MS, signal });
  }

  async close(): Promise<void> {
    this.#waiters.drain();
    this.#wakeups.stop();
    await this.store.close();
  }
}

class ReadingStore extends SteppedStore {
  /** How often an announcement answered a read. */
  fromArrivals = 0;
  /** Reads of the store itself that ended. */
  reads = 0;

  override async read(query: TokenQuery): Promise<ReadAnswer> {
    const answer = await super.read(query);
    this.reads += 1;
    return answer;
  }

  override readArrival(arrival: TokenRecord): ReadAnswer | undefined {
    const answer = super.readArrival(arrival);
    if (answer !== undefined) this.fromArrivals += 1;
    return answer;
  }
}

function tokenFor(merchant: string, sid: string, kind: Kind = 'seid'): NewToken {
  const value = randomUUID();
  return { id: tokenId(merchant, kind, value), merchant, kind, value, correlators: { sid }, pooled: false };
}

function recordOf(token: NewToken): TokenRecord {
  return { ...token, receivedAt: 0, expiresAt: 0 };
}

let merchant: string;
let opened: Instance[];
beforeEach(() => {
  merchant = randomUUID();
  opened = [];
});
afterEach(async () => {
  for (const instance of opened) await instance.close();
});

async function open(options: Omit<InstanceOptions, 'merchant'> = {}): Promise<Instance> {
  const instance = await Instance.open({ merchant, ...options });
  opened.push(instance);
  return instance;
}

describe('a read that waits', () => {
  const bySid = (is: string, kind?: Kind): TokenQuery => ({ merchant, by: 'sid', is, ...(kind && { kind }) });

  /** Begins a read, and resolves when it sleeps. */
  async function waitAt(instance: Instance, query: TokenQuery): Promise<{ handed: Promise<Handed> }> {
    const { reads } = instance.store;
    const handed = instance.read(query);
    await until('it has read', () => instance.store.reads > reads);
    await ticks(2);
    return { handed };
  }

  it('gets from the announcement the answer of a read', async () => {
    const [here, there] = [await open(), await open()];
    await here.store.put(tokenFor(merchant, 'before'));
    const { handed } = await waitAt(there, bySid('x'));
    const { reads } = there.store;
    const token = { ...tokenFor(merchant, 'x'), correlators: { sid: 'x', order_id: 'edição 7' } };
    await here.store.put(token);
    const given = await handed;
    expect(there.store.reads).toBe(reads);
    expect(there.store.fromArrivals).toBe(1);
    const read = await there.store.read(bySid('x'));
    expect(given).toEqual({ outcome: 'token', token: read.state === 'live' && read.token, distinct: 1, claim: null });
    expect(given).toMatchObject({ token: { value: token.value } });
  });

  it('gives nothing to a client that left during the read, even if the announcement came', async () => {
    const [here, there] = [await open(), await open()];
    const [reading, goOn] = [latch(), latch()];
    there.store.onPoint = async (point) => {
      if (point !== 'read ends') return;
      reading.open();
      await goOn.opened;
    };
    const client = new AbortController();
    const handed = there.read(bySid('x'), client.signal);
    await reading.opened;
    const announced = new Promise<void>((resolve) => {
      there.store.onHint = (hint, deliver) => {
        deliver(hint);
        resolve();
      };
    });
    await here.store.put(tokenFor(merchant, 'x'));
    await announced;
    client.abort();
    goOn.open();
    expect(await handed).toEqual({ outcome: 'disconnected' });
    expect(there.store.fromArrivals).toBe(0);
  });

  it('asks the store when the announcement is of another kind, or of one of several tokens', async () => {
    const [here, there] = [await open(), await open()];
    const { handed } = await waitAt(there, bySid('x', 'nit'));
    await here.store.put(tokenFor(merchant, 'x', 'seid'));
    await here.store.put(tokenFor(merchant, 'x', 'nit'));
    expect(await handed).toMatchObject({ outcome: 'token', token: { kind: 'nit' } });
    expect(there.store.fromArrivals).toBe(0);
  });

  it('asks the store when this instance lacks the key', async () => {
    const [here, there] = [await open(), await open({ keys: [randomBytes(32)] })];
    const { handed } = await waitAt(there, bySid('x'));
    await here.store.put(tokenFor(merchant, 'x'));
    await here.store.put({ ...tokenFor(merchant, 'x'), kind: 'nit' });
    const { reads } = there.store;
    await until('it has read again', () => there.store.reads > reads);
    expect(there.store.fromArrivals).toBe(0);
    await there.store.put(tokenFor(merchant, 'x', 'token'));
    expect(await handed).toMatchObject({ outcome: 'token', token: { kind: 'token' } });
  });

  it('is not answered by an announcement of a token that was used before the read', async () => {
    const [here, there] = [await open(), await open()];
    const late: (() => void)[] = [];
    there.store.onHint = (hint, deliver) => void late.push(() => deliver(hint));
    const token = tokenFor(merchant, 'x');
    await here.store.put(token);
    await here.store.use(merchant, token.id);
    await until('the announcement is on its way', () => late.length > 0);
    const { handed } = await waitAt(there, bySid('x'));
    for (const deliver of late.splice(0)) deliver();
    await here.store.put(tokenFor(merchant, 'x'));
    await until('the next announcement is on its way', () => late.length > 0);
    for (const deliver of late.splice(0)) deliver();
    const given = await handed;
    expect(given.outcome === 'token' && given.token.id).not.toBe(token.id);
    expect(given.outcome).toBe('token');
  });

  it('leaves no orphan behind', async () => {
    const [here, there] = [await open({ ttlMs: 1000 }), await open({ ttlMs: 1000 })];
    const { handed } = await waitAt(there, bySid('x'));
    await here.store.put(tokenFor(merchant, 'x'));
    await here.store.put(tokenFor(merchant, 'unread'));
    expect(await handed).toMatchObject({ outcome: 'token' });
    expect(there.store.fromArrivals).toBe(1);
    const orphans = () => [...here.expiries, ...there.expiries];
    await until('the other one is reported', () => orphans().length > 0);
    expect(orphans()).toHaveLength(1);
  });
});

/** Announcements that are lost, doubled, late and out of order. */
function spoil(instance: Instance, random: Random): { heal(): void } {
  const held: { hint: Hint; deliver: (hint: Hint) => void }[] = [];
  const deliverSome = (count: number): void => {
    for (let at = 0; at < count && held.length > 0; at++) {
      const [late] = held.splice(random.below(held.length), 1);
      late?.deliver(late.hint);
    }
  };
  instance.store.onHint = (hint, deliver) => {
    const fate = random.below(10);
    if (fate < 2) return;
    if (fate < 6) deliver(hint);
    if (fate > 4) held.push({ hint, deliver });
    deliverSome(random.below(3));
  };
  return {
    heal() {
      instance.store.onHint = (hint, deliver) => deliver(hint);
      deliverSome(held.length);
    },
  };
}

describe('reads that an announcement answers', () => {
  const SEEDS = 12;
  const KEYS = 40;

  it.each(Array.from({ length: SEEDS }, (_, at) => at + 1))('keep the promises of reads, seed %i', async (seed) => {
    const random = new Random(seed);
    const onConflict = seed % 2 === 0 ? 'refuse' : 'newest';
    const [here, there] = [await open({ onConflict }), await open({ onConflict })];
    const spoilt = [spoil(here, random), spoil(there, random)];
    let step = 0;
    const violations: string[] = [];

    async function play(key: string): Promise<void> {
      const query: TokenQuery = { merchant, by: 'sid', is: key };
      const client = new AbortController();
      /** When each token was sent and kept, and when its use was sent and known. */
      const tokens = new Map<string, { kind: Kind; sent: number; kept: number; useSent: number; used: number }>();
      const never = Number.POSITIVE_INFINITY;
      const reading: Promise<void>[] = [];
      /** Of any kind. */
      let openReads = 0;

      async function read(): Promise<void> {
        const kind = random.below(2) === 0 ? undefined : random.pick(KINDS);
        const begun = ++step;
        openReads += kind === undefined ? 1 : 0;
        const at = random.pick([here, there]) as Instance;
        const handed = await at.read({ ...query, ...(kind && { kind }) }, client.signal);
        const ended = ++step;
        openReads -= kind === undefined ? 1 : 0;
        if (handed.outcome === 'conflict' && onConflict === 'newest') violations.push(`${key}: a conflict`);
        if (handed.outcome !== 'token') return;
        const { token, distinct } = handed;
        const of = tokens.get(token.id);
        if (of === undefined || token.correlators.sid !== key) violations.push(`${key}: got another's token`);
        else if (of.used < begun)
          violations.push(`${key}: was used at ${of.used}, and given to a read begun at ${begun}`);
        else if (of.sent > ended) violations.push(`${key}: given before it was posted`);
        else if (kind !== undefined && of.kind !== kind) violations.push(`${key}: ${of.kind} given for ${kind}`);
        // The answer came after these were kept and before they were used.
        const since = Math.max(begun, of?.sent ?? 0);
        const surely = [...tokens.values()].filter(
          (one) => one.kept < since && one.useSent > ended && (kind ?? one.kind) === one.kind,
        );
        if (distinct < surely.length)
          violations.push(`${key}: ${distinct} of ${surely.length} different tokens counted`);
      }

      async function put(): Promise<void> {
        const token = tokenFor(merchant, key, random.pick(KINDS));
        const of = { kind: token.kind, sent: ++step, kept: never, useSent: never, used: never };
        tokens.set(token.id, of);
        await random.pick([here, there])?.store.put(token);
        of.kept = ++step;
        if (random.below(3) === 0) return;
        await ticks(random.below(20));
        of.useSent = ++step;
        await random.pick([here, there])?.store.use(merchant, token.id);
        of.used = ++step;
        reading.push(read());
        if (random.below(2) === 0) await random.pick([here, there])?.store.put(token);
      }

      reading.push(read());
      for (let turn = random.below(4) + 2; turn > 0; turn--) {
        await ticks(random.below(200));
        if (random.below(2) === 0) reading.push(read());
        else await put();
      }
      // A token that nobody uses: reads without a kind get an answer, even if its announcement is
      // lost.
      const last = tokenFor(merchant, key);
      tokens.set(last.id, { kind: last.kind, sent: ++step, kept: never, useSent: never, used: never });
      await random.pick([here, there])?.store.put(last);
      await until(`whoever reads ${key} is answered`, () => openReads === 0);
      client.abort();
      await Promise.all(reading);
    }

    await Promise.all(Array.from({ length: KEYS }, (_, at) => play(`${seed}-${at}`)));
    for (const { heal } of spoilt) heal();
    expect(violations).toEqual([]);
  });
});
