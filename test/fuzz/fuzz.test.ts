import { expect, test } from 'vitest';
import { fuzz } from './fuzz.ts';

test('a short fuzz run finds no fault', async () => {
  const report = await fuzz({ seed: 20_261_122, forMs: 5000 });
  expect(report.failures).toEqual([]);
  expect(report.requests).toBeGreaterThan(100);
});
