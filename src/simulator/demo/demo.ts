/** Sets the stage and plays the scenarios: simulator → receiver → token source → client → flows. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCaratClient, openRechargeNotes, type TokenSource } from '../../carat/index.ts';
import { createSimulator } from '../simulator.ts';
import { type Tell, tellCall, tellPost, toldSource } from './narrator.ts';
import type { Receiver } from './receiver.ts';
import { endOf, SCENARIOS, type Scenario } from './scenarios.ts';

export interface DemoOptions {
  receiver: Pick<Receiver, 'authenticityUrl'>;
  /** Where the flows get their tokens: a client of the receiver. */
  source: TokenSource;
  tell: Tell;
  scenarios?: readonly Scenario[];
}

/** Plays all scenarios, one after the other; the names of those that did not end as they should. */
export async function runDemo({ receiver, source, tell, scenarios = SCENARIOS }: DemoOptions): Promise<string[]> {
  const started = performance.now();
  const simulator = createSimulator({ authenticityUrl: receiver.authenticityUrl });
  const folder = await mkdtemp(join(tmpdir(), 'carat-demo-notes-'));
  const notes = await openRechargeNotes(folder);
  const failed: string[] = [];
  try {
    await simulator.listen();
    simulator.events.on('post', (post) => tellPost(tell, post));
    const client = createCaratClient({
      environment: 'homologation',
      merchantId: 'DEMO',
      merchantKey: 'DEMOKEY0123456789',
      addresses: simulator.addresses(),
      timeoutMs: 10_000,
      onCall: (report) => tellCall(tell, report),
    });
    const stage = { client, source: toldSource(tell, source), notes, simulator };
    for (const scenario of scenarios) {
      const { name, expects } = scenario;
      tell({ step: 'scenario', name, expects });
      const began = performance.now();
      const came = await endOf(scenario, stage);
      const ok = came === expects;
      if (!ok) failed.push(name);
      tell({ step: 'end', name, ok, came, ms: performance.now() - began });
    }
    if ((await notes.all()).length > 0) failed.push('every recharge was confirmed or undone');
  } finally {
    await notes.close();
    await rm(folder, { recursive: true, force: true });
    await simulator.close();
  }
  tell({ step: 'summary', scenarios: scenarios.length, failed, ms: performance.now() - started });
  return failed;
}
