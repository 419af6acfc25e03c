/**
 * The whole round: simulator → service → token source → flow. The service is a process of its own, as built; every
 * scenario of the demo is a test here, against each store.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCaratClient, openRechargeNotes, type RechargeNotes } from '../../src/carat/index.ts';
import { runDemo } from '../../src/demo/demo.ts';
import { createHttpTokenSource } from '../../src/demo/http-token-source.ts';
import { teller } from '../../src/demo/narrator.ts';
import { type Receiver, startReceiver } from '../../src/demo/receiver.ts';
import { endOf, SCENARIOS, type Stage } from '../../src/demo/scenarios.ts';
import { createSimulator, type Simulator } from '../../src/simulator/simulator.ts';

const DIST = new URL('../../dist/', import.meta.url).pathname;
const STORES: [name: string, env: () => Promise<Record<string, string>>][] = [['the embedded store', async () => ({})]];

describe.each(STORES)('on %s', (_name, env) => {
  let receiver: Receiver;
  let simulator: Simulator;
  let notes: RechargeNotes;
  let folder: string;
  let stage: Stage;
  beforeAll(async () => {
    receiver = await startReceiver(await env(), join(DIST, 'main.js'));
    simulator = createSimulator({ authenticityUrl: receiver.authenticityUrl });
    await simulator.listen();
    folder = await mkdtemp(join(tmpdir(), 'demo-'));
    notes = await openRechargeNotes(folder);
    const client = createCaratClient({
      environment: 'homologation',
      merchantId: 'DEMO',
      merchantKey: 'DEMOKEY0123456789',
      addresses: simulator.addresses(),
    });
    stage = { client, source: createHttpTokenSource({ url: receiver.workerUrl }), notes, simulator };
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

  it('is told of a scenario that does not end as it should', async () => {
    const wrong = { name: 'wrong', expects: 'something else', run: async () => 'this' };
    const said: string[] = [];
    const tell = teller((text) => said.push(text), false);
    expect(await runDemo({ receiver, source: stage.source, tell, scenarios: [wrong] })).toEqual(['wrong']);
    expect(said.join('')).toContain('0 of 1 ended as they should');
  });
});

describe('npm run demo', () => {
  async function demo(...args: string[]): Promise<{ code: number | null; text: string }> {
    const child = spawn(process.execPath, [join(DIST, 'demo/main.js'), ...args], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    const [code] = await once(child, 'close');
    return { code, text: Buffer.concat(chunks).toString() };
  }

  it('exits with 0, and tells no token, key or card', async () => {
    const { code, text } = await demo('--json', '--only', 'with payment');
    expect(code).toBe(0);
    const steps = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(steps.at(-1)).toMatchObject({ step: 'summary', scenarios: 2, failed: [] });
    const post = steps.find(({ step }) => step === 'post');
    expect(post).toMatchObject({ by: 'recharges.begin', token: expect.stringMatching(/^[0-9a-f]{8}$/), answered: 200 });
    expect(text).not.toMatch(/[0-9a-f]{32}|DEMOKEY|5{12}/);
  });

  it('refuses a filter that leaves nothing', async () => {
    expect(await demo('--only', 'nothing of that name')).toEqual({ code: 2, text: '' });
  });
});
