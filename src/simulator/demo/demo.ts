/** Sets up and runs the scenarios: simulator → receiver → token source → client → flows. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCaratClient, openRechargeNotes, type TokenSource } from '../../carat/index.ts';
import type { Asks } from '../../client/index.ts';
import type { Simulator } from '../simulator.ts';
import { type Tell, tellCall, tellPost, toldAsks, toldSource } from './narrator.ts';
import { DEMO_MERCHANT } from './receiver.ts';
import { endOf, SCENARIOS, type Scenario } from './scenarios.ts';

export interface DemoOptions {
  /** Serves Carat's calls, and posts to the receiver. */
  simulator: Simulator;
  /** The flows' source of tokens: a client of the receiver. */
  source: TokenSource;
  /** The receiver, which asks Carat directly. */
  service: Asks;
  tell: Tell;
  scenarios?: readonly Scenario[];
}

/** Runs all scenarios in turn; returns the names of the failed ones. */
export async function runDemo({
  simulator,
  source,
  service,
  tell,
  scenarios = SCENARIOS,
}: DemoOptions): Promise<string[]> {
  const started = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'carat-demo-notes-'));
  const notes = await openRechargeNotes(folder);
  const failed: string[] = [];
  try {
    simulator.events.on('post', (post) => tellPost(tell, post));
    const client = createCaratClient({
      environment: 'homologation',
      ...DEMO_MERCHANT,
      addresses: simulator.addresses(),
      timeoutMs: 10_000,
      onCall: (report) => tellCall(tell, report),
    });
    const stage = { client, source: toldSource(tell, source), service: toldAsks(tell, service), notes, simulator };
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
  }
  tell({ step: 'summary', scenarios: scenarios.length, failed, ms: performance.now() - started });
  return failed;
}
