/** The answers to settlements and expectations. */
import { expect } from 'vitest';
import type { Row, Trial } from './trial.ts';

/** Creates a token that claim `one` holds. Returns its id. */
async function held(t: Trial, lease = 60): Promise<string> {
  await t.post();
  return (await t.claim('one', { lease })).json.id;
}
/** A claim `one` that lost its token to `two`. */
async function lost(t: Trial): Promise<void> {
  await held(t, 1);
  await t.claim('two', { wait: 30 });
}
/** A claim whose lease is over, with a token that is still free. */
async function over(t: Trial): Promise<void> {
  await t.post();
  const { json } = await t.claim('one', { lease: 1 });
  await new Promise((resolve) =>
    setTimeout(resolve, Math.max(0, Date.parse(json.claim.lease_expires_at) - Date.now()) + 100),
  );
}

export const renewals: Record<string, Row> = {
  'renew.held': async (t) => {
    await t.post();
    const before = await t.claim('one', { lease: 30 });
    const seen = await t.renew('one', { lease: 300 });
    expect(seen.json).toMatchObject({ value: t.value(), claim: { id: t.claimId('one'), deliveries: 1 } });
    const [first, second] = [before, seen].map(({ json }) => Date.parse(json.claim.lease_expires_at));
    expect(second).toBeGreaterThan(first as number);
    expect((await t.use()).status).toBe(204);
    return seen;
  },
  'renew.nothing': async (t) => {
    await t.post();
    const seen = await t.renew('one', { ...t.selector, wait: 30 });
    expect((await t.claim('two')).json).toMatchObject({ value: t.value(), claim: { deliveries: 1 } });
    return seen;
  },
  'renew.used': async (t) => {
    await held(t);
    await t.use();
    await t.post(2);
    const seen = await t.renew('one', t.selector);
    expect((await t.claim('two')).json).toMatchObject({ value: t.value(2), claim: { deliveries: 1 } });
    return seen;
  },
  'renew.released': async (t) => {
    await held(t);
    await t.release();
    return t.renew();
  },
  'renew.lease-over': async (t) => {
    await over(t);
    const seen = await t.renew();
    expect((await t.claim()).json).toMatchObject({ claim: { deliveries: 2 } });
    return seen;
  },
  'renew.lost': async (t) => {
    await lost(t);
    return t.renew();
  },
  'renew.unknown': (t) => t.renew(),
  'renew.bad-value': async (t) => {
    const seen = await t.renew('one', { renew: 'yes' });
    expect(seen.json.errors).toMatchObject([{ parameter: 'renew' }]);
    return seen;
  },
};

export const settling: Record<string, Row> = {
  'use.held': async (t) => {
    await held(t);
    return t.use();
  },
  'use.again': async (t) => {
    await held(t);
    await t.use();
    return t.use();
  },
  'use.lease-over': async (t) => {
    await over(t);
    const seen = await t.use();
    expect((await t.claim('two')).status).toBe(t.key === 'pool' ? 204 : 410);
    return seen;
  },
  'use.released': async (t) => {
    await held(t);
    await t.release();
    return t.use();
  },
  'use.lost': async (t) => {
    await lost(t);
    return t.use();
  },
  'use.unknown': (t) => t.use(),
  'release.held': async (t) => {
    await held(t);
    return t.release();
  },
  'release.again': async (t) => {
    await held(t);
    await t.release();
    return t.release();
  },
  'release.lease-over': async (t) => {
    await over(t);
    return t.release();
  },
  'release.lost': async (t) => {
    await lost(t);
    return t.release();
  },
  'release.used': async (t) => {
    await held(t);
    await t.use();
    return t.release();
  },
  'release.unknown': (t) => t.release(),
  'token.live': async (t) => {
    await t.post();
    const { json } = await t.read();
    const seen = await t.useToken(json.id);
    expect((await t.read()).code).toBe('used');
    return seen;
  },
  'token.again': async (t) => {
    const id = await held(t);
    await t.useToken(id);
    return t.useToken(id);
  },
  'token.claimed': async (t) => {
    const seen = await t.useToken(await held(t));
    expect((await t.use()).status).toBe(204);
    return seen;
  },
  'token.unknown': (t) => t.useToken('0'.repeat(32)),
  'token.other-merchant': async (t) => {
    const id = await held(t);
    return t.ask('DELETE', `/v1/tokens/${id}?merchant=default`);
  },
};

const bare = (t: Trial, body: object) => t.ask('POST', '/v1/expectations', { body: { merchant: t.merchant, ...body } });

export const expectations: Record<string, Row> = {
  'expect.selector': async (t) => {
    const seen = await t.expect();
    expect(seen.json).toMatchObject({ kind: t.kind, [t.key]: t.name });
    return seen;
  },
  'expect.seid-alone': async (t) => {
    const seen = await bare(t, { kind: 'seid' });
    expect(seen.json.merchant_data).toMatch(/^[0-9a-z]{20}$/);
    return seen;
  },
  'expect.token-alone': async (t) => {
    const seen = await bare(t, { kind: 'token' });
    expect(Object.keys(seen.json).sort()).toEqual(['expires_at', 'id', 'kind']);
    return seen;
  },
  'expect.nit-alone': (t) => bare(t, { kind: 'nit' }),
  'expect.no-kind': (t) => bare(t, { sid: 'x' }),
  'cancel.open': async (t) => t.cancel((await t.expect()).json.id),
  'cancel.again': async (t) => {
    const { json } = await t.expect();
    await t.cancel(json.id);
    return t.cancel(json.id);
  },
  'cancel.filled': async (t) => {
    const { json } = await t.expect();
    await t.post();
    return t.cancel(json.id);
  },
  'cancel.over': async (t) => {
    const { json } = await t.expect({ ttl: 1 });
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, Date.parse(json.expires_at) - Date.now()) + 100));
    return t.cancel(json.id);
  },
  'cancel.unknown': (t) => t.cancel('00000000-0000-4000-8000-000000000000'),
};
