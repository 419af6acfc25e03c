/** A short run of `npm run model`, and proof that the model detects wrong answers. */
import { describe, expect, test } from 'vitest';
import { Model } from './model.ts';
import { run } from './run.ts';

// On Redis, an answer of `unknown` waits until each instance has renewed its mark.
test.each([
  ['embedded', 1200],
  ['redis', 300],
] as const)('service and model agree during a short run, %s', async (store, operations) => {
  const report = await run({ seed: 24, operations, store });
  expect(report.divergences).toEqual([]);
  expect(report.operations).toBeGreaterThanOrEqual(operations);
});

describe('the model', () => {
  const rules = { accept: 'any', onConflict: 'newest', ttlSeconds: 6 } as const;
  const query = { by: 'sid', is: 'k', kind: 'seid' } as const;
  const post = { do: 'post', kind: 'seid', value: 'v', correlators: { sid: 'k' } } as const;
  const claim = { do: 'claim', id: 'c', query, lease: 1 } as const;
  const at = (from: number) => ({ from, to: from + 1 });
  const held = { status: 200, value: 'v', holder: 'c', deliveries: 1, distinct: 1 };

  test('rejects a second holder, and prints the right answer', () => {
    const model = new Model(rules);
    expect(model.accepts(post, { status: 200 }, at(1000), Number.NaN)).toBe(true);
    expect(model.accepts(claim, held, at(1100), 2100)).toBe(true);
    const other = { ...claim, id: 'd' };
    expect(model.accepts(other, { ...held, holder: 'd', deliveries: 2 }, at(1200), 2200)).toEqual([
      { status: 409, code: 'claimed', holder: 'c' },
    ]);
  });

  test('accepts either answer at the moment when a lease ends, and requires the service to keep it', () => {
    const model = new Model(rules);
    model.accepts(post, { status: 200 }, at(1000), Number.NaN);
    model.accepts(claim, held, at(1100), 2100);
    const read = { do: 'read', query } as const;
    expect(model.accepts(read, { status: 200, value: 'v', distinct: 1, holder: null }, at(2099), Number.NaN)).toBe(
      true,
    );
    expect(model.accepts(read, { status: 200, value: 'v', distinct: 1, holder: 'c' }, at(2110), Number.NaN)).not.toBe(
      true,
    );
  });
});
