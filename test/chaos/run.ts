/** One run: instances, actors, faults, and a final check of all tokens. */
import { Random } from '../support/random.ts';
import { until } from '../support/until.ts';
import { untilKnown } from '../support/worker-api.ts';
import { Actor } from './actors.ts';
import { MERCHANTS, type Player, startStage, stopStage, untilTogether } from './cast.ts';
import { check, type Found } from './checker.ts';
import { count, type History, newHistory, type Posted } from './history.ts';
import { firstMain, monkey, nemesesFor } from './nemeses.ts';

/** Longer than the longest lease that an actor takes. */
const LEASES_OVER_MS = 9000;
/** The part of each instance's log that is printed when a run cannot continue. */
const SHOWN_CHARACTERS = 2000;

export interface RunOptions {
  seed: number;
  ms: number;
  actors: number;
  /** `expected`: most posts are announced first, and some are not. */
  accept?: 'any' | 'expected';
  /** The only nemesis of the run. */
  nemesis?: string | undefined;
  /** Called every few seconds, and with each fault. */
  onProgress?: (text: string) => void;
}

export interface Report {
  seed: number;
  seconds: number;
  operations: number;
  counts: Record<string, number>;
  faults: Record<string, number>;
  tokens: { posted: number; kept: number; used: number; left: number };
  postMs: { median: number; p99: number; slowest: number; overOneSecond: number };
  violations: string[];
}

/** @throws Error if no nemesis has the name */
export async function run(options: RunOptions): Promise<Report> {
  const { seed, ms, actors, accept = 'any', nemesis, onProgress = () => {} } = options;
  const nemeses = nemesesFor(seed, nemesis);
  const history = newHistory();
  const faults: Record<string, number> = {};
  const begun = performance.now();
  const ttlSeconds = Math.ceil(ms / 1000) + 600;
  const onKill = (instance: number): void => void history.kills.push({ instance, at: Date.now() });
  const main = await firstMain(nemeses);
  const isCluster = nemeses.some(({ on }) => on === 'cluster');
  const stage = await startStage({ ttlSeconds, accept, main, isCluster, onKill });
  try {
    const over = new AbortController();
    const recent: Posted[] = [];
    const isStrict = accept === 'expected';
    const cast = Array.from({ length: actors }, (_, at) =>
      new Actor(`x${at}`, stage.players, history, new Random(seed * 1000 + at), recent, isStrict).act(over.signal),
    );
    const harm = monkey(stage, nemeses, new Random(seed), over.signal, (name) => {
      faults[name] = (faults[name] ?? 0) + 1;
      onProgress(`${secondsSince(begun)} s: ${operationsIn(history)} operations; ${name}`);
    });
    const timer = setTimeout(() => over.abort(), ms);
    await Promise.all([...cast, harm]).finally(() => clearTimeout(timer));
    onProgress(`${secondsSince(begun)} s: all is healed; looking at what is left`);
    const found = await look(stage.players, history);
    return reportOf(seed, begun, history, faults, check(history, found));
  } catch (error) {
    const outputs = stage.players.map(({ output }) => output.slice(-SHOWN_CHARACTERS));
    throw new Error(`seed ${seed}: ${(error as Error).message}\n${outputs.join('\n')}`, { cause: error });
  } finally {
    await stopStage(stage);
  }
}

/** Reads every token that has a correlator, and empties the pools, after the last fault. */
export async function look(players: readonly Pick<Player, 'api'>[], history: History): Promise<Found> {
  await untilTogether(players);
  const leasesEnd = performance.now() + LEASES_OVER_MS;
  await until('every lease is over', () => performance.now() > leasesEnd, 2 * LEASES_OVER_MS);
  const live = new Set<string>();
  const used = new Set<string>();
  const tokens = [...history.posted.values()];
  let at = 0;
  const reader = async (api: Player['api']): Promise<void> => {
    for (let token = tokens[at++]; token !== undefined; token = tokens[at++]) {
      if (token.data === undefined) continue;
      const { status, body } = await untilKnown(() =>
        api.read({ merchant: token.merchant, merchant_data: token.data as string }),
      );
      if (status === 200) live.add(String(body?.['value']));
      if (status === 410) used.add(token.value);
    }
  };
  await Promise.all([...players, ...players].map(({ api }) => reader(api)));
  for (const { merchant, data } of history.planted) {
    const [{ api }] = players as [Player];
    const { status } = await untilKnown(() => api.read({ merchant, merchant_data: data }));
    if (status === 200) history.wrong.push(`${data} was handed out, and was not announced`);
  }
  for (const merchant of MERCHANTS) {
    for (let claims = 0; ; claims++) {
      const { api } = players[claims % players.length] as Pick<Player, 'api'>;
      const answer = await untilKnown(() => api.claim(`look-${claims}`, { kind: 'token', merchant, lease: 600 }));
      count(history, 'last look', answer.status);
      if (answer.status !== 200) break;
      live.add(String(answer.body?.['value']));
    }
  }
  return { live, used };
}

function reportOf(
  seed: number,
  begun: number,
  history: History,
  faults: Record<string, number>,
  violations: string[],
): Report {
  const posted = [...history.posted.values()];
  const used = new Set(
    history.settled.filter(({ how, status }) => how === 'use' && status === 204).map(({ value }) => value),
  );
  const times = history.postMs.toSorted((a, b) => a - b);
  const part = (share: number): number => Math.round(times[Math.floor((times.length - 1) * share)] ?? 0);
  const kept = posted.filter(({ ackedAt }) => ackedAt !== undefined).length;
  return {
    seed,
    seconds: secondsSince(begun),
    operations: operationsIn(history),
    counts: Object.fromEntries([...history.counts].sort(([a], [b]) => a.localeCompare(b))),
    faults,
    tokens: { posted: posted.length, kept, used: used.size, left: posted.length - used.size },
    postMs: {
      median: part(0.5),
      p99: part(0.99),
      slowest: part(1),
      overOneSecond: times.filter((ms) => ms > 1000).length,
    },
    violations,
  };
}

function operationsIn({ counts }: History): number {
  return [...counts.values()].reduce((sum, one) => sum + one, 0);
}

function secondsSince(begun: number): number {
  return Math.round((performance.now() - begun) / 1000);
}
