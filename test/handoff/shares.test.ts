/** Places that several parties share: the maximum of one, and the reserve of the others. */
import { describe, expect, it } from 'vitest';
import { Shares } from '../../src/handoff/shares.ts';

/** Takes places until none is given. */
function takeAll(shares: Shares, party: string): number {
  let taken = 0;
  while (shares.take(party)) taken += 1;
  return taken;
}

describe('Shares', () => {
  it('gives all places to a single party', () => {
    expect(takeAll(new Shares(20_000, ['a']), 'a')).toBe(20_000);
    expect(takeAll(new Shares(1, ['a']), 'a')).toBe(1);
  });

  it.each([
    [100, 2, 75, 25],
    [100, 3, 66, 17],
    [4, 2, 3, 1],
    [2, 2, 1, 1],
    [20_000, 10, 11_000, 1000],
  ])('keeps a share of %i places for each of %i parties', (max, parties, first, others) => {
    const names = Array.from({ length: parties }, (_, at) => `p${at}`);
    const shares = new Shares(max, names);
    expect(takeAll(shares, 'p0')).toBe(first);
    expect(names.slice(1).map((name) => takeAll(shares, name))).toEqual(names.slice(1).map(() => others));
    expect(shares.count).toBe(first + others * (parties - 1));
  });

  it('gives a free place to the party that comes first', () => {
    const shares = new Shares(4, ['a', 'b']);
    takeAll(shares, 'a');
    takeAll(shares, 'b');
    shares.leave('a');
    expect([shares.take('b'), shares.take('a')]).toEqual([true, false]);
    // Both of `b` leave: one place is its share again, the other is anybody's.
    shares.leave('b');
    shares.leave('b');
    expect(takeAll(shares, 'a')).toBe(1);
    expect(takeAll(shares, 'b')).toBe(1);
  });

  it('gives a trusted party every free place, and keeps a share for it', () => {
    const shares = new Shares(10, ['a', 'operator']);
    expect(takeAll(shares, 'a')).toBe(7);
    let taken = 0;
    while (shares.takeAny('operator')) taken += 1;
    expect(taken).toBe(3);
    for (let place = 0; place < 7; place += 1) shares.leave('a');
    while (shares.takeAny('operator')) taken += 1;
    expect([taken, shares.take('a')]).toEqual([10, false]);
  });

  it('gives every place when there are more parties than places', () => {
    const shares = new Shares(2, ['a', 'b', 'c']);
    expect(takeAll(shares, 'a')).toBe(2);
  });
});
