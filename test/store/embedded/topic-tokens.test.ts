/**
 * Any number of tokens under one topic: a read checks a limited number, and answers like a scan of
 * all of them.
 */
import { describe, expect, it } from 'vitest';
import type { TokenEntry } from '../../../src/store/embedded/records.ts';
import { TopicTokens } from '../../../src/store/embedded/topic-tokens.ts';
import { tokenId } from '../../../src/token.ts';
import { Random } from '../../support/random.ts';

const MANY = 50_000;
const MOST = 100;

/** Counts how often the expiry of a token is read. */
let looks = 0;

function entryOf(order: number, expiresAt = 1000): TokenEntry {
  const value = String(order);
  const token = {
    id: tokenId('m', 'seid', value),
    merchant: 'm',
    kind: 'seid',
    value,
    correlators: {},
    pooled: false,
  } as const;
  const times = {
    receivedAt: 0,
    get expiresAt() {
      looks += 1;
      return expiresAt;
    },
  };
  return { token: Object.assign(times, token), state: 'live', replication: 'local', order, deliveries: 0, seen: false };
}

describe('tokens under one topic', () => {
  it.each<[string, (at: number) => Partial<TokenEntry>]>([
    ['live', () => ({})],
    ['used', () => ({ state: 'used' })],
    ['copies of what a shared store has', () => ({ replication: 'replicated' })],
    ['used but for the oldest', (at) => ({ state: at === 0 ? 'live' : 'used' })],
  ])(`checks at most ${MOST} when ${MANY} are %s`, (_name, become) => {
    const tokens = new TopicTokens();
    for (let at = 0; at < MANY; at += 1) {
      const entry = entryOf(at);
      tokens.update(entry);
      Object.assign(entry, become(at));
      tokens.update(entry);
    }
    looks = 0;
    expect(tokens.newest(0, MOST).length).toBeLessThanOrEqual(MOST);
    tokens.hasUsed(0);
    expect(looks).toBeLessThanOrEqual(MOST + 1);
  });

  it('answer like a scan of all of them after random changes', () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const random = new Random(seed);
      const tokens = new TopicTokens();
      const all: TokenEntry[] = [];
      for (let now = 0; now < 400; now += 1) {
        const entry = all[random.below(all.length + 1)];
        const what = random.below(7);
        if (entry === undefined || what < 3) {
          // Now and then one turns up late, or beside one that came in the same instant.
          all.push(entryOf(now - (random.below(5) === 0 ? random.below(20) : 0), now + random.below(100)));
          tokens.update(all.at(-1) as TokenEntry);
        } else if (what === 6) {
          all.splice(all.indexOf(entry), 1);
          tokens.delete(entry);
        } else {
          if (what === 3) entry.state = 'used';
          else entry.replication = what === 4 ? 'replicated' : 'local';
          tokens.update(entry);
        }
        const alive = all.filter(({ token, state, replication }) => {
          return token.expiresAt > now && state === 'live' && replication !== 'replicated';
        });
        const orders = alive.map(({ order }) => order).sort((a, b) => b - a);
        const newest = tokens.newest(now, 10).map(({ order }) => order);
        expect([seed, now, newest]).toEqual([seed, now, orders.slice(0, 10)]);
      }
      for (const entry of all) tokens.delete(entry);
      expect(tokens.isEmpty).toBe(true);
    }
  });
});
