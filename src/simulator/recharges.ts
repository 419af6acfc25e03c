/** Recharges: all bodies in envelopes, no merchant headers, steps 4 and 5 on the same path. */
import type { FastifyInstance } from 'fastify';
import { type Answer, addCall, type Call, type Context, type Fields, isFields } from './call.ts';
import {
  AUTHENTICITY,
  badField,
  deniedBy,
  FORMAT,
  firstBad,
  NULL_NIT,
  OK_MESSAGE,
  UNKNOWN,
  wrongStatus,
} from './codes.ts';
import type { Recharge } from './world.ts';

const BASE = '/e-sitef';
const HASH = '09A9681D09A9681D';
const DEALERS = [
  { name: 'Vivo', code: '001' },
  { name: 'Claro', code: '002' },
  { name: 'Oi', code: '003' },
  { name: 'Tim', code: '004' },
];
const PIN_DEALERS = [
  {
    name: 'Vex-PIN',
    code: '905',
    branches: [{ name: 'Vex-PIN', code: '97200000000' }],
    type_name: 'PIN TELEFONE',
    type_code: '02',
  },
];

export function addRecharges(app: FastifyInstance, context: Context): void {
  const { world } = context;
  const merchant = 'recharge';

  addCall(app, context, {
    name: 'recharges.begin',
    method: 'POST',
    url: `${BASE}/v3/recharge`,
    merchant,
    handle: async (call) => {
      const asked = contentOf(call.body, 'begin_recharge_request');
      const envelope = 'begin_recharge_response';
      if (asked === undefined || call.owner === '') return failed(envelope, badField('merchant_key'));
      const formats = { merchant_usn: FORMAT.usn, order_id: FORMAT.order, general_hash: /^[0-9A-Za-z]{16}$/ };
      const type = { recharge_type: /^(normal|others|invoice)$/ };
      const bad = firstBad(asked, { ...formats, ...type }, [
        'merchant_usn',
        'order_id',
        'general_hash',
        'recharge_type',
      ]);
      const refusal = bad === undefined ? deniedBy(call) : badField(bad);
      if (refusal) return failed(envelope, refusal);
      const issued: Recharge = {
        ...world.issue(call.owner, call.faults.has('expiry')),
        type: String(asked['recharge_type'] ?? 'normal'),
        merchantUsn: String(asked['merchant_usn'] ?? ''),
        orderId: String(asked['order_id'] ?? ''),
        amount: '',
        payment: undefined,
      };
      world.recharges.set(issued.id, issued);
      // Carat's example has this spelling; the further fields are not published.
      const usn = issued.merchantUsn === '' ? {} : { merchantUSN: issued.merchantUsn };
      const accepted = await call.post(issued, (nit) => ({ nit, ...usn, merchantId: 'simulator' }));
      return accepted ? done(envelope) : failed(envelope, AUTHENTICITY);
    },
  });

  addCall(app, context, {
    name: 'recharges.dealers',
    method: 'GET',
    url: `${BASE}/v3/rechargedealers`,
    merchant,
    handle: (call) => {
      const envelope = 'list_dealers_response';
      const found = named(context, call, call.query['nit'], envelope, ['NOV']);
      if ('answer' in found) return found.answer;
      const { type, status } = found.recharge;
      const dealers = type === 'normal' ? DEALERS : PIN_DEALERS;
      return done(envelope, { status, authorizer: { message: '', code: '000' }, hashes: { general: HASH }, dealers });
    },
  });

  const branches = (call: Call, nit: string | undefined): Answer => {
    const envelope = 'list_branch_data_response';
    const found = named(context, call, nit, envelope, ['NOV']);
    if ('answer' in found) return found.answer;
    const { status } = found.recharge;
    // Carat does not publish the content of this answer; these fields are the simulator's own.
    const branch = {
      code: '98006000000',
      name: 'Filial simulada',
      amounts: [{ amount: '1500', amount_key: '1', validity: '30' }],
    };
    return done(envelope, { status, authorizer: { message: '', code: '000' }, hashes: { general: HASH }, branch });
  };
  addCall(app, context, {
    name: 'recharges.branches',
    method: 'GET',
    url: `${BASE}/v3/rechargebranches`,
    merchant,
    handle: (call) => {
      const bad = firstBad(call.query, { ddd: /^[0-9]{2}$/, dealercode: /^[0-9A-Za-z]{1,20}$/ });
      return bad === undefined ? branches(call, call.query['nit']) : failed('list_branch_data_response', badField(bad));
    },
  });
  addCall(app, context, {
    name: 'recharges.branchesByBody',
    method: 'PUT',
    url: `${BASE}/v3/rechargebranches/:nit`,
    merchant,
    handle: (call) => branches(call, call.params['nit']),
  });

  addCall(app, context, {
    name: (body) => ('confirm_recharge_request' in body ? 'recharges.confirm' : 'recharges.effect'),
    method: 'PUT',
    url: `${BASE}/v3/recharge/:nit`,
    merchant,
    handle: (call) => ('confirm_recharge_request' in call.body ? confirm(context, call) : effect(context, call)),
  });

  addCall(app, context, {
    name: 'recharges.query',
    method: 'GET',
    url: `${BASE}/v3/recharge/:nit`,
    merchant,
    handle: (call) => {
      const envelope = 'get_status_recharge_response';
      if (call.owner === '') return failed(envelope, badField('merchantkey'));
      const found = named(context, call, call.params['nit'], envelope);
      return 'answer' in found ? found.answer : done(envelope, stateOf(found.recharge));
    },
  });
}

