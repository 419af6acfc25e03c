import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Chain, type Link } from '../src/chain.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as (how: { type: 'minor' | 'major' }) => void;

test('is a set in the order of arrival', () => {
  const steps = fc.array(fc.oneof(fc.constant('add' as const), fc.nat({ max: 20 })), { maxLength: 60 });
  void fc.assert(
    fc.property(steps, (taken) => {
      const chain = new Chain<{ name: number }>();
      const places: Link<{ name: number }>[] = [];
      const model = new Set<number>();
      for (const step of taken) {
        if (step === 'add') {
          model.add(places.length);
          places.push(chain.add({ name: places.length }));
        } else {
          const place = places[step];
          if (place !== undefined) expect(chain.remove(place)).toBe(model.delete(step));
        }
        expect([...chain].map(({ name }) => name)).toEqual([...model]);
        expect(chain.size).toBe(model.size);
        expect(chain.oldest?.name).toBe([...model][0]);
      }
    }),
  );
});

test('is gone through like a set, whatever is put in and taken out meanwhile', () => {
  // What is done while the first one is at hand, while the second one is, and so on.
  const steps = fc.array(fc.array(fc.oneof(fc.constant('add' as const), fc.nat({ max: 12 })), { maxLength: 5 }), {
    maxLength: 12,
  });
  void fc.assert(
    fc.property(fc.nat({ max: 8 }), steps, (begun, meanwhile) => {
      const chain = new Chain<{ name: number }>();
      const places: Link<{ name: number }>[] = [];
      const model = new Set<number>();
      const add = (): void => {
        model.add(places.length);
        places.push(chain.add({ name: places.length }));
      };
      for (let i = 0; i < begun; i++) add();
      const expected = model.values();
      let turn = 0;
      for (const { name } of chain) {
        expect(name).toBe(expected.next().value);
        for (const step of meanwhile[turn] ?? []) {
          if (step === 'add') add();
          else if (places[step] !== undefined) expect(chain.remove(places[step])).toBe(model.delete(step));
        }
        turn += 1;
      }
      expect(expected.next().done).toBe(true);
    }),
    { numRuns: 1000 },
  );
});

test('leaves nothing to the old generation of what came and went', () => {
  const chain = new Chain<number[]>();
  const arrive = (): Link<number[]>[] => Array.from({ length: 64 }, () => chain.add(new Array(200).fill(0)));
  let underWay = arrive();
  for (let i = 0; i < 3; i++) gc({ type: 'minor' });
  gc({ type: 'major' });
  const before = oldGeneration();
  for (let round = 0; round < 300; round++) {
    const next = arrive();
    for (const place of underWay) chain.remove(place);
    underWay = next;
    if (round % 10 === 0) gc({ type: 'minor' });
  }
  // 300 × 64 × 1.6 kB came and went; a Set in the place of the chain leaves over 20 MB here.
  expect(oldGeneration() - before).toBeLessThan(5_000_000);
});

function oldGeneration(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? 0;
}
