/**
 * A worker is killed between effect and confirmation, and restarted: the recharge ends confirmed or
 * undone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCaratClient, openRechargeNotes, type Recovered, recoverRecharges } from '../../src/carat/index.ts';
import { createSimulator, type Simulator } from '../../src/simulator/simulator.ts';

const WORKER = new URL('../support/recharge-worker.mjs', import.meta.url).pathname;

let simulator: Simulator;
let folder: string;
let children: ChildProcess[] = [];
beforeEach(async () => {
  simulator = createSimulator({ authenticityUrl: 'http://127.0.0.1:1/' });
  await simulator.listen();
  folder = await mkdtemp(join(tmpdir(), 'killed-'));
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await simulator.close();
  await rm(folder, { recursive: true });
});

interface Worker {
  child: ChildProcess;
  /** The next line that it prints. */
  next(): Promise<unknown>;
  ended: Promise<unknown[]>;
}

function start(...args: string[]): Worker {
  const { portal, recharge } = simulator.addresses();
  const [what = '', ...rest] = args;
  const child = spawn(process.execPath, [WORKER, what, portal, recharge, folder, ...rest], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, ended: once(child, 'exit'), next: async () => JSON.parse((await lines.next()).value) };
}

async function startRecharge(decision: string): Promise<Worker> {
  const worker = start('recharge', decision);
  const { url } = (await worker.next()) as { url: string };
  simulator.postTo(url);
  worker.child.stdin?.write('go\n');
  return worker;
}

async function kill({ child, ended }: Worker): Promise<void> {
  child.kill('SIGKILL');
  expect(await ended).toEqual([null, 'SIGKILL']);
}

/** The recovery of a restarted worker, in this process with a newly opened folder. */
async function recovered(): Promise<Recovered[]> {
  const notes = await openRechargeNotes(folder);
  const options = {
    environment: 'homologation',
    merchantId: 'LOJA1',
    merchantKey: 'CHAVESECRETA0123456789ABCDEF',
  } as const;
  const client = createCaratClient({ ...options, addresses: simulator.addresses() });
  const ended = await recoverRecharges({ client, notes }, { firstDelayMs: 10, maxDelayMs: 50 });
  expect(await notes.all()).toEqual([]);
  await notes.close();
  return ended;
}

const status = () => [...simulator.world.recharges.values()][0]?.status;
const release = () => fetch(new URL('/simulator/release', simulator.addresses().portal), { method: 'POST' });

describe('a recharge whose process is killed', () => {
  it('is undone when killed while the caller decides', async () => {
    const worker = await startRecharge('wait');
    expect(await worker.next()).toBe('deciding');
    expect(status()).toBe('PPC');
    await kill(worker);
    expect(await recovered()).toMatchObject([{ end: 'undone', status: 'PPN', decision: 'undo' }]);
    expect(status()).toBe('PPN');
  });

  it.each([
    ['recharges.effect', 'hold-answer', 'undone', 'PPN'],
    ['recharges.confirm', 'hold', 'confirmed', 'CON'],
    ['recharges.confirm', 'hold-answer', 'confirmed', 'CON'],
  ] as const)('killed during %s (%s): %s', async (call, fault, end, left) => {
    simulator.plan({ fault, call });
    const held = once(simulator.events, 'held');
    const worker = await startRecharge('confirm');
    await held;
    await kill(worker);
    expect(await recovered()).toMatchObject([{ end, status: left }]);
    expect(status()).toBe(left);
  });

  it('is undone when killed during the effect request, which Carat then carries out', async () => {
    simulator.plan({ fault: 'hold', call: 'recharges.effect' });
    const held = once(simulator.events, 'held');
    const worker = await startRecharge('confirm');
    await held;
    await kill(worker);
    expect(status()).toBe('NOV');
    const recovering = recovered();
    // The recovery first gets the status NOV, which is not an end.
    while (!simulator.world.calls.some(({ call }) => call === 'recharges.query'))
      await once(simulator.app.server, 'request');
    await release();
    expect(await recovering).toMatchObject([{ end: 'undone', status: 'PPN' }]);
    expect(status()).toBe('PPN');
  });

  it('is settled when killed again during the recovery', async () => {
    const worker = await startRecharge('wait');
    await worker.next();
    await kill(worker);
    simulator.plan({ fault: 'hold', call: 'recharges.confirm' });
    const held = once(simulator.events, 'held');
    const recovery = start('recover');
    await held;
    await kill(recovery);
    const restarted = start('recover');
    const [said, ended] = await Promise.all([restarted.next(), restarted.ended]);
    expect(said).toMatchObject({ recovered: [{ end: 'undone', status: 'PPN' }] });
    expect(ended).toEqual([0, null]);
    expect(await recovered()).toEqual([]);
  });
});

it('undoes the recharge and exits with 0 at SIGTERM while the caller decides', async () => {
  const worker = await startRecharge('wait');
  expect(await worker.next()).toBe('deciding');
  worker.child.kill('SIGTERM');
  expect(await worker.next()).toMatchObject({ outcome: { outcome: 'undone', because: 'aborted', status: 'PPN' } });
  expect(await worker.ended).toEqual([0, null]);
  expect(status()).toBe('PPN');
});
