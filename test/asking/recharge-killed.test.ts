/**
 * Recharges whose worker or instance is killed. They end as decided, or undone without a decision.
 * The tests run at once, because most wait for the time in which a worker may decide.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, type TestContext } from 'vitest';
import { createCaratClient } from '../../src/carat/index.ts';
import type { FaultName } from '../../src/simulator/faults.ts';
import { createSimulator, type Simulator } from '../../src/simulator/simulator.ts';
import { ORDER } from '../support/carat.ts';
import { startRedis } from '../support/redis.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';
import { CREDENTIALS, caratEnv } from './world.ts';

const json = async (url: string, method = 'GET', body?: object) => {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(url, { method, ...(body && { headers, body: JSON.stringify(body) }) });
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> };
};
/** Asks until the store answers, as a worker does: on a slow machine, Redis may be away for a moment. */
const known = (...request: Parameters<typeof json>) =>
  until('the store answers', async () => {
    const answer = await json(...request);
    return answer.status !== 503 && answer;
  });

/** A simulated Carat, and services that ask it: one on the embedded store, or several on a Redis. */
class World {
  readonly simulator: Simulator;
  readonly #folder: string;
  readonly #env: Record<string, string>;
  readonly #processes: ServiceProcess[] = [];

  private constructor(simulator: Simulator, folder: string, env: Record<string, string>) {
    this.simulator = simulator;
    this.#folder = folder;
    this.#env = env;
  }

