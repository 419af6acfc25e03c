/** The recharge: after the effect, it always ends confirmed or undone. */
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  CaratError,
  openRechargeNotes,
  type RechargeNote,
  type RechargeNotes,
  type RechargeOptions,
  type RechargeOutcome,
  type Recovered,
  recharge,
  recoverRecharges,
  type TokenSource,
} from '../../src/carat/index.ts';
import type { FaultName } from '../../src/simulator/faults.ts';
import {
  CARD,
  clientOf,
  errorOf,
  everythingOf,
  NIT,
  ORDER,
  SECRETS,
  startWorld,
  type World,
} from '../support/carat.ts';

let world: World;
let folder: string;
let notes: RechargeNotes;
beforeEach(async () => {
  world = await startWorld();
  folder = await mkdtemp(join(tmpdir(), 'notes-'));
  notes = await openRechargeNotes(folder);
});
afterEach(async () => {
  await notes.close();
  await rm(folder, { recursive: true });
  await world.close();
});

const FAST = { graceMs: 5000, firstDelayMs: 1, maxDelayMs: 5 };
/** The notes with some of their functions replaced. */
function notesWith(replaced: Partial<RechargeNotes>): RechargeNotes {
  const own: Partial<RechargeNotes> = {
    keep: (note) => notes.keep(note),
    find: (nit) => notes.find(nit),
    forget: (nit) => notes.forget(nit),
    takeInHand: (nit) => notes.takeInHand(nit),
    letGo: (nit) => notes.letGo(nit),
  };
  return { ...own, ...replaced } as RechargeNotes;
}

let usn = 0;
function run(options: RechargeOptions = {}, order: object = {}): Promise<RechargeOutcome> {
  usn += 1;
  const deps = { client: world.client, source: world.store.source, notes };
  return recharge(deps, { merchant_usn: String(usn), order: { ...ORDER, ...order } }, { ...FAST, ...options });
}
const statuses = () => [...world.simulator.world.recharges.values()].map(({ status }) => status);
const release = () => fetch(new URL('/simulator/release', world.simulator.addresses().portal), { method: 'POST' });

