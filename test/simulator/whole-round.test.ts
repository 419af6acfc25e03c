/**
 * The whole round: simulator → service → token source → flow. The service is a process of its own, as built; every
 * scenario of the demo is a test, each flow with each fault among them.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCaratClient, openRechargeNotes, type RechargeNotes } from '../../src/carat/index.ts';
import { createTokenSource, createWorkerClient } from '../../src/client/index.ts';
import { runDemo } from '../../src/simulator/demo/demo.ts';
import { createPrinter } from '../../src/simulator/demo/narrator.ts';
import { DEMO_MERCHANT, type Receiver, startReceiver } from '../../src/simulator/demo/receiver.ts';
import { endOf, SCENARIOS, type Stage } from '../../src/simulator/demo/scenarios.ts';
import { createSimulator, type Simulator } from '../../src/simulator/simulator.ts';

/** The service as `npm run build` leaves it. */
const MAIN = new URL('../../dist/main.js', import.meta.url).pathname;

describe('the whole round', () => {
  let receiver: Receiver;
  let simulator: Simulator;
  let notes: RechargeNotes;
  let folder: string;
  let stage: Stage;
  beforeAll(async () => {
    simulator = createSimulator({ authenticityUrl: 'http://127.0.0.1:1/' });
    await simulator.listen();
    receiver = await startReceiver(simulator.addresses(), MAIN);
    simulator.postTo(receiver.authenticityUrl);
    folder = await mkdtemp(join(tmpdir(), 'demo-'));
    notes = await openRechargeNotes(folder);
    const client = createCaratClient({
      environment: 'homologation',
      ...DEMO_MERCHANT,
      addresses: simulator.addresses(),
    });
    const service = createWorkerClient({ url: receiver.workerUrl });
    stage = { client, source: createTokenSource(service), service, notes, simulator };
  });
  afterAll(async () => {
    await notes.close();
    await rm(folder, { recursive: true });
    await simulator.close();
    expect(await receiver.stop()).toBe(0);
  });

  it.each(SCENARIOS.map((scenario) => [scenario.name, scenario] as const))('%s', async (_scenario, scenario) => {
    expect(await endOf(scenario, stage)).toBe(scenario.expects);
    expect(await notes.all()).toEqual([]);
  });

  it('answered every authenticity post 200', () => {
    expect(simulator.world.posts.length).toBeGreaterThan(30);
    expect(simulator.world.posts.filter(({ status }) => status !== 200)).toEqual([]);
  });

  it('reports a scenario that does not end as expected', async () => {
    const wrong = { name: 'wrong', expects: 'something else', run: async () => 'this' };
    const said: string[] = [];
    const print = createPrinter((text) => said.push(text), false);
    expect(await runDemo({ ...stage, print, scenarios: [wrong] })).toEqual(['wrong']);
    expect(said.join('')).toContain('0 of 1 ended as expected');
  });
});