function effect(context: Context, call: Call): Answer {
  const envelope = 'do_recharge_response';
  const asked = contentOf(call.body, 'do_recharge_request');
  if (asked === undefined) return failed(envelope, badField('do_recharge_request'));
  const found = named(context, call, call.params['nit'], envelope, ['NOV']);
  if ('answer' in found) return found.answer;
  const { recharge } = found;
  const phone = isFields(asked['phone']) ? asked['phone'] : {};
  const dealer = isFields(asked['dealer']) ? asked['dealer'] : {};
  const dealers = recharge.type === 'normal' ? DEALERS : PIN_DEALERS;
  const payment = isFields(asked['payment']) ? asked['payment'] : undefined;
  const bad =
    firstBad(asked, { amount: FORMAT.cents, terminal_type: /^[0-9]{2}$/ }, ['terminal_type']) ??
    firstBad(phone, { ddd: /^[0-9]{2}$/, number: /^[0-9]{8,9}$/ }) ??
    (dealers.some(({ code }) => code === dealer['code']) ? undefined : 'dealer.code') ??
    (payment === undefined ? undefined : badPayment(payment, recharge.owner));
  if (bad !== undefined) return failed(envelope, badField(bad));
  const denied = deniedBy(call);
  recharge.status = denied ? 'NEG' : 'PPC';
  recharge.amount = String(asked['amount']);
  if (payment !== undefined) recharge.payment = { status: recharge.status };
  return denied ? failed(envelope, denied) : done(envelope, stateOf(recharge));
}

function confirm(context: Context, call: Call): Answer {
  const envelope = 'confirm_recharge_response';
  const asked = contentOf(call.body, 'confirm_recharge_request') ?? {};
  const bad = call.owner === '' ? 'merchant_key' : firstBad(asked, { confirm: FORMAT.flag });
  if (bad !== undefined) return failed(envelope, badField(bad));
  const found = named(context, call, call.params['nit'], envelope);
  if ('answer' in found) return found.answer;
  const { recharge } = found;
  if (recharge.status !== 'PPC') return failed(envelope, wrongStatus(recharge.status));
  const denied = deniedBy(call);
  if (denied) return failed(envelope, denied);
  recharge.status = asked['confirm'] === 'true' ? 'CON' : 'PPN';
  if (recharge.payment !== undefined) recharge.payment.status = recharge.status;
  return done(envelope, stateOf(recharge));
}

function badPayment(payment: Fields, owner: string): string | undefined {
  if (payment['merchant_key'] !== owner) return 'payment.merchant_key';
  const card = isFields(payment['card']) ? payment['card'] : {};
  return (
    firstBad(payment, { amount: FORMAT.cents, authorizer_id: FORMAT.authorizer }) ??
    firstBad(card, { number: FORMAT.card, expiry_date: FORMAT.expiry })
  );
}

function named(
  { world }: Context,
  call: Call,
  nit: string | undefined,
  envelope: string,
  statuses?: readonly string[],
): { recharge: Recharge } | { answer: Answer } {
  if (nit === undefined || nit === '') return { answer: failed(envelope, NULL_NIT) };
  const recharge = world.find(world.recharges, nit, call.owner === '' ? undefined : call.owner);
  if (recharge === undefined) return { answer: failed(envelope, UNKNOWN, 404) };
  if (call.faults.has('expiry') && recharge.status === 'NOV') recharge.status = 'EXP';
  const fits = statuses === undefined || statuses.includes(recharge.status);
  return fits ? { recharge } : { answer: failed(envelope, wrongStatus(recharge.status)) };
}

function contentOf(body: Fields, envelope: string): Fields | undefined {
  const content = body[envelope];
  return isFields(content) ? content : undefined;
}

function stateOf({ status, orderId, merchantUsn, payment }: Recharge): Record<string, unknown> {
  return {
    status,
    order_id: orderId,
    merchant_usn: merchantUsn,
    ...(payment === undefined ? {} : { payment: { ...payment } }),
  };
}

function done(envelope: string, content: Record<string, unknown> = {}): Answer {
  return { status: 200, body: { [envelope]: { esitef: { message: OK_MESSAGE, code: '0' }, ...content } } };
}

function failed(envelope: string, [code, message]: readonly [string, string], status = 400): Answer {
  return { status, body: { [envelope]: { esitef: { message, code } } } };
}
