/**
 * Each flow with each fault: its end, the state of the token and the expectation, and no repeated
 * call.
 */
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CaratError,
  editSchedule,
  type GenericOperationOptions,
  genericOperation,
  TerminalHolds,
} from '../../src/carat/index.ts';
import type { FaultName } from '../../src/simulator/faults.ts';
import {
  activeSchedule,
  errorOf,
  everythingOf,
  PARAMETERS,
  SECRETS,
  startWorld,
  type World,
} from '../support/carat.ts';

let world: World;
let sid: string;
beforeEach(async () => {
  world = await startWorld();
  sid = await activeSchedule(world.client);
});
afterEach(() => world.close());

const GRACE = { graceMs: 5000 };
/** Faults of the call that triggers the post, and how a flow ends: with or without Carat's answer, or with an error. */
const OUTCOMES: [FaultName, string | undefined, 'done' | 'lost' | string][] = [
  ['delay', '30', 'done'],
  ['delay-answer', '30', 'done'],
  ['double-post', undefined, 'done'],
  ['post-after-answer', '20', 'done'],
  ['unknown-fields', undefined, 'done'],
  ['slow-body', '30', 'done'],
  ['odd-charset', undefined, 'done'],
  ['closed-connection', undefined, 'lost'],
  ['hold-answer', undefined, 'lost'],
  ['no-post', undefined, 'no_post'],
  ['closed-early', undefined, 'connection'],
  ['denied', '115', 'denied'],
  ['error-500', undefined, 'unavailable'],
];

/** A call has 600 ms, so a held answer is lost soon. The wait for a missing post is short. */
const optionsFor = (fault: FaultName, outcome: string) => {
  const graceMs = outcome === 'done' || outcome === 'lost' ? 5000 : 100;
  return fault === 'hold-answer' ? { graceMs, timeoutMs: 600 } : { graceMs };
};

describe('editSchedule', () => {
  const edit = (options = {}) =>
    editSchedule(
      { client: world.client, source: world.store.source },
      { sid, changes: { status: 'INA' } },
      { ...GRACE, ...options },
    );

  it('opens the wait before the call, and spends the SEID only after it reported the use', async () => {
    const { answer, lostAnswer } = await edit();
    expect([answer.schedule?.status, answer.schedule_edit?.status, lostAnswer]).toEqual(['INA', 'CON', undefined]);
    expect(world.store.log).toEqual(['announce', 'take', 'post', 'taken', 'used']);
  });

  it.each(OUTCOMES)('%s=%s: %s', async (fault, value, outcome) => {
    world.simulator.plan({ fault, value, call: 'scheduleEdits.begin' });
    const flow = edit(optionsFor(fault, outcome));
    if (outcome === 'done' || outcome === 'lost') {
      const { answer, lostAnswer } = await flow;
      expect(answer.schedule?.status).toBe('INA');
      expect(lostAnswer instanceof CaratError).toBe(outcome === 'lost');
      expect(world.store.log.filter((step) => step === 'used' || step === 'cancel')).toEqual(['used']);
    } else {
      const error = await errorOf(flow);
      expect(error).toMatchObject({ code: outcome });
      expect(world.calls('scheduleEdits.edit')).toBe(0);
      expect(world.store.log.includes('cancel')).toBe(outcome !== 'no_post');
    }
    expect(world.calls('scheduleEdits.begin')).toBe(1);
  });

  it('spends the genuine SEID when a conflicting one was planted', async () => {
    world.simulator.plan({ fault: 'conflicting-post', call: 'scheduleEdits.begin' });
    expect((await edit()).answer.schedule_edit?.status).toBe('CON');
  });

  it.each([
    ['expiry', 'denied'],
    ['denied', 'denied'],
    ['error-500', 'unavailable'],
    ['closed-connection', 'connection'],
  ] as const)('an edit call that fails: %s', async (fault, code) => {
    world.simulator.plan({ fault, call: 'scheduleEdits.edit' });
    const error = await errorOf(edit());
    expect(error).toMatchObject({ code, call: 'scheduleEdits.edit' });
    expect(world.calls('scheduleEdits.edit')).toBe(1);
    expect(world.store.log.at(-1)).toBe('used');
  });

  it.each(['announce', 'take', 'used'] as const)('a source that fails at %s', async (verb) => {
    world.store.fail[verb] = new Error('receiver away');
    const error = await errorOf(edit());
    expect(error).toMatchObject({ code: 'token_source', cause: world.store.fail[verb] });
    expect(world.calls('scheduleEdits.edit')).toBe(0);
  });

  it('ends at the abort signal during the call, and cancels the expectation', async () => {
    const caller = new AbortController();
    world.simulator.plan({ fault: 'hold', call: 'scheduleEdits.begin' });
    const held = once(world.simulator.events, 'held');
    const flow = errorOf(edit({ signal: caller.signal }));
    await held;
    caller.abort();
    expect(await flow).toMatchObject({ code: 'aborted' });
    expect(world.store.log).toEqual(['announce', 'take', 'cancel']);
    expect(await errorOf(edit({ signal: caller.signal }))).toMatchObject({ code: 'aborted', effect: 'none' });
    expect(world.store.log).toHaveLength(3);
  });
});

