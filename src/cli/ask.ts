/** `ask`: asks Carat for a token through the service. `recharge`: confirms or undoes a recharge. */
import type {
  AskedCancellation,
  AskedRecharge,
  AskedScheduleEdit,
  AskedToken,
  AskOptions,
  RechargeProgress,
  RechargeRequest,
  WorkerClient,
} from '../client/index.ts';
import {
  type Arguments,
  type Command,
  EXIT,
  type Option,
  seconds,
  text,
  UsageError,
  WORKER_OPTIONS,
} from './command.ts';
import type { Console } from './terminal.ts';
import { clientOf } from './worker.ts';

const MOST_ASK_SECONDS = 60;

const FIELDS = {
  sid: { type: 'string', value: 'SID', help: 'schedule-edit: the SID of the schedule.' },
  'merchant-data': { type: 'string', value: 'TEXT', help: 'schedule-edit: default a fresh, unguessable one.' },
  'merchant-usn': {
    type: 'string',
    value: 'DIGITS',
    help: 'recharge: of this recharge alone. cancellation: or --order-id.',
  },
  'order-id': { type: 'string', value: 'TEXT', help: 'recharge, cancellation: the order.' },
  type: { type: 'string', value: 'TYPE', help: 'recharge: normal, others or invoice.' },
  'general-hash': { type: 'string', value: 'TEXT', help: 'recharge: 16 letters or digits.' },
  'settle-within': {
    type: 'string',
    value: 'SECONDS',
    help: 'recharge: without a decision it is undone then; default 300.',
  },
  'esitef-usn': { type: 'string', value: 'TEXT', help: 'cancellation: of the payment.' },
} as const satisfies Record<string, Option>;
type Field = keyof typeof FIELDS;

interface Service {
  needs: readonly Field[];
  takes?: readonly Field[];
  ask(client: WorkerClient, args: Arguments, options: AskOptions): Promise<AnyAsked>;
}
type AnyAsked = AskedScheduleEdit | AskedRecharge | AskedToken | AskedCancellation;

/** The services of Carat that can be asked. */
const SERVICES: Readonly<Record<string, Service>> = {
  'schedule-edit': {
    needs: ['sid'],
    takes: ['merchant-data'],
    ask: (client, args, options) =>
      client.askScheduleEdit({ sid: given(args, 'sid'), merchantData: text(args, 'merchant-data') }, options),
  },
  recharge: {
    needs: ['merchant-usn'],
    takes: ['order-id', 'type', 'general-hash', 'settle-within'],
    ask: (client, args, options) => {
      const within = text(args, 'settle-within');
      const request = {
        merchantUsn: given(args, 'merchant-usn'),
        orderId: text(args, 'order-id'),
        rechargeType: text(args, 'type') as RechargeRequest['rechargeType'],
        generalHash: text(args, 'general-hash'),
        settleWithin: within === undefined ? undefined : seconds(args, 'settle-within', 0, 3600),
      };
      return client.askRecharge(request, options);
    },
  },
  'generic-token': { needs: [], ask: (client, _, options) => client.askGenericToken({}, options) },
  'merchant-token': { needs: [], ask: (client, _, options) => client.askMerchantToken({}, options) },
  cancellation: {
    needs: ['esitef-usn'],
    takes: ['merchant-usn', 'order-id'],
    ask: (client, args, options) => {
      const names = { merchantUsn: text(args, 'merchant-usn'), orderId: text(args, 'order-id') };
      return client.askCancellation({ esitefUsn: given(args, 'esitef-usn'), ...names }, options);
    },
  },
};
const NAMES = Object.keys(SERVICES).join(', ');

export const ask: Command = {
  name: 'ask',
  summary: 'Ask Carat for a token through the service and print its value. It is used from then on.',
  positional: 'WHAT',
  options: {
    ...FIELDS,
    timeout: {
      type: 'string',
      value: 'SECONDS',
      help: "For Carat's answer and the post together, 1 to 60; default 30.",
    },
    ...WORKER_OPTIONS,
  },
  more: `WHAT is one of ${NAMES}. A recharge has to be confirmed or undone: see recharge.`,
  async run(args, terminal) {
    const service = serviceOf(args);
    const options = { timeout: seconds(args, 'timeout', 30, MOST_ASK_SECONDS), signal: terminal.signal };
    const asked = await service.ask(clientOf(args, terminal), args, options);
    report(asked, args, terminal);
    return EXIT.ok;
  },
};

