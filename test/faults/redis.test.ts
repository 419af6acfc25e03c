/**
 * Every failure of Redis, from outside: Carat gets 200, a worker of the same instance gets the new
 * tokens, one of another instance gets them once Redis is back, and no token is handed out twice.
 */
import { randomBytes } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Instance } from '../support/instance.ts';
import { freePort, LOOPBACK } from '../support/ports.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { scaled } from '../support/time-scale.ts';
import { until } from '../support/until.ts';
import { untilKnown } from '../support/worker-api.ts';

/** The contract says one second. A busy machine with many servers gets more. */
const CARAT_MS = scaled(5000);
const value = (): string => randomBytes(32).toString('hex');

interface Stage {
  redis: RedisServer;
  proxy: TcpProxy;
  /** Two instances over one Redis: the first one's way to it is the proxy. */
  a: Instance;
  b: Instance;
}

interface Fault {
  name: string;
  begin(stage: Stage): Promise<unknown>;
  end(stage: Stage): Promise<unknown>;
  /** True if Redis is away for the other instance, too. */
  forAll?: boolean;
  config?: Record<string, string>;
}

const configure =
  (...pairs: string[]) =>
  ({ redis }: Stage) =>
    redis.command('CONFIG', 'SET', ...pairs);
const pass = ({ proxy }: Stage) => proxy.mode({ kind: 'pass' });

/** The restart of the one server that is loading. */
let loaded: Promise<void> | undefined;

const FAULTS: Fault[] = [
  {
    name: 'refused',
    async begin({ proxy }) {
      await proxy.mode({ kind: 'refuse' });
      proxy.cut();
    },
    end: pass,
  },
  { name: 'killed', begin: ({ redis }) => redis.kill(), end: ({ redis }) => redis.restart(), forAll: true },
  { name: 'hung', begin: async ({ redis }) => redis.hang(), end: async ({ redis }) => redis.resume(), forAll: true },
  { name: 'black-holed', begin: ({ proxy }) => proxy.mode({ kind: 'blackhole', direction: 'both' }), end: pass },
  { name: 'deaf', begin: ({ proxy }) => proxy.mode({ kind: 'blackhole', direction: 'to server' }), end: pass },
  { name: 'mute', begin: ({ proxy }) => proxy.mode({ kind: 'blackhole', direction: 'to client' }), end: pass },
  {
    name: 'slow',
    begin: ({ proxy }) => proxy.mode({ kind: 'slow', toServer: scaled(400), toClient: scaled(400) }),
    end: pass,
  },
  {
    name: 'READONLY',
    begin: ({ redis }) => redis.command('REPLICAOF', LOOPBACK, '1'),
    end: ({ redis }) => redis.command('REPLICAOF', 'NO', 'ONE'),
    forAll: true,
  },
  {
    name: 'short of replicas',
    begin: configure('min-replicas-to-write', '1'),
    end: configure('min-replicas-to-write', '0'),
    forAll: true,
  },
  { name: 'OOM', begin: configure('maxmemory', '1'), end: configure('maxmemory', '0'), forAll: true },
  {
    name: 'MISCONF',
    async begin({ redis }) {
      const [, folder] = (await redis.command('CONFIG', 'GET', 'dir')) as [string, string];
      await redis.command('CONFIG', 'SET', 'save', '3600 1');
      // A folder replaces the file.
      await mkdir(join(folder, 'dump.rdb', 'in-the-way'), { recursive: true });
      await redis.command('BGSAVE').catch(() => undefined);
      await until(
        'the save has failed',
        async () => (await redis.info('persistence')).get('rdb_last_bgsave_status') === 'err',
      );
    },
    end: configure('stop-writes-on-bgsave-error', 'no'),
    forAll: true,
    config: { appendonly: 'no' },
  },
  {
    name: 'BUSY',
    async begin({ redis }) {
      await redis.command('CONFIG', 'SET', 'busy-reply-threshold', '50');
      void redis.command('EVAL', 'while true do end', '0').catch(() => undefined);
      await until('Redis is busy', () => refusesWith('BUSY', redis));
    },
    end: ({ redis }) => redis.command('SCRIPT', 'KILL'),
    forAll: true,
  },
  {
    name: 'LOADING',
    async begin({ redis }) {
      // What takes long is what was there before; what came since is behind it.
      await redis.command('DEBUG', 'POPULATE', '20000');
      await redis.command('BGREWRITEAOF');
      await until('the rewrite is done', async () => {
        const persistence = await redis.info('persistence');
        return persistence.get('aof_rewrite_in_progress') === '0' && Number(persistence.get('aof_base_size')) > 100_000;
      });
      await redis.kill();
      loaded = redis.restart();
      await until('Redis is loading', () => refusesWith('LOADING', redis));
    },
    async end({ redis }) {
      expect(await refusesWith('LOADING', redis)).toBe(true);
      await redis.command('CONFIG', 'SET', 'key-load-delay', '0');
      await loaded;
    },
    forAll: true,
    // Half a millisecond for each key: ten seconds in all on an idle machine. It answers during
    // that time.
    config: {
      'enable-debug-command': 'yes',
      'key-load-delay': String(scaled(500)),
      'loading-process-events-interval-bytes': '1024',
    },
  },
];