describe('recharge', () => {
  it('confirms, without and with payment', async () => {
    expect(await run()).toMatchObject({ outcome: 'confirmed', status: 'CON', lostAnswer: undefined });
    const payment = { amount: 1500, authorizer_id: '2', card: CARD };
    expect(await run({}, { payment })).toMatchObject({ outcome: 'confirmed', effect: { payment: { status: 'PPC' } } });
    expect(statuses()).toEqual(['CON', 'CON']);
    expect(await notes.all()).toEqual([]);
    expect(world.store.log.slice(0, 5)).toEqual(['announce', 'take', 'post', 'taken', 'used']);
  });

  it('writes the note before the effect, and the decision before the confirmation', async () => {
    const seen: unknown[] = [];
    world.simulator.plan({ fault: 'hold', call: 'recharges.effect' });
    world.simulator.plan({ fault: 'hold', call: 'recharges.confirm' });
    world.simulator.events.on('held', async (call) => {
      seen.push([call, ...(await notes.all()).map(({ decision }) => decision)]);
      await release();
    });
    await run();
    expect(seen).toEqual([
      ['recharges.effect', 'undo'],
      ['recharges.confirm', 'confirm'],
    ]);
  });

  it('lets the caller choose from the offer and decide after the effect', async () => {
    const outcome = await run({
      choose: ({ dealers, branches }, order) => {
        expect([dealers.dealers.length, branches?.status]).toEqual([4, 'NOV']);
        return { ...order, dealer: { code: '004' }, amount: 2000 };
      },
      decide: (effect) => (effect.status === 'PPC' ? 'undo' : 'confirm'),
    });
    expect(outcome).toMatchObject({ outcome: 'undone', because: 'decided', status: 'PPN' });
    expect([...world.simulator.world.recharges.values()][0]).toMatchObject({ amount: '2000', status: 'PPN' });
  });

  it.each([
    ['decide throws', { decide: () => Promise.reject(new Error('changed my mind')) }, 'decision_failed'],
    [
      'decide throws at once',
      {
        decide: () => {
          throw new Error('no');
        },
      },
      'decision_failed',
    ],
  ])('undoes it when %s', async (_name, options, because) => {
    expect(await run(options)).toMatchObject({ outcome: 'undone', because, error: expect.any(Error) });
    expect(await notes.all()).toEqual([]);
  });

  it.each<[FaultName, string, string]>([
    ['denied', 'not_effected', 'NEG'],
    ['closed-connection', 'undone', 'PPN'],
    ['hold-answer', 'undone', 'PPN'],
    ['unknown-fields', 'confirmed', 'CON'],
    ['delay', 'confirmed', 'CON'],
  ])('effect: %s ends %s', async (fault, outcome, status) => {
    world.simulator.plan({ fault, value: fault === 'denied' ? undefined : '20', call: 'recharges.effect' });
    const result = await run({ timeoutMs: 800 });
    expect(result).toMatchObject({ outcome, status });
    if (outcome !== 'confirmed') expect(result).toMatchObject({ because: 'effect', error: expect.any(CaratError) });
    expect(world.calls('recharges.effect')).toBe(1);
    expect(world.calls('recharges.confirm')).toBeGreaterThanOrEqual(1);
    expect(await notes.all()).toEqual([]);
  });

  it('undoes a recharge that was effected after the request timed out', async () => {
    world.simulator.plan({ fault: 'hold', call: 'recharges.effect' });
    const held = once(world.simulator.events, 'held');
    const flow = run({ timeoutMs: 800, settleMs: 20_000 });
    await held;
    // Carat refuses the undo while the status is NOV. Then it carries out the timed-out request.
    while (world.calls('recharges.confirm') < 2) await once(world.simulator.app.server, 'request');
    await release();
    expect(await flow).toMatchObject({ outcome: 'undone', status: 'PPN' });
  });

  it.each<FaultName>(['error-500', 'closed-early', 'closed-connection', 'denied'])(
    'recovers from a confirmation with %s',
    async (fault) => {
      world.simulator.plan({ fault, call: 'recharges.confirm', times: 2 });
      expect(await run()).toMatchObject({ outcome: 'confirmed', status: 'CON' });
      expect(statuses()).toEqual(['CON']);
      expect(await notes.all()).toEqual([]);
    },
  );

  it('keeps the note when no answer comes in time, and the recovery carries out the decision', async () => {
    world.simulator.plan({ fault: 'error-500', call: 'recharges.confirm', times: 1000 });
    const outcome = await run({ settleMs: 40 });
    expect(outcome).toMatchObject({ outcome: 'unsettled', decision: 'confirm', error: { code: 'unavailable' } });
    expect(await notes.all()).toMatchObject([{ decision: 'confirm' }]);
    const troubles: number[] = [];
    const recovering = recoverRecharges(
      { client: world.client, notes },
      {
        ...FAST,
        onTrouble: ({ attempt }) => {
          troubles.push(attempt);
          if (attempt === 3)
            void fetch(new URL('/simulator/faults', world.simulator.addresses().portal), { method: 'DELETE' });
        },
      },
    );
    expect(await recovering).toMatchObject([{ end: 'confirmed', status: 'CON', decision: 'confirm' }]);
    expect(troubles.length).toBeGreaterThanOrEqual(3);
    expect(await notes.all()).toEqual([]);
  });

  it.each<[FaultName, string]>([
    ['no-post', 'no_post'],
    ['denied', 'denied'],
    ['error-500', 'unavailable'],
    ['closed-early', 'connection'],
  ])('throws at begin after %s, with nothing to undo', async (fault, code) => {
    world.simulator.plan({ fault, call: 'recharges.begin' });
    expect(await errorOf(run({ graceMs: 100 }))).toMatchObject({ code });
    expect(world.calls('recharges.confirm') + world.calls('recharges.effect')).toBe(0);
    expect(await notes.all()).toEqual([]);
  });

  it.each<FaultName>([
    'closed-connection',
    'post-after-answer',
    'double-post',
    'slow-body',
    'odd-charset',
    'unknown-fields',
  ])('tolerates %s at begin', async (fault) => {
    world.simulator.plan({ fault, value: fault === 'odd-charset' ? undefined : '20', call: 'recharges.begin' });
    const { outcome, lostAnswer } = await run();
    expect([outcome, lostAnswer instanceof CaratError]).toEqual(['confirmed', fault === 'closed-connection']);
    expect(world.calls('recharges.begin')).toBe(1);
  });

  it.each(['recharges.dealers', 'recharges.branches'])('needs no undo when %s fails', async (call) => {
    world.simulator.plan({ fault: 'expiry', call });
    expect(await errorOf(run())).toMatchObject({ code: 'denied', call });
    expect(await notes.all()).toEqual([]);
  });

  it('fails before the effect when `choose` returns a broken order', async () => {
    const error = await errorOf(run({ choose: (_offer, order) => ({ ...order, amount: 0.5 }) }));
    expect(error).toMatchObject({ code: 'bad_argument', field: 'amount' });
    expect(world.calls('recharges.effect')).toBe(0);
  });

  it('does not effect the recharge when the note cannot be written', async () => {
    const broken = notesWith({ keep: () => Promise.reject(new Error('disk full')) });
    const deps = { client: world.client, source: world.store.source, notes: broken };
    expect(await errorOf(recharge(deps, { merchant_usn: '900', order: ORDER }, FAST))).toMatchObject({
      code: 'notes',
      effect: 'none',
    });
    expect(world.calls('recharges.effect')).toBe(0);
  });

  it.each([
    ['while it is effected', 'recharges.effect', 'aborted'],
    ['while the caller decides', 'decide', 'aborted'],
  ])('undoes the recharge when the abort signal fires %s', async (_name, where, because) => {
    const caller = new AbortController();
    if (where === 'decide') {
      const decide = (): Promise<'confirm'> => {
        caller.abort();
        return new Promise(() => undefined);
      };
      expect(await run({ signal: caller.signal, decide })).toMatchObject({ outcome: 'undone', because });
    } else {
      world.simulator.plan({ fault: 'hold-answer', call: where });
      const held = once(world.simulator.events, 'held');
      const flow = run({ signal: caller.signal });
      await held;
      caller.abort();
      expect(await flow).toMatchObject({ outcome: 'undone', because });
    }
    expect(statuses()).toEqual(['PPN']);
  });

  it('follows the written decision when its write reported a failure', async () => {
    const keep = async (note: RechargeNote): Promise<void> => {
      await notes.keep(note);
      if (note.decision === 'confirm') throw new Error('the disk answered too late');
    };
    const deps = { client: world.client, source: world.store.source, notes: notesWith({ keep }) };
    const outcome = await recharge(deps, { merchant_usn: '901', order: ORDER }, FAST);
    expect(outcome).toMatchObject({ outcome: 'confirmed', status: 'CON' });
    expect(await notes.all()).toEqual([]);
  });

  it('undoes the recharge when the decision to confirm could not be written', async () => {
    const keep = async (note: RechargeNote): Promise<void> => {
      if (note.decision === 'confirm') throw new Error('disk full');
      await notes.keep(note);
    };
    const deps = { client: world.client, source: world.store.source, notes: notesWith({ keep }) };
    const outcome = await recharge(deps, { merchant_usn: '902', order: ORDER }, FAST);
    expect(outcome).toMatchObject({ outcome: 'undone', because: 'notes', status: 'PPN' });
    expect(await notes.all()).toEqual([]);
  });

  it('keeps the decision about a NIT that is handed out twice', async () => {
    await world.client.recharges.begin({ merchant_usn: '903' });
    const nit = world.store.posts.at(-1)?.fields['nit'] ?? '';
    const decided = { nit, merchant_usn: '903', decision: 'confirm', since: '2026-01-01T00:00:00.000Z' } as const;
    await notes.keep(decided);
    const take: TokenSource['take'] = async (_announced, { claimId }) => ({ id: 'again', value: nit, claimId });
    const deps = { client: world.client, source: { ...world.store.source, take }, notes };
    const error = await errorOf(recharge(deps, { merchant_usn: '903', order: ORDER }, FAST));
    expect(error).toMatchObject({ code: 'notes', effect: 'none' });
    expect(await notes.all()).toEqual([decided]);
    expect(world.calls('recharges.effect')).toBe(0);
  });

  it('ignores a running recharge while it recovers others', async () => {
    await run({
      decide: async () => {
        expect(await recoverRecharges({ client: world.client, notes }, FAST)).toEqual([]);
        return 'confirm' as const;
      },
    });
    expect(statuses()).toEqual(['CON']);
  });

  it('has no key, card or NIT in its errors', async () => {
    const payment = { amount: 1500, authorizer_id: '2', card: CARD };
    for (const fault of ['denied', 'closed-connection', 'error-500'] as const) {
      world.simulator.plan({ fault, call: 'recharges.effect' });
      const outcome = await run({ settleMs: 0 }, { payment });
      const nits = [...world.simulator.world.recharges.keys()];
      const error = 'error' in outcome ? outcome.error : undefined;
      expect(error).toBeInstanceOf(CaratError);
      for (const secret of [...Object.values(SECRETS), ...nits]) expect(everythingOf(error)).not.toContain(secret);
    }
  });
});

