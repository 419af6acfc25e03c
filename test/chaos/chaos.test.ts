/** A short chaos run, and proof that its checker detects faults. */
import { expect, it } from 'vitest';
import { check } from './checker.ts';
import { type Handed, type History, newHistory } from './history.ts';
import { run } from './run.ts';

it.each(['any', 'expected'] as const)('keeps every promise during a short chaos run, ACCEPT=%s', async (accept) => {
  const report = await run({ seed: 7, ms: 15_000, actors: 6, accept });
  expect(report.violations).toEqual([]);
  // A run with few operations proves little.
  expect(report.operations).toBeGreaterThan(100);
  expect(Object.keys(report.faults).length).toBeGreaterThan(1);
});

const hold = (id: string, takenAt: number, over: Partial<Handed> = {}): Handed => ({
  how: 'claim',
  instance: 0,
  value: 'v',
  begunAt: takenAt,
  endedAt: takenAt + 1,
  merchant: 'm',
  kind: 'token',
  token: { merchant: 'm', kind: 'token' },
  claim: { id, takenAt, leaseEndsAt: takenAt + 1000, renewal: false },
  ...over,
});

function historyOf(handed: Handed[], settled: History['settled'] = []): History {
  const history = newHistory();
  history.posted.set('v', { value: 'v', kind: 'token', merchant: 'm', at: new Set(['0']), ackedAt: 1 });
  return { ...history, handed, settled };
}

it.each<[string, History, string[], RegExp | undefined]>([
  ['one holder', historyOf([hold('a', 1000)]), ['v'], undefined],
  ['one after the other', historyOf([hold('a', 1000), hold('b', 2001)]), ['v'], undefined],
  ['two at once', historyOf([hold('a', 1000), hold('b', 1500, { instance: 1 })]), ['v'], /was held by a/],
  [
    'a claim after the use',
    historyOf(
      [hold('a', 1000), hold('b', 2500)],
      [{ how: 'use', instance: 0, value: 'v', claimId: 'a', begunAt: 1100, endedAt: 1200, status: 204 }],
    ),
    [],
    /was used at 0/,
  ],
  ['a token that is lost', historyOf([]), [], /is lost/],
  ["another's token", historyOf([hold('a', 1000, { merchant: 'n' })]), ['v'], /for n\/token/],
])('the checker detects %s', (_name, history, live, found) => {
  const violations = check(history, { live: new Set(live), used: new Set() });
  if (found === undefined) expect(violations).toEqual([]);
  else expect(violations.join('\n')).toMatch(found);
});