/** @throws UsageError for an unknown service, a foreign option, or a missing one */
function serviceOf(args: Arguments): Service {
  const [what, ...more] = args.positionals;
  const service = what !== undefined && Object.hasOwn(SERVICES, what) ? SERVICES[what] : undefined;
  if (service === undefined || more.length > 0) {
    const got = args.positionals.length === 0 ? 'nothing' : JSON.stringify(args.positionals.join(' '));
    throw new UsageError(`ask: expected one of ${NAMES}, got ${got}`);
  }
  const { needs, takes = [] } = service;
  for (const name of Object.keys(FIELDS) as Field[]) {
    const isGiven = text(args, name) !== undefined;
    if (needs.includes(name) && !isGiven) throw new UsageError(`ask ${what}: expected --${name}`);
    if (isGiven && !needs.includes(name) && !takes.includes(name)) {
      throw new UsageError(`ask ${what}: --${name} is not an option of it`);
    }
  }
  return service;
}

/** Returns an option that `serviceOf` has validated. */
function given(args: Arguments, name: Field): string {
  return text(args, name) ?? '';
}

/**
 * Prints all fields for programs. For people and shells, prints the value alone, and the next step
 * beside it.
 */
function report(asked: AnyAsked, args: Arguments, terminal: Console): void {
  const value = 'seid' in asked ? asked.seid : 'nit' in asked ? asked.nit : asked.token;
  const isForPrograms = args.values['json'] === true;
  terminal.out(isForPrograms ? JSON.stringify(asked) : value);
  if (isForPrograms) return;
  const notes = [
    ...('seid' in asked ? [`merchant_data ${asked.merchantData}`] : []),
    ...('settleBy' in asked ? [`confirm or undo it by ${asked.settleBy.toISOString()}, or the service undoes it`] : []),
    ...(asked.carat === null ? ["Carat's answer was lost; the operation lives"] : []),
  ];
  for (const note of notes) terminal.error(terminal.paint('dim', note));
}

const ACTIONS = ['confirm', 'undo', 'show'] as const;

export const recharge: Command = {
  name: 'recharge',
  summary: 'Confirm or undo a recharge that ask printed, or show its state.',
  positional: 'NIT confirm|undo|show',
  options: {
    timeout: { type: 'string', value: 'SECONDS', help: 'How long to wait for its end; default 30, for show 0.' },
    ...WORKER_OPTIONS,
  },
  more: 'Exit code 3: decided, and not ended yet; the service goes on. 6: the other decision stands.',
  async run(args, terminal) {
    const [nit, action, ...more] = args.positionals;
    const chosen = ACTIONS.find((one) => one === action);
    if (nit === undefined || chosen === undefined || more.length > 0) {
      throw new UsageError(`recharge: expected a NIT and one of ${ACTIONS.join(', ')}`);
    }
    const client = clientOf(args, terminal);
    const options = { timeout: seconds(args, 'timeout', chosen === 'show' ? 0 : 30), signal: terminal.signal };
    const state =
      chosen === 'show'
        ? await client.readRecharge({ nit }, options)
        : await client.decideRecharge({ nit }, chosen, options);
    terminal.out(args.values['json'] === true ? JSON.stringify(state) : inWords(state));
    return state.end === null && options.timeout > 0 ? EXIT.nothingCame : EXIT.ok;
  },
};

function inWords({ decision, decidedBy, end, status, settleBy }: RechargeProgress): string {
  if (end !== null) return `${end} ${status ?? ''}${decidedBy === 'guard' ? ', by the service' : ''}`;
  return decision === null
    ? `undecided; the service undoes it at ${settleBy.toISOString()}`
    : `${decision}, not ended yet; the service goes on`;
}