  /** Ends with the test. */
  static async start(isOnRedis: boolean, { onTestFinished }: TestContext): Promise<World> {
    const redis = isOnRedis ? await startRedis() : undefined;
    const simulator = createSimulator({ authenticityUrl: 'http://127.0.0.1:1/' });
    await simulator.listen();
    const folder = await mkdtemp(join(tmpdir(), 'owed-'));
    const world = new World(simulator, folder, redis === undefined ? {} : { STORE_URL: redis.url });
    onTestFinished(async () => {
      for (const one of world.#processes) await one.kill();
      await simulator.close();
      await rm(folder, { recursive: true });
      await redis?.stop();
    });
    return world;
  }

  async service(name: string, env: Record<string, string> = {}): Promise<ServiceProcess> {
    const { portal, recharge } = this.simulator.addresses();
    const dataDir = { DATA_DIR: join(this.#folder, name) };
    const service = await ServiceProcess.start({
      env: { ...caratEnv(portal, recharge), ...dataDir, ...this.#env, ...env },
    });
    this.#processes.push(service);
    return service;
  }

  /** Stops the service that was started last. */
  async stop(): Promise<void> {
    const service = this.#processes.at(-1) as ServiceProcess;
    service.signal('SIGTERM');
    expect(await service.exited).toEqual({ code: 0, signal: null });
  }

  /** A recharge through a service, effected at Carat. */
  async effected(service: ServiceProcess): Promise<string> {
    const { simulator } = this;
    simulator.postTo(`http://127.0.0.1:${service.authenticityPort}/authenticity`);
    const asked = await known(`${service.workerUrl}/v1/recharges`, 'POST', { merchant_usn: '77', settle_within: 30 });
    const nit = String(asked.json['nit']);
    const client = createCaratClient({ environment: 'homologation', ...CREDENTIALS, addresses: simulator.addresses() });
    await client.recharges.effect({ nit, order: ORDER });
    return nit;
  }

  /** The status of a recharge at Carat. */
  status(nit: string): string | undefined {
    return this.simulator.world.recharges.get(nit)?.status;
  }

  async release(): Promise<void> {
    await fetch(new URL('/simulator/release', this.simulator.url), { method: 'POST' });
  }
}

describe.concurrent.each([
  ['the embedded store, started again', false],
  ['Redis, another instance', true],
] as const)('a recharge on %s', (_store, isOnRedis) => {
  async function start(
    test: TestContext,
  ): Promise<{ world: World; service: ServiceProcess; other: ServiceProcess | undefined }> {
    const world = await World.start(isOnRedis, test);
    const service = await world.service('one');
    return { world, service, other: isOnRedis ? await world.service('other') : undefined };
  }

  /** Kills the instance. Returns the state of the recharge at its successor. */
  async function endAfterKill({ world, service, other }: Awaited<ReturnType<typeof start>>, nit: string) {
    expect(await service.kill()).toEqual({ code: null, signal: 'SIGKILL' });
    await world.release();
    const after = other ?? (await world.service('one'));
    return (await known(`${after.workerUrl}/v1/recharges/${nit}?wait=60`)).json;
  }

  it('is undone by the guard when no worker decides', async (test) => {
    const world = await World.start(isOnRedis, test);
    const service = await world.service('one');
    const nit = await world.effected(service);
    const { json: state } = await known(`${service.workerUrl}/v1/recharges/${nit}?wait=60`);
    expect(state).toMatchObject({ decision: 'undo', decided_by: 'guard', end: 'undone', status: 'PPN' });
    const late = await known(`${service.workerUrl}/v1/recharges/${nit}`, 'PUT', { decision: 'confirm' });
    expect([late.status, late.json['code']]).toEqual([409, 'decided']);
    const logged = () => service.events('recharge').map(({ what }) => what);
    await until('its end is logged', () => logged().length === 3);
    expect(logged()).toEqual(['handed_out', 'guard_undo', 'undone']);
  });

  it('is undone by the guard when the instance is killed before a decision', async (test) => {
    const started = await start(test);
    const { world, service } = started;
    const nit = await world.effected(service);
    const state = await endAfterKill(started, nit);
    expect(state).toMatchObject({ decision: 'undo', decided_by: 'guard', end: 'undone', status: 'PPN' });
    expect(world.status(nit)).toBe('PPN');
  });

  it('is reported when the credentials are gone, and settled when they are back', async (test) => {
    const world = await World.start(isOnRedis, test);
    const nit = await world.effected(await world.service('one'));
    await world.stop();
    const without = await world.service('one', { CARAT_CREDENTIALS: '' });
    await until('the owed recharge is reported', () => without.troubles('recharge_owed').length > 0);
    expect(without.troubles('recharge_owed')).toMatchObject([{ level: 50, merchant: 'default', owed: 1 }]);
    await world.stop();
    const again = await world.service('one');
    const decided = await known(`${again.workerUrl}/v1/recharges/${nit}`, 'PUT', { decision: 'confirm' });
    expect(decided.json).toMatchObject({ end: 'confirmed' });
    expect(world.status(nit)).toBe('CON');
  });

  it.for<[string, 'confirm' | 'undo', FaultName, string, string, string]>([
    ['while the undoing is on its way', 'undo', 'hold', 'recharges.confirm', 'undone', 'PPN'],
    ['after Carat undid it, unseen', 'undo', 'hold-answer', 'recharges.confirm', 'undone', 'PPN'],
    ['before Carat receives the confirmation', 'confirm', 'hold', 'recharges.query', 'confirmed', 'CON'],
    ['after Carat confirmed it, unseen', 'confirm', 'hold-answer', 'recharges.confirm', 'confirmed', 'CON'],
  ])('ends as decided when the instance is killed %s', async ([_when, decision, fault, call, end, left], test) => {
    const started = await start(test);
    const { world, service } = started;
    const { simulator } = world;
    const nit = await world.effected(service);
    simulator.plan({ fault, call });
    const held = once(simulator.events, 'held');
    const deciding = json(`${service.workerUrl}/v1/recharges/${nit}`, 'PUT', { decision }).catch(() => undefined);
    await held;
    const state = await endAfterKill(started, nit);
    await deciding;
    expect(state).toMatchObject({ decision, decided_by: 'worker', end, status: left });
    expect(world.status(nit)).toBe(left);
  });
});
