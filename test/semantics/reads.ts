/** The answers to reads. */
import { expect } from 'vitest';
import type { Row } from './trial.ts';

export const reads: Record<string, Row> = {
  'read.none': (t) => t.read(),
  'read.none-waits': (t) => t.read({ wait: 0.1 }),
  'read.arrives': async (t) => {
    const waiting = t.read({ wait: 30 });
    await t.parked(1);
    await t.post();
    const seen = await waiting;
    expect(seen.json).toMatchObject({ value: t.value(), kind: t.kind, claim: null, distinct: 1 });
    return seen;
  },
  'read.live': async (t) => {
    await t.post();
    const seen = await t.read();
    expect(seen.json).toMatchObject({ value: t.value(), kind: t.kind, claim: null, distinct: 1 });
    return seen;
  },
  'read.again': async (t) => {
    await t.post();
    const first = await t.read();
    const again = await t.read();
    expect(again.json).toEqual(first.json);
    return again;
  },
  'read.claimed': async (t) => {
    await t.post();
    await t.claim();
    const seen = await t.read();
    expect(seen.json).toMatchObject({ value: t.value(), claim: { id: t.claimId('one'), deliveries: 1 } });
    return seen;
  },
  'read.released': async (t) => {
    await t.post();
    await t.claim();
    await t.release();
    const seen = await t.read();
    expect(seen.json).toMatchObject({ value: t.value(), claim: null });
    return seen;
  },
  'read.used': async (t) => {
    await t.post();
    await t.claim();
    await t.use();
    return t.read();
  },
  'read.used-waits': async (t) => {
    await t.post();
    await t.claim();
    await t.use();
    return t.read({ wait: 0.1 });
  },
  'read.used-newer-comes': async (t) => {
    await t.post();
    await t.claim();
    await t.use();
    const waiting = t.read({ wait: 30 });
    await t.parked(1);
    await t.post(2);
    const seen = await waiting;
    expect(seen.json).toMatchObject({ value: t.value(2), distinct: 1 });
    return seen;
  },
  'read.two-values': async (t) => {
    await t.post();
    await t.post(2);
    const seen = await t.read();
    expect(seen.json).toMatchObject({ value: t.value(2), distinct: 2 });
    return seen;
  },
  'read.two-kinds': async (t) => {
    await t.post();
    const other = t.kind === 'nit' ? 'seid' : 'nit';
    await t.postForm({ [other]: t.value(2), [t.key]: t.name });
    expect((await t.read()).json).toMatchObject({ kind: other, distinct: 2 });
    const seen = await t.read({ kind: t.kind });
    expect(seen.json).toMatchObject({ value: t.value(), distinct: 1 });
    return seen;
  },
  'read.other-kind': async (t) => {
    await t.post();
    return t.read({ kind: t.kind === 'nit' ? 'seid' : 'nit' });
  },
  'read.other-merchant': async (t) => {
    await t.post();
    return t.read({ merchant: 'default' });
  },
  'read.expected': async (t) => {
    await t.expect();
    return t.read();
  },
  'read.cancelled': async (t) => {
    await t.cancel((await t.expect()).json.id);
    return t.read();
  },
  'read.cancelled-while-waiting': async (t) => {
    const { json } = await t.expect();
    const waiting = [t.read({ wait: 30 }), t.read({ wait: 30, kind: t.kind })];
    await t.parked(2);
    await t.cancel(json.id);
    const [first, second] = await Promise.all(waiting);
    expect(second?.code).toBe(first?.code);
    return first as NonNullable<typeof first>;
  },
  'read.cancelled-but-live': async (t) => {
    const { json } = await t.expect();
    await t.post();
    await t.cancel(json.id);
    return t.read();
  },
  'read.cancelled-and-used': async (t) => {
    const { json } = await t.expect();
    await t.post();
    await t.claim();
    await t.use();
    await t.cancel(json.id);
    return t.read();
  },
  'read.expected-anew': async (t) => {
    await t.cancel((await t.expect()).json.id);
    await t.expect();
    return t.read();
  },
  'read.no-selector': (t) => t.ask('GET', `/v1/tokens?merchant=${t.merchant}&kind=token`),
  'read.two-selectors': async (t) => {
    const seen = await t.ask('GET', `/v1/tokens?merchant=${t.merchant}&sid=a&order_id=b`);
    expect(seen.json.errors).toMatchObject([{ parameter: 'order_id' }]);
    return seen;
  },
  'read.unknown-parameter': async (t) => {
    const seen = await t.ask('GET', `/v1/tokens?merchant=${t.merchant}&sid=a&timeout=5`);
    expect(seen.json.errors).toMatchObject([{ parameter: 'timeout' }]);
    return seen;
  },
  'read.unknown-merchant': async (t) => {
    const seen = await t.ask('GET', '/v1/tokens?merchant=nobody&sid=a');
    expect(seen.json.errors).toMatchObject([{ parameter: 'merchant' }]);
    return seen;
  },
  'read.wait-too-long': (t) => t.ask('GET', `/v1/tokens?merchant=${t.merchant}&sid=a&wait=61`),
};