function refusesWith(code: string, redis: RedisServer): Promise<boolean> {
  return redis.command('PING').then(
    () => false,
    (error) => `${error}`.includes(code),
  );
}

describe.concurrent.each(FAULTS)('Redis: $name', (fault) => {
  let stage: Stage;
  beforeAll(async () => {
    const redis = await startRedis({ config: fault.config ?? {} });
    const proxy = await startProxy({ host: redis.host, port: redis.port });
    const a = await Instance.start(`redis://${LOOPBACK}:${proxy.port}`);
    const b = await Instance.start(redis.url);
    stage = { redis, proxy, a, b };
  });
  afterAll(async () => {
    await stage?.a.stop();
    await stage?.b.stop();
    await stage?.proxy.stop();
    await stage?.redis.stop();
  });

  it('answers Carat, keeps each token, and hands it out once', async () => {
    const { a, b } = stage;
    await a.settled();
    const before = value();
    expect((await a.post({ seid: before, merchant_data: 'before' })).status).toBe(200);
    // On a busy machine, Redis may have missed its deadline. Then a token that it certainly did not
    // receive could be claimed locally.
    await a.settled();
    await fault.begin(stage);

    // The first post detects the failure. It is in doubt unless Redis refused it.
    const [first, elsewhere] = [value(), value()];
    const answers = [await a.post({ seid: first, merchant_data: 'first' })];
    expect(await a.read({ merchant_data: 'first', wait: 5 })).toMatchObject({ status: 200, body: { value: first } });
    await until('the instance knows', async () => (await a.ready()).store['state'] === 'away');
    expect(await a.ready()).toMatchObject({ status: 200, fallback: { state: 'serving', disk: 'ok' } });
    expect(a.told('store_away')).toBeGreaterThan(0);
    expect(await a.metric('troubles_total', '"store_away"')).toBeGreaterThan(0);

    // A worker that waits at the same instance gets its token at once; one at the other once Redis is back.
    const waiting = a.claim('same', { kind: 'token', wait: 10 });
    const waitingElsewhere = b.read({ merchant_data: 'elsewhere', wait: 50 });
    const pooled = [value(), value(), value()];
    for (const token of pooled) answers.push(await a.post({ token }));
    answers.push(await a.post({ seid: elsewhere, merchant_data: 'elsewhere' }));
    answers.push(await a.post({ seid: elsewhere, merchant_data: 'elsewhere' }));
    expect(await waiting).toMatchObject({ status: 200, body: { value: pooled[0], claim: { deliveries: 1 } } });
    expect((await a.used('same')).status).toBe(204);
    expect(await a.claim('held', { kind: 'token', lease: 600 })).toMatchObject({
      status: 200,
      body: { value: pooled[1] },
    });
    if (fault.forAll) expect((await b.read({ merchant_data: 'first' })).status).not.toBe(200);
    // Only Redis can know the answer: no request gets "none".
    expect((await a.claim('other', { merchant_data: 'before' })).status).toBe(503);
    for (const { status, text, ms } of answers) {
      expect({ status, text }).toEqual({ status: 200, text: 'OK' });
      expect(ms).toBeLessThan(CARAT_MS);
    }

    await fault.end(stage);
    await a.settled();
    await b.settled();
    expect(a.told('store_back')).toBeGreaterThan(0);
    expect(await waitingElsewhere).toMatchObject({ status: 200, body: { value: elsewhere } });
    expect(await untilKnown(() => b.read({ merchant_data: 'first' }))).toMatchObject({ body: { value: first } });
    const late = await untilKnown(() => b.claim('late', { merchant_data: 'before' }));
    expect(late).toMatchObject({ body: { value: before } });
    // Uses and claims stay, and the rest is handed out once.
    const next = await untilKnown(() => b.claim('next', { kind: 'token' }));
    expect(next).toMatchObject({ status: 200, body: { value: pooled[2] } });
    const expectNoneAt = async (instance: Instance): Promise<void> => {
      expect((await untilKnown(() => instance.claim('none', { kind: 'token' }))).status).toBe(204);
    };
    await expectNoneAt(b);
    await expectNoneAt(a);
    for (const instance of [a, b]) {
      await instance.post({ token: pooled[0] as string });
      await instance.settled();
    }
    await expectNoneAt(b);
    // The other instance has the claim that was given in that time.
    expect((await untilKnown(() => b.used('held'))).status).toBe(204);
    expect((await untilKnown(() => b.used('same'))).status).toBe(204);
  });
});

