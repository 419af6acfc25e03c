/**
 * Claims with faults: a lost answer of Redis, a cut-off instance, a Redis that comes back empty.
 */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Instance } from '../support/instance.ts';
import { LOOPBACK } from '../support/ports.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { until } from '../support/until.ts';
import { type Answer, untilKnown } from '../support/worker-api.ts';

const value = (): string => randomBytes(32).toString('hex');

describe('two instances', () => {
  let redis: RedisServer;
  /** The proxy of each instance to Redis. */
  let ways: { a: TcpProxy; b: TcpProxy };
  let a: Instance;
  let b: Instance;
  beforeEach(async () => {
    redis = await startRedis();
    ways = {
      a: await startProxy({ host: redis.host, port: redis.port }),
      b: await startProxy({ host: redis.host, port: redis.port }),
    };
    a = await Instance.start(`redis://${LOOPBACK}:${ways.a.port}`);
    b = await Instance.start(`redis://${LOOPBACK}:${ways.b.port}`);
    await a.settled();
    await b.settled();
    // Each has a mark in Redis, renewed every second: then both have seen that of the other.
    const marks = async (): Promise<number[]> =>
      ((await redis.command('HVALS', 'carat:{default}:w')) as string[]).map((mark) => Number(mark.split(' ')[1]));
    const first = Math.max(...(await marks()));
    await until('they know each other', async () => (await marks()).every((at) => at > first));
  });
  afterEach(async () => {
    await a.stop();
    await b.stop();
    await ways.a.stop();
    await ways.b.stop();
    await redis.stop();
  });

  async function cutOff(instance: Instance, way: TcpProxy): Promise<void> {
    await way.mode({ kind: 'refuse' });
    way.cut();
    await until('the instance knows', async () => (await instance.ready()).store['state'] === 'away');
  }
  const reconnect = (way: TcpProxy): Promise<void> => way.mode({ kind: 'pass' });

  it('serve no claim id locally while Redis may have given it a token', async () => {
    const [there, here] = [value(), value()];
    await b.post({ token: there });
    await ways.a.mode({ kind: 'blackhole', direction: 'to client' });
    // Redis takes a token for c, and its answer is lost.
    expect((await a.claim('c', { kind: 'token' })).status).toBe(503);
    await until('Redis has taken it', async () => (await redis.command('EXISTS', 'carat:{default}:c:c')) === 1);
    await a.post({ token: here });
    const waiting = a.claim('c', { kind: 'token', wait: 20 });
    expect((await a.claim('c', { kind: 'token' })).status).toBe(503);
    expect((await a.used('c')).status).toBe(503);
    // Claims in doubt do not block the others.
    expect(await a.claim('d', { kind: 'token', wait: 5 })).toMatchObject({ status: 200, body: { value: here } });
    await reconnect(ways.a);
    expect(await waiting).toMatchObject({ status: 200, body: { value: there } });
    expect((await untilKnown(() => b.used('c'))).status).toBe(204);
    expect((await untilKnown(() => b.used('d'))).status).toBe(204);
    expect((await untilKnown(() => b.claim('e', { kind: 'token' }))).status).toBe(204);
  }, 60_000);

  it('put back a token that Redis gave to a claim whose answer was lost', async () => {
    const token = value();
    await b.post({ token });
    await ways.a.mode({ kind: 'blackhole', direction: 'to client' });
    expect((await a.claim('c', { kind: 'token', lease: 600 })).status).toBe(503);
    await reconnect(ways.a);
    await a.settled();
    const next = await until('the token is free', async () => {
      const answer = await untilKnown(() => b.claim('d', { kind: 'token' }));
      return answer.status === 200 && answer;
    });
    expect(next).toMatchObject({ body: { value: token, claim: { deliveries: 1 } } });
  }, 60_000);

  it('answer store_away for a claim that only a cut-off instance knows', async () => {
    await cutOff(a, ways.a);
    await a.post({ token: value() });
    await a.post({ seid: value(), merchant_data: 'x' });
    expect((await a.claim('used', { kind: 'token', lease: 600 })).status).toBe(200);
    expect((await a.claim('released', { merchant_data: 'x', lease: 600 })).status).toBe(200);
    const { body } = await a.read({ merchant_data: 'x' });
    const id = String(body?.['id']);
    for (const answer of [await b.used('used'), await b.release('released'), await b.use(id)]) {
      expect(answer).toMatchObject({ status: 503, body: { code: 'store_away' } });
    }
    await reconnect(ways.a);
    expect((await untilKnown(() => b.used('used'))).status).toBe(204);
    expect((await untilKnown(() => b.release('released'))).status).toBe(204);
    expect((await untilKnown(() => b.use(id))).status).toBe(204);
    await a.settled();
    expect((await untilKnown(() => b.used('nobody'))).status).toBe(404);
    expect((await untilKnown(() => b.use('0'.repeat(32)))).status).toBe(404);
  }, 60_000);

  it('settle locally only a claim that still holds its token', async () => {
    await cutOff(a, ways.a);
    await a.post({ token: value() });
    expect((await a.claim('c', { kind: 'token', lease: 1 })).status).toBe(200);
    // Its lease ends, and it takes a newer token through the other instance.
    await until('the lease is over', async () => (await a.claim('probe', { kind: 'token', lease: 1 })).status === 200);
    const newer = value();
    await b.post({ token: newer });
    expect(await b.claim('c', { kind: 'token', lease: 600 })).toMatchObject({ status: 200, body: { value: newer } });
    expect(await a.used('c')).toMatchObject({ status: 503, body: { code: 'store_away' } });
    await reconnect(ways.a);
    expect((await untilKnown(() => a.used('c'))).status).toBe(204);
    await a.settled();
    for (let at = 0; at < 2; at++) {
      const answer = await untilKnown(() => b.claim(`last-${at}`, { kind: 'token', wait: 2 }));
      expect(answer.body?.['value']).not.toBe(newer);
    }
  }, 60_000);

  const LOSSES: [string, () => Promise<void>][] = [
    ['restarts without data', () => redis.restartEmpty()],
    [
      'is away for a while and comes back without data',
      async () => {
        await redis.kill();
        await until('the instance knows', async () => (await a.ready()).store['state'] === 'away');
        await redis.restartEmpty();
      },
    ],
    ['loses its data without a new connection', async () => void (await redis.command('FLUSHALL'))],
  ];

  /** Ten tokens posted at a; five used at b, one held there. Returns the others. */
  async function useSome(): Promise<string[]> {
    const tokens = Array.from({ length: 10 }, value);
    for (const token of tokens) await a.post({ token });
    for (let at = 0; at < 5; at++) {
      expect((await untilKnown(() => b.claim(`u${at}`, { kind: 'token' }))).body).toMatchObject({ value: tokens[at] });
      expect((await untilKnown(() => b.used(`u${at}`))).status).toBe(204);
    }
    const held = await untilKnown(() => b.claim('held', { kind: 'token', lease: 600 }));
    expect(held).toMatchObject({ body: { value: tokens[5] } });
    return tokens.slice(6);
  }

  /** Claims until it has `count` tokens and no more come. */
  async function expectOnly(left: string[], instances: Instance[]): Promise<void> {
    const got: unknown[] = [];
    await until(
      'all are there again',
      async () => {
        for (const instance of instances) {
          const answer = await instance.claim(`g${randomBytes(4).toString('hex')}`, { kind: 'token', lease: 600 });
          if (answer.status === 200) got.push(answer.body?.['value']);
        }
        return got.length >= left.length;
      },
      20_000,
    );
    for (const instance of instances) await instance.settled();
    for (const instance of instances) {
      expect((await untilKnown(() => instance.claim('more', { kind: 'token' }))).status).toBe(204);
    }
    expect(got.toSorted()).toEqual(left.toSorted());
  }

  it.each(LOSSES)(
    'hand nothing out twice when Redis %s',
    async (_how, lose) => {
      const left = await useSome();
      await lose();
      await expectOnly(left, [a, b]);
      expect((await untilKnown(() => a.used('held'))).status).toBe(204);
    },
    60_000,
  );

  it.each(LOSSES)(
    'hand nothing out twice when Redis %s and the instance that used the tokens is stopped',
    async (_how, lose) => {
      const left = await useSome();
      await b.halt();
      await lose();
      await expectOnly(left, [a]);
      expect((await untilKnown(() => a.used('held'))).status).toBe(204);
    },
    60_000,
  );

  it('give a claim no other token than the one that it holds when Redis loses its data', async () => {
    const [first, second] = [value(), value()];
    await a.post({ token: first });
    const claim = (): Promise<Answer> => untilKnown(() => a.claim('holder', { kind: 'token', lease: 600 }));
    expect((await claim()).body).toMatchObject({ value: first });
    // Nobody knows of the loss yet, and Redis has only the new token.
    await redis.command('FLUSHALL');
    await a.post({ token: second });
    expect((await claim()).body).toMatchObject({ value: first });
    const free = await untilKnown(() => b.claim('other', { kind: 'token', wait: 10 }));
    expect(free.body).toMatchObject({ value: second });
    expect((await untilKnown(() => b.used('holder'))).status).toBe(204);
  });

  it('hand nothing out twice when one was cut off during the uses and reconnects first', async () => {
    const tokens = Array.from({ length: 3 }, value);
    for (const token of tokens) await a.post({ token });
    await cutOff(a, ways.a);
    expect((await untilKnown(() => b.claim('u', { kind: 'token' }))).body).toMatchObject({ value: tokens[0] });
    expect((await untilKnown(() => b.used('u'))).status).toBe(204);
    await ways.b.mode({ kind: 'stall', direction: 'both' });
    await redis.restartEmpty();
    await reconnect(ways.a);
    await until('the copies are being restored', async () => (await a.ready()).fallback['state'] === 'merging');
    expect((await a.claim('early', { kind: 'token' })).status).toBe(503);
    await reconnect(ways.b);
    ways.b.cut();
    await expectOnly(tokens.slice(1), [a, b]);
  }, 60_000);
});
