/**
 * The faults of a run: of Redis, the network, an instance, its clock, its disk, its keys or its
 * version.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fakeClock } from '../support/fake-clock.ts';
import type { Random } from '../support/random.ts';
import { MASTERS } from '../support/redis-cluster.ts';
import { releasedMain } from '../support/release.ts';
import type { Mode } from '../support/tcp-proxy-mode.ts';
import { until } from '../support/until.ts';
import { CURRENT_MAIN, MERCHANTS, type Player, type Stage, untilTogether } from './cast.ts';

export interface Nemesis {
  name: string;
  /** The first release of both instances. Such a nemesis runs first, and once. */
  from?: '1.0.0';
  /** The run is on a Redis Cluster. Such a nemesis is the only one of its run. */
  on?: 'cluster';
  /** Resolves when the fault has ended. */
  run(stage: Stage, random: Random, signal: AbortSignal): Promise<void>;
}

/** Longer than any lease, and longer than a token's lifetime in a short run. */
const STEPS_SECONDS = [3600, 1200, -600, -3600];

const MODES: Mode[] = [
  { kind: 'refuse' },
  { kind: 'reset' },
  { kind: 'slow', toServer: 150, toClient: 150 },
  { kind: 'stall', direction: 'both' },
  { kind: 'stall', direction: 'to server' },
  { kind: 'stall', direction: 'to client' },
  { kind: 'blackhole', direction: 'both' },
  { kind: 'blackhole', direction: 'to client' },
  { kind: 'limit', toServer: 3000, toClient: 3000 },
];

const NEMESES: readonly Nemesis[] = [
  {
    name: 'kill Redis',
    async run({ redis }, random, signal) {
      await redis.kill();
      await pause(200 + random.below(1500), signal);
      await redis.restart();
    },
  },
  {
    name: 'Redis comes back empty',
    async run({ redis, players }, random, signal) {
      await redis.kill();
      await pause(random.pick([0, 4000]), signal);
      await redis.restartEmpty();
      await untilTogether(players);
    },
  },
  {
    name: 'Redis loses its data',
    async run({ redis, players }) {
      await redis.command('FLUSHALL');
      await untilTogether(players);
    },
  },
  {
    name: 'Redis comes back empty, one instance after the other',
    async run({ redis, players }, random, signal) {
      const { proxy } = random.pick(players);
      await proxy.mode({ kind: 'refuse' });
      proxy.cut();
      await pause(500 + random.below(1500), signal);
      await redis.restartEmpty();
      await pause(random.below(2000), signal);
      await proxy.mode({ kind: 'pass' });
      await untilTogether(players);
    },
  },
  {
    name: 'hang Redis',
    async run({ redis }, random, signal) {
      redis.hang();
      await pause(100 + random.below(3500), signal);
      redis.resume();
    },
  },
  {
    name: 'flap Redis',
    async run({ redis }, _random, signal) {
      for (let round = 0; round < 3; round++) {
        redis.hang();
        await pause(300, signal);
        redis.resume();
        await pause(300, signal);
      }
    },
  },
  {
    name: 'trouble on the way',
    async run({ players }, random, signal) {
      const { proxy } = random.pick(players);
      await proxy.mode(random.pick(MODES));
      if (random.below(2) === 0) proxy.cut();
      await pause(200 + random.below(3500), signal);
      await proxy.mode({ kind: 'pass' });
    },
  },
  {
    name: 'trouble on both ways',
    async run({ players }, random, signal) {
      for (const { proxy } of players) await proxy.mode(random.pick(MODES));
      await pause(200 + random.below(2500), signal);
      for (const { proxy } of players) await proxy.mode({ kind: 'pass' });
    },
  },
  {
    name: 'cut',
    async run({ players }, random) {
      random.pick(players).proxy.cut();
    },
  },
  {
    name: 'forget scripts',
    async run({ redis }) {
      await redis.command('SCRIPT', 'FLUSH');
    },
  },
  {
    name: 'end subscriptions',
    async run({ redis }) {
      await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    },
  },
  {
    name: 'kill an instance',
    async run({ players, onKill }, random, signal) {
      const which = random.below(players.length);
      onKill(which);
      await players[which]?.kill();
      await pause(100 + random.below(800), signal);
      await players[which]?.run();
      onKill(which);
    },
  },
  {
    name: 'kill an instance while Redis hangs',
    async run({ redis, players, onKill }, random, signal) {
      const which = random.below(players.length);
      redis.hang();
      await pause(700, signal);
      onKill(which);
      await players[which]?.kill();
      await players[which]?.run();
      onKill(which);
      await pause(random.below(1000), signal);
      redis.resume();
    },
  },
  {
    name: 'key rotation',
    async run({ players }, random, signal) {
      const key = randomBytes(32).toString('base64');
      for (const player of shuffled(players, random)) {
        // The earlier keys stay: their tokens live longer than the run.
        const before = player.setting('ENCRYPTION_KEYS');
        await player.restart({ env: { ENCRYPTION_KEYS: before === undefined ? key : `${key},${before}` } });
        await pause(1000 + random.below(3000), signal);
      }
    },
  },
  {
    name: 'rolling upgrade',
    from: '1.0.0',
    async run({ players }, random, signal) {
      for (const player of shuffled(players, random)) {
        await pause(4000 + random.below(8000), signal);
        await player.replaceBy(CURRENT_MAIN);
      }
    },
  },
  {
    name: 'volume late',
    async run({ players, onKill }, random, signal) {
      const which = random.below(players.length);
      const player = players[which] as Player;
      const isCutOff = random.below(3) > 0;
      if (isCutOff) {
        await player.proxy.mode({ kind: 'refuse' });
        player.proxy.cut();
        // Posts are now only on its disk.
        await pause(500 + random.below(2000), signal);
      }
      onKill(which);
      await player.kill();
      await player.takeVolume();
      await player.run();
      onKill(which);
      const backs = [() => player.returnVolume(), () => player.proxy.mode({ kind: 'pass' })];
      for (const back of shuffled(backs, random)) {
        await pause(300 + random.below(2000), signal);
        await back();
      }
      await untilTogether(players);
    },
  },
  {
    name: 'clock step',
    async run({ players }, random, signal) {
      const player = random.pick(players);
      const clock = await fakeClock(`${player.setting('DATA_DIR')}.clock`);
      await player.restart({ env: clock.env });
      for (const seconds of [random.pick(STEPS_SECONDS), 0]) {
        const isCutOff = random.below(3) > 0;
        if (isCutOff) {
          await player.proxy.mode({ kind: 'refuse' });
          player.proxy.cut();
          // Posts now expire by its clock only.
          await pause(500 + random.below(1500), signal);
        }
        const steps = await player.api.metric('troubles_total', 'clock_step');
        await clock.set(seconds);
        await until(
          'the step is reported',
          async () => (await player.api.metric('troubles_total', 'clock_step')) > steps,
          60_000,
        );
        await pause(500 + random.below(1500), signal);
        await player.proxy.mode({ kind: 'pass' });
        await untilTogether(players);
      }
      await player.restart({ env: { LD_PRELOAD: '' } });
    },
  },
  {
    name: 'log disk full',
    async run({ players }, random, signal) {
      const player = random.pick(players);
      await player.restart({ stdout: '/dev/full', env: { LOG_LEVEL: 'info' } });
      await pause(500 + random.below(2000), signal);
      player.proxy.cut();
      await pause(500 + random.below(2000), signal);
      await player.restart({ env: { LOG_LEVEL: 'warn' } });
    },
  },
  {
    name: 'slot move',
    on: 'cluster',
    async run({ cluster }, random, signal) {
      if (cluster === undefined) throw new Error('expected a cluster');
      for (const merchant of shuffled(MERCHANTS, random)) {
        const key = `{${merchant}}`;
        const owner = await cluster.masterOf(key);
        const others = cluster.nodes.slice(0, MASTERS).filter((node) => node !== owner);
        await cluster.moveSlot(key, random.pick(others));
        await pause(random.below(1000), signal);
      }
    },
  },
];