describe.concurrent('Redis', () => {
  it('down at the start: the service starts, and sends the tokens later', async () => {
    const redis = await startRedis();
    await redis.kill();
    const a = await Instance.start(redis.url);
    try {
      // One line for each reason, by each connection at most.
      expect(a.told('redis_unreachable')).toBeGreaterThan(0);
      expect(a.told('redis_unreachable')).toBeLessThan(5);
      const [seid, token] = [value(), value()];
      expect(await a.post({ seid, merchant_data: 'x' })).toMatchObject({ status: 200, text: 'OK' });
      expect((await a.post({ token })).status).toBe(200);
      expect(await a.claim('c', { merchant_data: 'x' })).toMatchObject({ status: 200, body: { value: seid } });
      await redis.restart();
      await a.settled();
      expect((await untilKnown(() => a.claim('d', { merchant_data: 'x' }))).status).toBe(409);
      expect(await untilKnown(() => a.claim('e', { kind: 'token' }))).toMatchObject({ body: { value: token } });
    } finally {
      await a.stop();
      await redis.stop();
    }
  });

  it('with a name that does not resolve: logs one clear line, and keeps the tokens locally', async () => {
    const a = await Instance.start('redis://:secret@no-such-host.invalid:6379');
    try {
      const seid = value();
      expect((await a.post({ seid, merchant_data: 'x' })).status).toBe(200);
      expect(await a.read({ merchant_data: 'x' })).toMatchObject({ status: 200, body: { value: seid } });
      const lines = a.log.filter(({ code }) => code === 'redis_unreachable');
      expect(lines[0]?.msg).toContain('redis://no-such-host.invalid:6379');
      expect(JSON.stringify(a.log)).not.toContain('secret');
    } finally {
      await a.stop();
    }
  });

  it('with a closed port, a wrong password or a missing database: logs one line each, without the password', async () => {
    const redis = await startRedis({ config: { requirepass: 'right' } });
    const nobody = await freePort();
    const address = `${redis.host}:${redis.port}`;
    const wrong = [
      {
        url: `redis://:s3cret@${LOOPBACK}:${nobody}`,
        code: 'redis_unreachable',
        shown: `redis://${LOOPBACK}:${nobody}`,
        says: /ECONNREFUSED/,
      },
      { url: `redis://:s3cret@${address}`, code: 'redis_unreachable', shown: `redis://${address}`, says: /WRONGPASS/ },
      { url: `redis://${address}`, code: 'redis_unreachable', shown: `redis://${address}`, says: /NOAUTH/ },
      {
        url: `redis://:right@${address}/99`,
        code: 'redis_no_database',
        shown: `redis://${address}/99`,
        says: /no database/,
      },
    ];
    try {
      for (const { url, code: expected, shown, says } of wrong) {
        const a = await Instance.start(url);
        await until('it says so', () => a.told(expected) > 0);
        expect((await a.post({ seid: value(), merchant_data: 'x' })).status).toBe(200);
        const lines = a.log.filter(({ code }) => code === expected);
        expect(lines.some(({ msg }) => msg.includes(shown) && says.test(msg))).toBe(true);
        expect(JSON.stringify(a.log)).not.toMatch(/s3cret|:right@/);
        await a.stop();
      }
    } finally {
      await redis.stop();
    }
  });

  it('with a rotated password: keeps the tokens, and sends them once the password is right again', async () => {
    const redis = await startRedis({ config: { requirepass: 'old' } });
    const a = await Instance.start(redis.url);
    try {
      await a.settled();
      await redis.command('CONFIG', 'SET', 'requirepass', 'new');
      await a.post({ token: value() }).catch(() => undefined);
      // Connections that exist go on; a new one is refused.
      const admin = new Redis({ host: redis.host, port: redis.port, password: 'new' });
      await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
      const token = value();
      await until('the instance knows', async () => {
        expect((await a.post({ token })).status).toBe(200);
        return (await a.ready()).store['state'] === 'away';
      });
      await admin.config('SET', 'requirepass', 'old');
      admin.disconnect();
      await a.settled();
      const claim = (id: string) => untilKnown(() => a.claim(id, { kind: 'token' }));
      const got = [await claim('c1'), await claim('c2')];
      expect(got.map(({ body }) => body?.['value'])).toContain(token);
    } finally {
      await a.stop();
      await redis.stop();
    }
  });

  it('without its scripts: loses nothing', async () => {
    const redis = await startRedis();
    const a = await Instance.start(redis.url);
    try {
      await a.settled();
      const [first, second] = [value(), value()];
      await a.post({ token: first });
      await redis.command('SCRIPT', 'FLUSH');
      await a.post({ token: second });
      expect(a.told('store_away')).toBe(0);
      const claims = [await a.claim('c1', { kind: 'token' }), await a.claim('c2', { kind: 'token' })];
      expect(claims.map(({ body }) => body?.['value'])).toEqual([first, second]);
    } finally {
      await a.stop();
      await redis.stop();
    }
  });

  it('up and down every second: answers 200 each time, and hands out every token once', async () => {
    const redis = await startRedis();
    const a = await Instance.start(redis.url);
    const b = await Instance.start(redis.url);
    try {
      await a.settled();
      const posted: string[] = [];
      const slowest: number[] = [];
      const flapping = (async () => {
        for (let round = 0; round < 5; round++) {
          for (const step of ['hang', 'resume'] as const) {
            redis[step]();
            const next = performance.now() + 500;
            await until('the next step', () => performance.now() > next);
          }
        }
      })();
      const over = flapping.then(() => true);
      for (let done = false; !done; done = await Promise.race([over, Promise.resolve(false)])) {
        const token = value();
        const { status, ms } = await (posted.length % 2 === 0 ? a : b).post({ token });
        expect(status).toBe(200);
        slowest.push(ms);
        posted.push(token);
        await until('a moment has passed', () => true);
      }
      expect(Math.max(...slowest)).toBeLessThan(CARAT_MS);
      await a.settled();
      await b.settled();
      const given: unknown[] = [];
      for (let at = 0; at <= posted.length; at++) {
        const instance = at % 2 === 0 ? a : b;
        const answer = await untilKnown(() => instance.claim(`c${at}`, { kind: 'token', lease: 600 }));
        if (answer.status === 200) given.push(answer.body?.['value']);
      }
      expect(given.length).toBe(posted.length);
      expect(new Set(given)).toEqual(new Set(posted));
    } finally {
      await a.stop();
      await b.stop();
      await redis.stop();
    }
  });
});
