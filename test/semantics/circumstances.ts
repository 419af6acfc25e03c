/**
 * The table in other circumstances: options, keys, a full or stopping service, expired tokens,
 * Redis away.
 */
import { once } from 'node:events';
import { request } from 'node:http';
import { expect } from 'vitest';
import type { RunningService } from '../support/service.ts';
import { until } from '../support/until.ts';
import type { Row, Seen, Trial } from './trial.ts';

/** With `ON_CONFLICT=refuse`. */
export const conflicts: Record<string, Row> = {
  'conflict.read': async (t) => {
    await t.post();
    await t.post(2);
    return t.read();
  },
  'conflict.claim': async (t) => {
    await t.post();
    await t.post(2);
    return t.claim();
  },
  'conflict.same-value': async (t) => {
    await t.post();
    await t.post();
    return t.read();
  },
  'conflict.one-used': async (t) => {
    await t.post();
    await t.claim();
    await t.use();
    await t.post(2);
    return t.read();
  },
};

/** An expired token. */
async function expired(t: Trial): Promise<string> {
  await t.post();
  const { json } = await t.claim();
  await until('it expired', async () => (await t.use()).code === 'unknown_claim');
  return json.id;
}
/** An expired token that was used before. */
async function expiredUsed(t: Trial): Promise<void> {
  await t.post();
  await t.claim();
  await t.use();
  await until('it expired', async () => (await t.use()).code === 'unknown_claim');
}

/** With a short `TOKEN_TTL_SECONDS`. */
export const lifetimes: Record<string, Row> = {
  'expired.read': async (t) => {
    await expired(t);
    return t.read();
  },
  'expired.read-used': async (t) => {
    await expiredUsed(t);
    return t.read();
  },
  'expired.claim': async (t) => {
    await expired(t);
    return t.claim('two');
  },
  'expired.use': async (t) => {
    await expired(t);
    return t.use();
  },
  'expired.release': async (t) => {
    await expired(t);
    return t.release();
  },
  'expired.token': async (t) => t.useToken(await expired(t)),
  'expired.post': async (t) => {
    await expiredUsed(t);
    return t.post();
  },
};

const authorized = (t: Trial, path: string, authorization?: string): Promise<Seen> =>
  t.ask('GET', path, authorization === undefined ? {} : { headers: { authorization } });
const basic = (key: string): string => `Basic ${Buffer.from(`anybody:${key}`).toString('base64')}`;

/** With `WORKER_API_KEYS=a-key-for-all-of-them,default:a-key-limited-to-one`. */
export const keys: Record<string, Row> = {
  'key.missing': (t) => authorized(t, '/v1/tokens?sid=a'),
  'key.wrong': (t) => authorized(t, '/v1/tokens?sid=a', 'Bearer nobodys'),
  'key.bearer': (t) => authorized(t, '/v1/tokens?sid=a', 'Bearer a-key-for-all-of-them'),
  'key.basic': (t) => authorized(t, '/v1/tokens?sid=a', basic('a-key-for-all-of-them')),
  'key.own-merchant': (t) => authorized(t, '/v1/tokens?sid=a', 'Bearer a-key-limited-to-one'),
  'key.other-merchant': (t) => authorized(t, `/v1/tokens?sid=a&merchant=${t.merchant}`, 'Bearer a-key-limited-to-one'),
  'key.limited-metrics': (t) => authorized(t, '/metrics', 'Bearer a-key-limited-to-one'),
  'key.health': async (t) => {
    expect((await authorized(t, '/livez')).status).toBe(200);
    return authorized(t, '/readyz');
  },
};

/** Without keys. */
export const browsers: Record<string, Row> = {
  'host.foreign': (t) => asHost(t, 'carat.example:8081'),
  'host.loopback': (t) => asHost(t, 'localhost:8081'),
  'site.foreign': (t) => t.ask('GET', '/v1/tokens?sid=a', { headers: { origin: 'https://elsewhere.example' } }),
};

function asHost(t: Trial, host: string): Promise<Seen> {
  return t.ask('GET', '/v1/tokens?sid=a', { headers: { host } });
}

