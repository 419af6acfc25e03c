/** Scenarios of the demo: every flow, with and without token, payment and faults, and its expected end. */
import {
  type CaratClient,
  CaratError,
  editSchedule,
  type GenericOperationOptions,
  genericOperation,
  type ObtainOptions,
  type RechargeNotes,
  type RechargeOptions,
  recharge,
  recoverRecharges,
  type TokenSource,
} from '../../carat/index.ts';
import type { AskedRecharge, Asks } from '../../client/index.ts';
import type { FaultName } from '../faults.ts';
import type { Simulator } from '../simulator.ts';

export interface Stage {
  client: CaratClient;
  source: TokenSource;
  /** The service, which asks Carat directly. */
  service: Asks;
  notes: RechargeNotes;
  simulator: Simulator;
}

export interface Scenario {
  name: string;
  /** The expected end, compared with the result of `run`, or with the code of its `CaratError`. */
  expects: string;
  run(stage: Stage): Promise<string>;
}

const CARD = { number: '5555555555555555', expiry_date: '1230' };
const PAYING = { ...CARD, security_code: '123' };
const TERMS = { amount: 4990, initial_date: '03/08/2030', number_of_times: 12, interval: 1 };
const NEW = { merchant_usn: '100', order_id: 'DEMO-1', authorizer_id: '2', schedule: TERMS };
const PAID = { ...NEW, amount: 4990, installments: 1, installment_type: 4 } as const;
const ORDER = { amount: 1500, dealer: { code: '001' }, phone: { ddd: '11', number: '987654321' } };
const PARAMETERS = { authorizer_id: '1', terminal_id: 'DEMO0001', merchant_usn: '1', subfunction: '01' };
/** Short pauses: production's pauses serve no purpose at a simulator. */
const QUICK = { firstDelayMs: 20, maxDelayMs: 100 };
/** For scenarios without a post. */
const NO_POST = { graceMs: 200 };

let lastUsn = 0;
/** Distinguishes a recharge from all others: the flow finds its post by it. */
function nextUsn(): string {
  lastUsn += 1;
  return String(lastUsn);
}

async function activeSchedule({ client }: Stage): Promise<string> {
  const sid = (await client.schedules.create(NEW)).schedule?.sid ?? '';
  await client.schedules.activate({ sid, card: CARD });
  return sid;
}

async function edit(stage: Stage, options: ObtainOptions = {}): Promise<string> {
  const sid = await activeSchedule(stage);
  const { answer, lostAnswer } = await editSchedule(stage, { sid, changes: { amount: 5990, status: 'INA' } }, options);
  return `${answer.schedule_edit?.status} ${answer.schedule?.status}${lost(lostAnswer)}`;
}

async function charge(stage: Stage, options: RechargeOptions = {}, more = {}): Promise<string> {
  const args = { merchant_usn: nextUsn(), order: { ...ORDER, ...more } };
  const outcome = await recharge(stage, args, { ...QUICK, ...options });
  const status = outcome.outcome === 'unsettled' ? '' : ` ${outcome.status}`;
  return `${outcome.outcome}${status}${lost(outcome.lostAnswer)}`;
}

async function operate(stage: Stage, needsToken: boolean, options: GenericOperationOptions = {}): Promise<string> {
  const operation = needsToken ? '100' : '1';
  const args = { operation, needsToken, parameters: PARAMETERS };
  const done = await genericOperation(stage, args, options);
  return `done at attempt ${done.attempts}${lost(done.lostAnswer)}`;
}

/** Returns a recharge that Carat has carried out, without a decision yet. */
async function pending({ service, client }: Stage, settleWithin?: number): Promise<AskedRecharge> {
  const asked = await service.askRecharge({ merchantUsn: nextUsn(), settleWithin });
  await client.recharges.effect({ nit: asked.nit, order: ORDER });
  return asked;
}

/** The shortest time for a decision. */
const SETTLE_WITHIN_MS = 30_000;

