/** The answers to claims, with a selector and from the pool. */
import { expect } from 'vitest';
import { scaled } from '../support/time-scale.ts';
import type { Row } from './trial.ts';

/** The shortest lease. */
const BRIEF = { lease: 1 };

export const claims: Record<string, Row> = {
  'claim.none': (t) => t.claim(),
  'claim.none-waits': (t) => t.claim('one', { wait: 0.1 }),
  'claim.arrives': async (t) => {
    const waiting = t.claim('one', { wait: 30 });
    await t.parked(1);
    await t.post();
    const seen = await waiting;
    expect(seen.json).toMatchObject({ value: t.value(), claim: { deliveries: 1 } });
    return seen;
  },
  'claim.live': async (t) => {
    await t.post();
    const seen = await t.claim();
    expect(seen.json).toMatchObject({ value: t.value(), claim: { id: t.claimId('one'), deliveries: 1 } });
    return seen;
  },
  'claim.same-id': async (t) => {
    await t.post();
    const first = await t.claim('one', { lease: 30 });
    const again = await t.claim('one', { lease: 300 });
    expect(again.json).toMatchObject({ value: t.value(), claim: { deliveries: 1 } });
    const [before, after] = [first, again].map(({ json }) => Date.parse(json.claim.lease_expires_at));
    expect(after).toBeGreaterThan(before as number);
    return again;
  },
  'claim.same-id-elsewhere': async (t) => {
    await t.post();
    await t.claim();
    const seen = await t.ask('PUT', `/v1/claims/${t.claimId('one')}`, {
      body: { merchant: t.merchant, order_id: 'another' },
    });
    expect(seen.json).toMatchObject({ value: t.value() });
    return seen;
  },
  'claim.claimed': async (t) => {
    await t.post();
    const { json } = await t.claim();
    const seen = await t.claim('two');
    expect(seen.json).toMatchObject({
      claim_id: t.claimId('one'),
      lease_expires_at: json.claim.lease_expires_at,
    });
    return seen;
  },
  'claim.claimed-waits': async (t) => {
    await t.post();
    await t.claim();
    return t.claim('two', { wait: 0.2 });
  },
  'claim.claimed-lease-ends': async (t) => {
    await t.post();
    await t.claim('one', BRIEF);
    const seen = await t.claim('two', { wait: 30 });
    expect(seen.json).toMatchObject({ value: t.value(), claim: { deliveries: 2 } });
    return seen;
  },
  'claim.claimed-released': async (t) => {
    await t.post();
    await t.claim();
    const waiting = t.claim('two', { wait: 30 });
    await t.parked(1);
    await t.release();
    const seen = await waiting;
    expect(seen.json).toMatchObject({ value: t.value(), claim: { deliveries: 2 } });
    return seen;
  },
  'claim.claimed-used': async (t) => {
    await t.post();
    await t.claim();
    const waiting = t.claim('two', { wait: scaled(1000) / 1000 });
    await t.parked(1);
    await t.use();
    return waiting;
  },
  'claim.used': async (t) => {
    await t.post();
    await t.claim();
    await t.use();
    return t.claim('two');
  },
  'claim.used-posted-again': async (t) => {
    await t.post();
    await t.claim();
    await t.use();
    await t.post();
    return t.claim('two');
  },
  'claim.used-newer': async (t) => {
    await t.post();
    await t.claim();
    await t.use();
    await t.post(2);
    const seen = await t.claim('two');
    expect(seen.json).toMatchObject({ value: t.value(2) });
    return seen;
  },
  'claim.id-used-before': async (t) => {
    await t.post();
    await t.claim();
    await t.use();
    await t.post(2);
    const seen = await t.claim('one');
    expect(seen.json).toMatchObject({ value: t.value(2), claim: { deliveries: 1 } });
    return seen;
  },
  'claim.id-lost-before': async (t) => {
    await t.post();
    await t.claim('one', BRIEF);
    await t.claim('two', { wait: 30 });
    await t.release('two');
    const seen = await t.claim('one');
    expect(seen.json).toMatchObject({ value: t.value(), claim: { deliveries: 3 } });
    return seen;
  },
  'claim.two-values': async (t) => {
    await t.post();
    await t.post(2);
    const seen = await t.claim();
    expect(seen.json).toMatchObject({ value: t.value(2), distinct: 2 });
    return seen;
  },
  'claim.cancelled': async (t) => {
    await t.cancel((await t.expect()).json.id);
    return t.claim();
  },
  'claim.cancelled-while-waiting': async (t) => {
    const { json } = await t.expect();
    const waiting = t.claim('one', { wait: 30 });
    await t.parked(1);
    await t.cancel(json.id);
    return waiting;
  },
  'claim.bad-id': (t) => t.ask('PUT', '/v1/claims/a.b', { body: { kind: 'token', merchant: t.merchant } }),
  'claim.no-kind': (t) => t.ask('PUT', '/v1/claims/one', { body: { merchant: t.merchant } }),
};

/** Tokens that came without any correlator field. */
export const pool: Record<string, Row> = {
  'pool.none': (t) => t.claim(),
  'pool.arrives': claims['claim.arrives'] as Row,
  'pool.oldest': async (t) => {
    await t.post();
    await t.post(2);
    const seen = await t.claim();
    expect(seen.json).toMatchObject({ value: t.value(), distinct: 1, claim: { deliveries: 1 } });
    return seen;
  },
  'pool.second': async (t) => {
    await t.post();
    await t.post(2);
    await t.claim();
    const seen = await t.claim('two');
    expect(seen.json).toMatchObject({ value: t.value(2) });
    return seen;
  },
  'pool.same-id': async (t) => {
    await t.post();
    await t.post(2);
    await t.claim();
    const seen = await t.claim();
    expect(seen.json).toMatchObject({ value: t.value(), claim: { deliveries: 1 } });
    return seen;
  },
  'pool.all-claimed': async (t) => {
    await t.post();
    await t.claim();
    return t.claim('two');
  },
  'pool.lease-ends': claims['claim.claimed-lease-ends'] as Row,
  'pool.released': async (t) => {
    await t.post();
    await t.post(2);
    await t.claim();
    await t.release();
    const seen = await t.claim('two');
    expect(seen.json).toMatchObject({ value: t.value(), claim: { deliveries: 2 } });
    return seen;
  },
  'pool.used': async (t) => {
    await t.post();
    await t.claim();
    await t.use();
    return t.claim('two');
  },
  'pool.first-come': async (t) => {
    const first = t.claim('one', { wait: 30 });
    await t.parked(1);
    const later = t.claim('two', { wait: 30 });
    await t.parked(2);
    await t.post();
    const seen = await first;
    await t.post(2);
    expect((await later).json).toMatchObject({ value: t.value(2) });
    expect(seen.json).toMatchObject({ value: t.value() });
    return seen;
  },
  'pool.with-correlator': async (t) => {
    await t.postForm({ [t.kind]: t.value(), sid: 'somebodys' });
    return t.claim();
  },
  'pool.other-kind': async (t) => {
    await t.post();
    return t.claim('one', { kind: 'nit' });
  },
  'pool.cancelled': async (t) => {
    await t.cancel((await t.expect()).json.id);
    return t.claim();
  },
};
