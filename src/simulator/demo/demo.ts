/** Sets up and runs the scenarios: simulator → receiver → token source → client → flows. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCaratClient, openRechargeNotes, type TokenSource } from '../../carat/index.ts';
import type { Asks } from '../../client/index.ts';
import type { Simulator } from '../simulator.ts';
import { type Print, printCall, printPost, reportingAsks, reportingSource } from './narrator.ts';
import { DEMO_MERCHANT } from './receiver.ts';
import { endOf, SCENARIOS, type Scenario } from './scenarios.ts';

export interface DemoOptions {
  /** Serves Carat's calls, and posts to the receiver. */
  simulator: Simulator;
  /** The flows' source of tokens: a client of the receiver. */
  source: TokenSource;
  /** The receiver, which asks Carat directly. */
  service: Asks;
  print: Print;
  scenarios?: readonly Scenario[];
}

/** Runs all scenarios in turn; returns the names of the failed ones. */
export async function runDemo({
  simulator,
  source,
  service,
  print,
  scenarios = SCENARIOS,
}: DemoOptions): Promise<string[]> {
  const started = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'carat-demo-notes-'));
  const notes = await openRechargeNotes(folder);
  const failed: string[] = [];
  try {
    simulator.events.on('post', (post) => printPost(print, post));
    const client = createCaratClient({
      environment: 'homologation',
      ...DEMO_MERCHANT,
      addresses: simulator.addresses(),
      timeoutMs: 10_000,
      onCall: (report) => printCall(print, report),
    });
    const stage = {
      client,
      source: reportingSource(print, source),
      service: reportingAsks(print, service),
      notes,
      simulator,
    };
    for (const scenario of scenarios) {
      const { name, expects } = scenario;
      print({ step: 'scenario', name, expects });
      const began = performance.now();
      const came = await endOf(scenario, stage);
      const ok = came === expects;
      if (!ok) failed.push(name);
      print({ step: 'end', name, ok, came, ms: performance.now() - began });
    }
    if ((await notes.all()).length > 0) failed.push('every recharge was confirmed or undone');
  } finally {
    await notes.close();
    await rm(folder, { recursive: true, force: true });
  }
  print({ step: 'summary', scenarios: scenarios.length, failed, ms: performance.now() - started });
  return failed;
}
