/**
 * Recharges whose worker or instance is killed. They end as decided, or undone without a decision.
 */
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createCaratClient } from '../../src/carat/index.ts';
import type { FaultName } from '../../src/simulator/faults.ts';
import { createSimulator, type Simulator } from '../../src/simulator/simulator.ts';
import { ORDER } from '../support/carat.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { ServiceProcess } from '../support/service-process.ts';
import { until } from '../support/until.ts';
import { CREDENTIALS, caratEnv } from './world.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

let simulator: Simulator;
let folder: string;
let processes: ServiceProcess[];
beforeEach(async () => {
  await redis.command('FLUSHALL');
  simulator = createSimulator({ authenticityUrl: 'http://127.0.0.1:1/' });
  await simulator.listen();
  folder = await mkdtemp(join(tmpdir(), 'owed-'));
  processes = [];
});
afterEach(async () => {
  for (const one of processes) await one.kill();
  await simulator.close();
  await rm(folder, { recursive: true });
});

async function start(name: string, env: Record<string, string>): Promise<ServiceProcess> {
  const { portal, recharge } = simulator.addresses();
  const dataDir = { DATA_DIR: join(folder, name) };
  const service = await ServiceProcess.start({ env: { ...caratEnv(portal, recharge), ...dataDir, ...env } });
  processes.push(service);
  return service;
}

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
const status = (nit: string) => simulator.world.recharges.get(nit)?.status;
const release = () => fetch(new URL('/simulator/release', simulator.url), { method: 'POST' });

/** A recharge through a service, effected at Carat. */
async function effected(service: ServiceProcess): Promise<string> {
  simulator.postTo(`http://127.0.0.1:${service.authenticityPort}/authenticity`);
  const asked = await known(`${service.workerUrl}/v1/recharges`, 'POST', { merchant_usn: '77', settle_within: 30 });
  const nit = String(asked.json['nit']);
  const client = createCaratClient({ environment: 'homologation', ...CREDENTIALS, addresses: simulator.addresses() });
  await client.recharges.effect({ nit, order: ORDER });
  return nit;
}

describe.each([
  ['the embedded store, started again', () => ({}), 'one'],
  ['Redis, another instance', () => ({ STORE_URL: redis.url }), 'other'],
] as const)('a recharge on %s', (_store, env, next) => {
  /** Kills the instance. Returns the state of the recharge at its successor. */
  async function endAfterKill(service: ServiceProcess, other: ServiceProcess | undefined, nit: string) {
    expect(await service.kill()).toEqual({ code: null, signal: 'SIGKILL' });
    await release();
    const after = other ?? (await start('one', env()));
    return (await known(`${after.workerUrl}/v1/recharges/${nit}?wait=60`)).json;
  }
  const startBoth = async (): Promise<[ServiceProcess, ServiceProcess | undefined]> => [
    await start('one', env()),
    next === 'other' ? await start('other', env()) : undefined,
  ];

  it('is undone by the guard when no worker decides', async () => {
    const service = await start('one', env());
    const nit = await effected(service);
    const { json: state } = await known(`${service.workerUrl}/v1/recharges/${nit}?wait=60`);
    expect(state).toMatchObject({ decision: 'undo', decided_by: 'guard', end: 'undone', status: 'PPN' });
    const late = await known(`${service.workerUrl}/v1/recharges/${nit}`, 'PUT', { decision: 'confirm' });
    expect([late.status, late.json['code']]).toEqual([409, 'decided']);
    const logged = () => service.events('recharge').map(({ what }) => what);
    await until('its end is logged', () => logged().length === 3);
    expect(logged()).toEqual(['handed_out', 'guard_undo', 'undone']);
  });

  it('is undone by the guard when the instance is killed before a decision', async () => {
    const [service, other] = await startBoth();
    const nit = await effected(service);
    const state = await endAfterKill(service, other, nit);
    expect(state).toMatchObject({ decision: 'undo', decided_by: 'guard', end: 'undone', status: 'PPN' });
    expect(status(nit)).toBe('PPN');
  });

  it.each<[string, 'confirm' | 'undo', FaultName, string, string, string]>([
    ['while the undoing is on its way', 'undo', 'hold', 'recharges.confirm', 'undone', 'PPN'],
    ['after Carat undid it, unseen', 'undo', 'hold-answer', 'recharges.confirm', 'undone', 'PPN'],
    ['before Carat receives the confirmation', 'confirm', 'hold', 'recharges.query', 'confirmed', 'CON'],
    ['after Carat confirmed it, unseen', 'confirm', 'hold-answer', 'recharges.confirm', 'confirmed', 'CON'],
  ])('ends as decided when the instance is killed %s', async (_when, decision, fault, call, end, left) => {
    const [service, other] = await startBoth();
    const nit = await effected(service);
    simulator.plan({ fault, call });
    const held = once(simulator.events, 'held');
    const deciding = json(`${service.workerUrl}/v1/recharges/${nit}`, 'PUT', { decision }).catch(() => undefined);
    await held;
    const state = await endAfterKill(service, other, nit);
    await deciding;
    expect(state).toMatchObject({ decision, decided_by: 'worker', end, status: left });
    expect(status(nit)).toBe(left);
  });
});