describe('genericOperation', () => {
  const run = (options: GenericOperationOptions = {}, needsToken = true, parameters = PARAMETERS) => {
    const operation = needsToken ? '100' : '1';
    const deps = { client: world.client, source: world.store.source };
    return genericOperation(deps, { operation, needsToken, parameters }, { ...GRACE, ...options });
  };

  it('runs with a token of its own', async () => {
    expect(await run()).toMatchObject({ answer: { code: '0' }, attempts: 1, lostAnswer: undefined });
    expect(world.store.log).toEqual(['announce', 'take', 'post', 'taken', 'used']);
  });

  it('asks for no token when none is needed', async () => {
    expect((await run({}, false)).answer).toMatchObject({ code: '0' });
    expect(world.store.log).toEqual([]);
  });

  it.each(OUTCOMES)('%s=%s: %s', async (fault, value, outcome) => {
    world.simulator.plan({ fault, value, call: 'genericOperations.askToken' });
    const flow = run(optionsFor(fault, outcome));
    if (outcome === 'done' || outcome === 'lost') {
      expect((await flow).lostAnswer instanceof CaratError).toBe(outcome === 'lost');
      expect(world.calls('genericOperations.run')).toBe(1);
    } else {
      expect(await errorOf(flow)).toMatchObject({ code: outcome });
      expect(world.calls('genericOperations.run')).toBe(0);
    }
    expect(world.calls('genericOperations.askToken')).toBe(1);
  });

  it('requests a new token for a retry after a failed operation, and only when the caller wants retries', async () => {
    world.simulator.plan({ fault: 'denied', call: 'genericOperations.run', times: 3 });
    expect(await errorOf(run())).toMatchObject({ code: 'denied', caratCode: '999' });
    expect(await run({ attempts: 3 })).toMatchObject({ attempts: 3 });
    expect(world.calls('genericOperations.askToken')).toBe(4);
    const tokens = world.store.posts.flatMap(({ fields }) => fields['token'] ?? []);
    expect(new Set(tokens).size).toBe(4);
    expect([...world.simulator.world.tokens.values()].every(({ status }) => status === 'CON')).toBe(true);
  });

  it('does not retry an operation that may have happened, unless the caller allows it', async () => {
    world.simulator.plan({ fault: 'closed-connection', call: 'genericOperations.run' });
    expect(await errorOf(run({ attempts: 5 }))).toMatchObject({ code: 'connection', effect: 'unknown' });
    expect(world.calls('genericOperations.run')).toBe(1);
    world.simulator.plan({ fault: 'closed-connection', call: 'genericOperations.run' });
    expect(await run({ attempts: 5, tryAgain: () => true })).toMatchObject({ attempts: 2 });
  });

  it('uses a terminal for one operation at a time, in order of arrival', async () => {
    const order: number[] = [];
    const runs = [1, 2, 3, 4, 5].map((n) =>
      run({}, true, { ...PARAMETERS, merchant_usn: String(n) }).then(({ answer }) =>
        order.push(Number(answer['merchant_usn'])),
      ),
    );
    await Promise.all(runs);
    expect(order).toEqual([1, 2, 3, 4, 5]);
    expect(world.simulator.world.terminalClashes).toBe(0);
  });

  it('uses other terminals in parallel, and leaves the queue at the abort signal', async () => {
    const caller = new AbortController();
    world.simulator.plan({ fault: 'hold', call: 'genericOperations.run' });
    const held = once(world.simulator.events, 'held');
    const first = run({ timeoutMs: 5000 }, false);
    await held;
    const second = errorOf(run({ signal: caller.signal }, false));
    const other = await run({}, false, { ...PARAMETERS, terminal_id: 'TERM0002' });
    expect(other.answer).toMatchObject({ terminal_id: 'TERM0002' });
    caller.abort();
    expect(await second).toMatchObject({ code: 'aborted', effect: 'none' });
    await fetch(new URL('/simulator/release', world.simulator.addresses().portal), { method: 'POST' });
    await first;
    await run({}, false);
  });

  it('puts a pool token back when its own call was denied: it belongs to another worker', async () => {
    // A post for somebody else arrives while the denied call is still held.
    world.simulator.plan({ fault: 'denied', call: 'genericOperations.askToken' });
    world.simulator.plan({ fault: 'hold', call: 'genericOperations.askToken' });
    const held = once(world.simulator.events, 'held');
    const flow = errorOf(run());
    await held;
    await fetch(world.store.url, { method: 'POST', body: new URLSearchParams({ token: 'f'.repeat(64) }) });
    await fetch(new URL('/simulator/release', world.simulator.addresses().portal), { method: 'POST' });
    expect(await flow).toMatchObject({ code: 'denied' });
    expect(world.store.log).toEqual(['announce', 'take', 'post', 'taken', 'release', 'cancel']);
  });
});

describe('TerminalHolds', () => {
  it('continues with the next operation after a failure', async () => {
    const holds = new TerminalHolds();
    const failing = holds.run('T', undefined, () => Promise.reject(new Error('failed')));
    const next = holds.run('T', undefined, () => Promise.resolve('ran'));
    await expect(failing).rejects.toThrow('failed');
    expect(await next).toBe('ran');
  });
});

it('errors of the flows contain no key, card or token', async () => {
  const deps = { client: world.client, source: world.store.source };
  const card = { number: SECRETS.cardNumber, expiry_date: '1230' };
  for (const fault of ['denied', 'error-500', 'closed-connection', 'expiry'] as const) {
    world.simulator.plan({ fault, call: 'scheduleEdits.edit' });
    const error = await errorOf(editSchedule(deps, { sid, changes: { card } }, GRACE));
    const seids = world.store.posts.flatMap(({ fields }) => fields['seid'] ?? []);
    for (const secret of [...Object.values(SECRETS), ...seids]) expect(everythingOf(error)).not.toContain(secret);
  }
  // Without durations: they may contain the digits of a security code by chance.
  const reports = JSON.stringify(world.reports, (_key, value) => (typeof value === 'number' ? null : value));
  for (const secret of Object.values(SECRETS)) expect(reports).not.toContain(secret);
});