/**
 * The nemeses of a run. Without a name: every nemesis of a single Redis. One that starts with an
 * earlier release runs only if the seed is even.
 *
 * @throws Error if no nemesis has the name
 */
export function nemesesFor(seed: number, name?: string): readonly Nemesis[] {
  if (name === undefined) {
    return NEMESES.filter(({ from, on }) => on === undefined && (from === undefined || seed % 2 === 0));
  }
  const chosen = NEMESES.filter((nemesis) => nemesis.name === name);
  if (chosen.length === 0) {
    throw new Error(`expected one of these nemeses: ${NEMESES.map((nemesis) => nemesis.name).join('; ')}`);
  }
  return chosen;
}

/** The first `main.js` of the instances. */
export async function firstMain(nemeses: readonly Nemesis[]): Promise<string> {
  const release = nemeses.find(({ from }) => from !== undefined)?.from;
  return release === undefined ? CURRENT_MAIN : releasedMain(release);
}

/** Runs one nemesis after the other until it is stopped. Ends after the last fault. */
export async function monkey(
  stage: Stage,
  nemeses: readonly Nemesis[],
  random: Random,
  signal: AbortSignal,
  onFault: (name: string) => void,
): Promise<void> {
  // Each runs once before any runs again.
  const again = nemeses.filter(({ from }) => from === undefined);
  const order = nemeses.filter(({ from }) => from !== undefined);
  while (!signal.aborted) {
    if (order.length === 0) order.push(...shuffled(again, random));
    const nemesis = order.pop();
    if (nemesis !== undefined) {
      onFault(nemesis.name);
      await nemesis.run(stage, random, signal);
    }
    await pause(500 + random.below(2000), signal);
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map((item) => ({ item, at: random.next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
