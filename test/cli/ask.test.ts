/** The commands that ask Carat, as processes, against the service and the simulator. */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AskingWorld, startAskingWorld } from '../asking/world.ts';
import { runCli } from '../support/run.ts';

const VALUE = /^[0-9a-f]{64}$/;
const KEY = 'a-key-that-nobody-may-see';
const SID = 'a1'.repeat(32);

let world: AskingWorld;
let env: Record<string, string>;
beforeEach(async () => {
  const paths = { AUTHENTICITY_PATHS: 'default=/authenticity,other=/other' };
  world = await startAskingWorld({ env: { ...paths, WORKER_API_KEYS: KEY } });
  env = { WORKER_URL: world.services[0]?.service.workerUrl ?? '', WORKER_API_KEY: KEY };
});
afterEach(() => world.close());

const askRecharge = async (usn: string): Promise<string> =>
  (await runCli(['ask', 'recharge', '--merchant-usn', usn], env)).out.trim();

describe('ask', () => {
  it('prints the SEID of a schedule edit with its merchant_data', async () => {
    const ran = await runCli(['ask', 'schedule-edit', '--sid', await world.sid(), '--merchant-data', 'mine1'], env);
    expect(ran).toEqual({ code: 0, out: expect.stringMatching(/^[0-9a-f]{64}\n$/), error: 'merchant_data mine1\n' });
  });

  it.each(['generic-token', 'merchant-token'])('prints a %s, or the whole answer as JSON', async (what) => {
    expect((await runCli(['ask', what], env)).out.trim()).toMatch(VALUE);
    const { out } = await runCli(['ask', what, '--json'], env);
    expect(JSON.parse(out)).toMatchObject({ token: expect.stringMatching(VALUE), carat: { code: '0' } });
  });

  it('prints the NIT of a cancellation, and reports a lost answer', async () => {
    const esitefUsn = await world.payment('7001');
    world.simulator.plan({ fault: 'closed-connection', call: 'cancellations.begin' });
    const ran = await runCli(['ask', 'cancellation', '--esitef-usn', esitefUsn, '--merchant-usn', '7001'], env);
    expect(ran).toMatchObject({ code: 0, error: "Carat's answer was lost; the operation lives\n" });
    expect(ran.out.trim()).toMatch(VALUE);
  });

  it('prints the NIT of a recharge and the deadline of the decision', async () => {
    const options = ['--merchant-usn', '1', '--order-id', 'P-1', '--type', 'normal', '--settle-within', '60'];
    const ran = await runCli(['ask', 'recharge', ...options], env);
    expect(ran).toMatchObject({ code: 0, error: expect.stringMatching(/^confirm or undo it by \d{4}-.*Z/) });
    expect(ran.out.trim()).toMatch(VALUE);
  });

  it.each([
    ['denied', 1, 'carat_refused'],
    ['no-post', 3, 'no_post'],
    ['closed-early', 4, 'carat_unreachable'],
  ] as const)('exits after %s with %i', async (fault, code, says) => {
    world.simulator.plan({ fault, call: 'genericOperations.askToken' });
    const ran = await runCli(['ask', 'generic-token', '--timeout', '1', '--json'], env);
    expect([ran.code, ran.out, JSON.parse(ran.error)]).toEqual([code, '', expect.objectContaining({ error: says })]);
  });

  it.each([
    [[], 'got nothing'],
    [['everything'], 'got "everything"'],
    [['schedule-edit'], 'expected --sid'],
    [['recharge', '--merchant-usn', '1', '--sid', SID], '--sid is not an option'],
    [['recharge', '--merchant-usn', '1', '--settle-within', 'soon'], 'expected seconds'],
    [['generic-token', '--merchant', 'other'], 'CARAT_CREDENTIALS'],
    [['schedule-edit', '--sid', 'short'], 'exactly 64'],
  ])('%j: one clear line, exit 2', async (args, says) => {
    const ran = await runCli(['ask', ...args], env);
    expect([ran.code, ran.out]).toEqual([2, '']);
    expect(ran.error).toContain(says);
    expect(ran.error.trim().split('\n')).toHaveLength(1);
  });
});

describe('recharge', () => {
  it('confirms, shows the end, and refuses the other decision', async () => {
    const nit = await askRecharge('11');
    const shown = await runCli(['recharge', nit, 'show'], env);
    expect(shown).toMatchObject({ code: 0, out: expect.stringContaining('undecided; the service undoes it at') });
    await world.effect(nit);
    expect(await runCli(['recharge', nit, 'confirm'], env)).toEqual({ code: 0, out: 'confirmed CON\n', error: '' });
    expect(await runCli(['recharge', nit, 'show'], env)).toEqual({ code: 0, out: 'confirmed CON\n', error: '' });
    const other = await runCli(['recharge', nit, 'undo'], env);
    expect([other.code, other.error]).toEqual([6, expect.stringContaining('confirm')]);
  });

  it('exits with 3 while a decided recharge has not ended, and prints its end later', async () => {
    const nit = await askRecharge('12');
    await world.effect(nit);
    world.simulator.plan({ fault: 'hold', call: 'recharges.query' });
    const held = once(world.simulator.events, 'held');
    const deciding = runCli(['recharge', nit, 'undo', '--timeout', '1', '--json'], env);
    await held;
    const { code, out } = await deciding;
    expect([code, JSON.parse(out)]).toEqual([3, expect.objectContaining({ decision: 'undo', end: null })]);
    await fetch(new URL('/simulator/release', world.simulator.url), { method: 'POST' });
    const shown = await runCli(['recharge', nit, 'show', '--timeout', '60'], env);
    expect(shown).toEqual({ code: 0, out: 'undone PPN\n', error: '' });
  });

  it.each([
    [[SID, 'show'], 1, 'unknown_recharge'],
    [[SID], 2, 'expected a NIT and one of confirm, undo, show'],
    [[SID, 'maybe'], 2, 'expected a NIT'],
  ])('%j: exit %i', async (args, code, says) => {
    const ran = await runCli(['recharge', ...args], env);
    expect([ran.code, ran.out]).toEqual([code, '']);
    expect(ran.error).toContain(says);
  });
});