/** Flows with one call to the service each. */
const ASKS: readonly Scenario[] = [
  {
    name: 'one call, schedule edit',
    expects: 'CON INA',
    run: async (stage) => {
      const { seid } = await stage.service.askScheduleEdit({ sid: await activeSchedule(stage) });
      const answer = await stage.client.scheduleEdits.edit({ seid, changes: { status: 'INA' } });
      return `${answer.schedule_edit?.status} ${answer.schedule?.status}`;
    },
  },
  {
    name: 'one call, recharge',
    expects: 'confirmed CON',
    run: async (stage) => {
      const { end, status } = await stage.service.decideRecharge(await pending(stage), 'confirm');
      return `${end} ${status}`;
    },
  },
  {
    name: 'one call, recharge that nobody decides about for 30 s',
    expects: 'undone PPN by the guard',
    run: async (stage) => {
      const recharge = await pending(stage, SETTLE_WITHIN_MS);
      const { end, status, decidedBy } = await stage.service.readRecharge(recharge, { timeout: 2 * SETTLE_WITHIN_MS });
      return `${end} ${status} by the ${decidedBy}`;
    },
  },
  {
    name: 'one call, generic operation',
    expects: 'code 0',
    run: async ({ service, client }) => {
      const { token } = await service.askGenericToken();
      const { code } = await client.genericOperations.run({ operation: '100', parameters: { ...PARAMETERS, token } });
      return `code ${code}`;
    },
  },
  {
    name: 'one call, merchant registration',
    expects: 'code 0',
    run: async ({ service }) => `code ${(await service.askMerchantToken()).carat?.code}`,
  },
  {
    name: 'one call, cancellation',
    expects: 'CON',
    run: async ({ service, client }) => {
      const merchantUsn = `9${nextUsn()}`;
      const { payment: created } = await client.schedules.createWithPayment({ ...PAID, merchant_usn: merchantUsn });
      const { payment: paid } = await client.schedules.pay({ nit: created?.nit ?? '', card: PAYING });
      const { nit } = await service.askCancellation({ esitefUsn: String(paid?.['esitef_usn']), merchantUsn });
      return String((await client.cancellations.cancel({ nit, card: PAYING })).cancellation?.status);
    },
  },
];

const LOST = ', though an answer was lost';
function lost(error: CaratError | undefined): string {
  return error === undefined ? '' : LOST;
}

const TIMED: ReadonlySet<FaultName> = new Set(['delay', 'delay-answer', 'slow-body', 'post-after-answer']);

/** Returns a flow with a fault planned for one call. */
function faulty(fault: FaultName, call: string, run: Scenario['run'], times = 1): Scenario['run'] {
  return (stage) => {
    const value = TIMED.has(fault) ? '50' : undefined;
    stage.simulator.plan({ fault, value, call, times });
    return run(stage);
  };
}

const payment = { amount: 1500, authorizer_id: '2', installments: 1, card: PAYING };

