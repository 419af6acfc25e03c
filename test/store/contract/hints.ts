/** Hints: every store over the same data learns of a possible change under some topics. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { Hint } from '../../../src/store/contract.ts';
import { topicsOf } from '../../../src/token.ts';
import { until } from '../../support/until.ts';
import type { Bench, Case } from './bench.ts';

/**
 * The hints of a merchant after a sequence. Earlier hints, and those of others, may come at any
 * time.
 */
function heardSince({ hints, merchant }: Bench, at: number, sequence: number): Hint[] {
  const isNew = (hint: Hint): boolean => hint.merchant === merchant && (hint.sequence ?? 0) > sequence;
  return (hints[at] as Hint[]).filter(isNew);
}

/** Runs a change. Returns its hint under a topic once every store has received it. */
async function hintOf(bench: Bench, topic: string, run: () => Promise<unknown>): Promise<Hint> {
  const sequence = await bench.a.sequence(bench.merchant);
  await run();
  expect(await bench.b.sequence(bench.merchant)).toBeGreaterThan(sequence);
  const heard: Hint[] = [];
  for (const at of bench.hints.keys()) {
    const isIt = (hint: Hint): boolean => hint.topics.includes(topic);
    heard.push(await until(`store ${at} hears of ${topic}`, () => heardSince(bench, at, sequence).find(isIt)));
  }
  const [hint] = heard;
  if (hint === undefined) throw new Error('no store is open');
  for (const other of heard) expect(other).toEqual(hint);
  expect(hint.sequence).toBeGreaterThan(sequence);
  return hint;
}

export function describeHints(test: Case): void {
  test('announces an arrival under each of its topics', async (bench) => {
    const token = bench.token({ merchant_data: 'a', sid: 'b', merchant_usn: 'c', order_id: 'd' });
    const hint = await hintOf(bench, 'sid=b', () => bench.a.put(token));
    expect([...hint.topics].sort()).toEqual(['merchant_data=a', 'merchant_usn=c', 'order_id=d', 'sid=b']);
    // If a hint carries a token, it is the answer of a read.
    for (const topic of hint.arrivals?.keys() ?? []) expect(hint.arrivals?.get(topic)).toMatchObject(token);
  });

  test('announces the arrival of a pooled token under its kind, without the token', async (bench) => {
    const token = bench.token({ kind: 'nit' });
    const hint = await hintOf(bench, 'pool=nit', () => bench.b.put(token));
    expect(hint.topics).toEqual(topicsOf(token));
    expect([...(hint.arrivals ?? [])]).toEqual([]);
  });

  test('announces a token that is put back under its topics', async (bench) => {
    await bench.put(bench.token(), bench.token({ sid: 'x' }));
    await bench.hold(bench.a, 'c1');
    await hintOf(bench, 'pool=token', () => bench.b.settle(bench.merchant, 'c1', 'release'));
    const { claim } = await bench.hold(bench.a, 'c2', bench.by('sid', 'x'));
    await hintOf(bench, 'sid=x', () => bench.b.undo(bench.merchant, claim));
  });

  test('announces a cancellation under its topic', async (bench) => {
    const id = randomUUID();
    await bench.a.expect({ id, merchant: bench.merchant, kind: 'seid', topic: 'sid=x', ttlMs: 10_000 });
    await hintOf(bench, 'sid=x', () => bench.b.cancel(bench.merchant, id));
  });

  test('raises the counter by one with each announcement, equally at every store', async (bench) => {
    // A store may start the counter at any value.
    await bench.put(bench.token({ sid: 'first' }));
    const before = await bench.a.sequence(bench.merchant);
    const tokens = Array.from({ length: 10 }, (_, at) => bench.token({ sid: `${at}` }));
    await Promise.all(tokens.map((token, at) => (at % 2 ? bench.a : bench.b).put(token)));
    const after = await bench.a.sequence(bench.merchant);
    expect(await bench.b.sequence(bench.merchant)).toBe(after);
    const hints = await until('every store has received all ten', () => {
      const all = bench.hints.map((_, at) => heardSince(bench, at, before));
      return all.every((heard) => heard.flatMap(({ topics }) => topics).length === 10) && all;
    });
    for (const heard of hints) {
      const sequences = heard.map(({ sequence }) => sequence);
      expect(sequences).toEqual(sequences.map((_, at) => before + 1 + at));
      expect(sequences.at(-1)).toBe(after);
    }
  });

  test('announces no known token, and nothing to other merchants', async (bench) => {
    const token = bench.token({ sid: 'x' });
    await bench.put(token);
    const [mine, theirs] = [await bench.a.sequence(bench.merchant), await bench.a.sequence(bench.stranger)];
    expect(await bench.b.put(token)).toBe('known');
    await bench.a.read(bench.by('sid', 'x'));
    await hintOf(bench, 'sid=next', () => bench.a.put(bench.token({ sid: 'next' })));
    expect(await bench.a.sequence(bench.merchant)).toBe(mine + 1);
    expect(await bench.a.sequence(bench.stranger)).toBe(theirs);
  });
}