describe('notes', () => {
  it('belong to one process at a time, and only their owner can read them', async () => {
    expect(await errorOf(openRechargeNotes(folder))).toMatchObject({
      code: 'notes',
      message: expect.stringContaining('in use'),
    });
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  // Node's recursive mkdir never ends if a parent cannot be created.
  it.each(['/dev/null/notes', '/proc/nope/notes'])(
    'reject when their folder cannot be created: %s',
    async (unusable) => {
      expect(await errorOf(openRechargeNotes(unusable))).toMatchObject({ code: 'notes' });
    },
  );

  it('survive their process', async () => {
    await notes.keep({ nit: 'n', merchant_usn: '1', decision: 'undo', since: '2026-01-01T00:00:00.000Z' });
    await notes.close();
    notes = await openRechargeNotes(folder);
    expect(await notes.all()).toHaveLength(1);
  });
});

describe('recovery', () => {
  const note = (nit: string, decision: 'undo' | 'confirm') => ({
    nit,
    merchant_usn: '1',
    decision,
    since: '2026-01-01T00:00:00.000Z',
  });
  /** A recharge at the simulator in the given status. */
  async function at(status: string): Promise<string> {
    await world.client.recharges.begin({ merchant_usn: '5' });
    const nit = world.store.posts.at(-1)?.fields['nit'] ?? '';
    const found = world.simulator.world.recharges.get(nit);
    if (found !== undefined) found.status = status;
    return nit;
  }

  it.each([
    ['PPC', 'undo', 'undone', 'PPN', 1],
    ['PPC', 'confirm', 'confirmed', 'CON', 1],
    ['CON', 'confirm', 'confirmed', 'CON', 0],
    ['CON', 'undo', 'confirmed', 'CON', 0],
    ['PPN', 'undo', 'undone', 'PPN', 0],
    ['PPN', 'confirm', 'undone', 'PPN', 0],
    ['NEG', 'undo', 'not_effected', 'NEG', 1],
    ['EXP', 'undo', 'not_effected', 'EXP', 1],
  ] as const)('%s with the note "%s" ends %s', async (status, decision, end, left, sent) => {
    await notes.keep(note(await at(status), decision));
    expect(await recoverRecharges({ client: world.client, notes }, FAST)).toMatchObject([{ end, status: left }]);
    expect(world.calls('recharges.confirm')).toBe(sent);
    expect(await notes.all()).toEqual([]);
  });

  /** A note about a recharge that is pending, which stands before the note of `nit`. */
  async function keepBefore(nit: string): Promise<void> {
    for (;;) {
      const older = await at('PPC');
      await notes.keep(note(older, 'undo'));
      const order = (await notes.all()).map((one) => one.nit);
      if (order.indexOf(older) < order.indexOf(nit)) return;
      await notes.forget(older);
    }
  }
  /** A recovery that has read all notes and waits for Carat about the first one. */
  async function startHeldRecovery(): Promise<{ recovered: Promise<Recovered[]> }> {
    world.simulator.plan({ fault: 'hold', call: 'recharges.query' });
    const held = once(world.simulator.events, 'held');
    const recovered = recoverRecharges({ client: world.client, notes }, FAST);
    await held;
    return { recovered };
  }

  it('confirms a recharge that a flow decided to confirm while the recovery waited for Carat about another', async () => {
    let recovery: { recovered: Promise<Recovered[]> } | undefined;
    const outcome = await run({
      settleMs: 20,
      decide: async () => {
        await keepBefore((await notes.all())[0]?.nit ?? '');
        recovery = await startHeldRecovery();
        world.simulator.plan({ fault: 'error-500', call: 'recharges.confirm', times: 1000 });
        return 'confirm' as const;
      },
    });
    expect(outcome).toMatchObject({ outcome: 'unsettled', decision: 'confirm' });
    await fetch(new URL('/simulator/faults', world.simulator.addresses().portal), { method: 'DELETE' });
    await release();
    const ends = (await recovery?.recovered)?.map(({ decision, end }) => [decision, end]);
    expect(ends?.sort()).toEqual([
      ['confirm', 'confirmed'],
      ['undo', 'undone'],
    ]);
    expect(await notes.all()).toEqual([]);
  });

  it('does not report a recharge that its flow finished while the recovery waited for Carat about another', async () => {
    let recovery: { recovered: Promise<Recovered[]> } | undefined;
    await run({
      decide: async () => {
        await keepBefore((await notes.all())[0]?.nit ?? '');
        recovery = await startHeldRecovery();
        return 'confirm' as const;
      },
    });
    await release();
    expect(await recovery?.recovered).toMatchObject([{ decision: 'undo', end: 'undone' }]);
  });

  it.each(['confirm', 'undo'] as const)(
    'sends nothing but "%s" when the note says so, whatever the status is',
    async (decision) => {
      const sent: string[] = [];
      const { client, close } = await clientOf((request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          const esitef = { code: '0', message: 'OK' };
          if (request.method === 'GET')
            return response.end(JSON.stringify({ get_response: { esitef, status: 'NEG' } }));
          sent.push(JSON.parse(Buffer.concat(chunks).toString()).confirm_recharge_request.confirm);
          response.writeHead(400).end(JSON.stringify({ put_response: { esitef: { code: '9', message: 'no' } } }));
        });
      });
      await notes.keep(note(NIT, decision));
      expect(await recoverRecharges({ client, notes }, FAST)).toMatchObject([{ decision, end: 'not_effected' }]);
      expect(sent).toEqual([String(decision === 'confirm')]);
      await close();
    },
  );

  it('polls a recharge that is still NOV until it expires, and finishes the others in parallel', async () => {
    await notes.keep(note(await at('NOV'), 'undo'));
    await notes.keep(note(await at('PPC'), 'confirm'));
    const rounds = { count: 0 };
    world.simulator.app.server.on('request', () => {
      rounds.count += 1;
      if (rounds.count === 12) world.simulator.world.expireAll();
    });
    const recovered = await recoverRecharges({ client: world.client, notes }, FAST);
    expect(recovered.map(({ end }) => end).sort()).toEqual(['confirmed', 'not_effected']);
  });

  it('ends at the abort signal and keeps the notes', async () => {
    await notes.keep(note(await at('NOV'), 'undo'));
    const caller = new AbortController();
    world.simulator.app.server.on('request', () => caller.abort());
    expect(await recoverRecharges({ client: world.client, notes }, { signal: caller.signal })).toEqual([]);
    expect(await notes.all()).toHaveLength(1);
  });
});