type Flow = (stage: Stage, options?: ObtainOptions) => Promise<string>;
/** Flows that get a token by post: the triggering call, and the end without faults. */
const FLOWS: readonly { flow: string; trigger: string; well: string; run: Flow }[] = [
  { flow: 'schedule edit', trigger: 'scheduleEdits.begin', well: 'CON INA', run: edit },
  { flow: 'recharge', trigger: 'recharges.begin', well: 'confirmed CON', run: charge },
  {
    flow: 'generic operation',
    trigger: 'genericOperations.askToken',
    well: 'done at attempt 1',
    run: (stage, options) => operate(stage, true, options),
  },
];
/** Faults of a trigger, and the resulting end of a flow; `well`: as without a fault. */
const TRIGGER_FAULTS: readonly (readonly [fault: FaultName, ends: 'well' | 'lost' | string])[] = [
  ['double-post', 'well'],
  ['conflicting-post', 'well'],
  ['post-after-answer', 'well'],
  ['unknown-fields', 'well'],
  ['odd-charset', 'well'],
  ['slow-body', 'well'],
  ['delay', 'well'],
  ['delay-answer', 'well'],
  ['closed-connection', 'lost'],
  ['no-post', 'no_post'],
  ['closed-early', 'connection'],
  ['denied', 'denied'],
  ['error-500', 'unavailable'],
  ['expiry', 'denied'],
];

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'schedule without payment',
    expects: 'ATV',
    run: async (stage) => {
      const sid = await activeSchedule(stage);
      return String((await stage.client.schedules.queryBySid({ sid })).schedule?.status);
    },
  },
  {
    name: 'schedule with payment, confirmed late',
    expects: 'PPC, then CON and ATV',
    run: async ({ client }) => {
      const nit = (await client.schedules.createWithPayment({ ...PAID, late_confirmation: true })).payment?.nit ?? '';
      const pending = await client.schedules.pay({ nit, card: PAYING });
      const settled = await client.schedules.confirmPayment({ nit, confirm: true });
      return `${pending.payment?.status}, then ${settled.payment?.status} and ${settled.schedule?.status}`;
    },
  },
  ...ASKS,
  ...FLOWS.map(({ flow, well, run }) => ({ name: flow, expects: well, run: (stage: Stage) => run(stage) })),
  { name: 'recharge with payment', expects: 'confirmed CON', run: (stage) => charge(stage, {}, { payment }) },
  { name: 'recharge, given up', expects: 'undone PPN', run: (stage) => charge(stage, { decide: () => 'undo' }) },
  {
    name: 'recharge, answer to the effect lost',
    expects: 'undone PPN',
    run: faulty('closed-connection', 'recharges.effect', (stage) => charge(stage, {}, { payment })),
  },
  {
    name: 'recharge, denied',
    expects: 'not_effected NEG',
    run: faulty('denied', 'recharges.effect', (stage) => charge(stage)),
  },
  {
    name: 'recharge, confirmation failing twice',
    expects: 'confirmed CON',
    run: faulty('error-500', 'recharges.confirm', (stage) => charge(stage), 2),
  },
  {
    name: 'recharge, interrupted and recovered',
    expects: 'unsettled, then confirmed',
    run: faulty('error-500', 'recharges.confirm', async (stage) => {
      const interrupted = await charge(stage, { settleMs: 0 });
      const recovered = await recoverRecharges(stage, QUICK);
      return `${interrupted}, then ${recovered.map(({ end }) => end).join()}`;
    }),
  },
  { name: 'generic operation without token', expects: 'done at attempt 1', run: (stage) => operate(stage, false) },
  {
    name: 'generic operation, five at once on one terminal',
    expects: '5 done, 0 clashes',
    run: async (stage) => {
      const done = await Promise.all(Array.from({ length: 5 }, () => operate(stage, true)));
      return `${done.length} done, ${stage.simulator.world.terminalClashes} clashes`;
    },
  },
  {
    name: 'generic operation, token burnt by a denial, asked for again',
    expects: 'done at attempt 2',
    run: faulty('denied', 'genericOperations.run', (stage) => operate(stage, true, { attempts: 2 })),
  },
  {
    name: 'cancellation of a payment',
    expects: 'CON, then EST',
    run: async ({ client, source }) => {
      const merchant_usn = `9${nextUsn()}`;
      const nit = (await client.schedules.createWithPayment({ ...PAID, merchant_usn })).payment?.nit ?? '';
      const { payment: paid } = await client.schedules.pay({ nit, card: PAYING });
      const announced = await source.announce({ kind: 'nit', selector: { merchant_usn }, ttlSeconds: 60 });
      await client.cancellations.begin({ esitef_usn: String(paid?.['esitef_usn']) });
      const wait = { claimId: `cancel-${merchant_usn}`, timeoutMs: 5000, signal: new AbortController().signal };
      const token = await source.take(announced, wait);
      if (token === undefined) return 'no_post';
      await source.used(token);
      const { cancellation } = await client.cancellations.cancel({ nit: token.value, card: PAYING });
      return `${cancellation?.status}, then ${(await client.schedules.query({ nit })).payment?.status}`;
    },
  },
  ...FLOWS.flatMap(({ flow, trigger, well, run }) =>
    TRIGGER_FAULTS.map(([fault, ends]) => ({
      name: `${flow}, ${fault}`,
      expects: ends === 'well' ? well : comes(ends) ? well + LOST : ends,
      run: faulty(fault, trigger, (stage) => run(stage, comes(ends) ? {} : NO_POST)),
    })),
  ),
];

/** Returns whether the token still comes. */
function comes(ends: string): boolean {
  return ends === 'well' || ends === 'lost';
}

/** Runs a scenario; returns its end, in the words of `expects`. */
export async function endOf(scenario: Scenario, stage: Stage): Promise<string> {
  try {
    return await scenario.run(stage);
  } catch (error) {
    if (error instanceof CaratError) return error.code;
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}