/** With `MAX_WAITERS=1` and one waiter. */
export const crowds: Record<string, Row> = {
  'full.read': (t) => whileFull(t, () => t.read({ wait: 30 })),
  'full.claim': (t) => whileFull(t, () => t.claim('one', { wait: 30 })),
  'full.no-wait': (t) => whileFull(t, () => t.read()),
  'full.live': (t) =>
    whileFull(t, async () => {
      await t.post();
      return t.read({ wait: 30 });
    }),
};

async function whileFull(t: Trial, ask: () => Promise<Seen>): Promise<Seen> {
  const leave = new AbortController();
  const first = t.ask('GET', `/v1/tokens?merchant=${t.merchant}&order_id=first&wait=60`, { signal: leave.signal });
  await t.parked(1);
  const seen = await ask();
  leave.abort();
  await expect(first).rejects.toThrow();
  await t.parked(0);
  return seen;
}

/** A service that stops while a worker waits. */
export const stops: Record<string, Row> = {
  'stopping.read': (t) => whileStopping(t, () => t.read({ wait: 30 })),
  'stopping.claim': (t) => whileStopping(t, () => t.claim('one', { wait: 30 })),
  'stopping.post': async (t) => {
    const { service } = t.world.running;
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      'transfer-encoding': 'chunked',
      expect: '100-continue',
    };
    const post = request(`${service.authenticityUrl}/${t.merchant}`, { method: 'POST', headers });
    const status = new Promise<number>((resolve, reject) => {
      post.once('error', reject);
      post.once('response', (response) => resolve(response.resume().statusCode ?? 0));
    });
    post.flushHeaders();
    await once(post, 'continue');
    post.write(`${t.kind}=`);
    const stopped = service.stop();
    post.end(t.value());
    const seen = { status: await status };
    await stopped;
    return seen;
  },
};

async function whileStopping(t: Trial, ask: () => Promise<Seen>): Promise<Seen> {
  const waiting = ask();
  await t.parked(1);
  const stopped = t.world.running.service.stop();
  const seen = await waiting;
  await stopped;
  return seen;
}

/** Redis is killed. */
export const absences: Record<string, Row> = {
  'away.post': async (t) => {
    await leave(t);
    const seen = await t.post();
    expect((await t.read()).json).toMatchObject({ value: t.value() });
    return seen;
  },
  'away.read-local': async (t) => {
    await leave(t);
    await t.post();
    return t.read();
  },
  'away.claim-local': async (t) => {
    await leave(t);
    await t.post();
    const seen = await t.claim();
    expect((await t.use()).status).toBe(204);
    return seen;
  },
  'away.read-none': async (t) => {
    await leave(t);
    return t.read({ wait: 0.2 });
  },
  'away.claim-none': async (t) => {
    await leave(t);
    return t.claim('one', { wait: 0.2 });
  },
  'away.read-taken': async (t) => {
    await t.post();
    await leave(t);
    return t.read();
  },
  'away.settle': async (t) => {
    await t.post();
    await t.claim();
    await leave(t);
    return t.use();
  },
  'away.renew': async (t) => {
    await t.post();
    await t.claim();
    await leave(t);
    return t.renew();
  },
  'away.renew-local': async (t) => {
    await leave(t);
    await t.post();
    await t.claim();
    const seen = await t.renew();
    expect(seen.json).toMatchObject({ value: t.value(), claim: { deliveries: 1 } });
    return seen;
  },
  'away.back-elsewhere': async (t) => {
    await leave(t);
    await t.post();
    await t.world.redis?.restart();
    const seen = await t.claim('one', { wait: 30 }, t.world.other as RunningService);
    expect(seen.json).toMatchObject({ value: t.value() });
    return seen;
  },
};

/** Redis is killed, and the service has detected it. */
async function leave(t: Trial): Promise<void> {
  await t.world.redis?.kill();
  await until('it is noticed', async () => (await t.ask('GET', '/readyz')).json.store.state === 'away');
}

/** Redis does not answer. */
export const silences: Record<string, Row> = {
  'away.unanswered-read': async (t) => {
    await unanswered(t);
    return t.read();
  },
  'away.unanswered-claim': async (t) => {
    await unanswered(t);
    return t.claim('one', { wait: 0.2 });
  },
};

/** Redis hangs during a put: the token is in doubt. */
async function unanswered(t: Trial): Promise<void> {
  t.world.redis?.hang();
  await t.post();
}
