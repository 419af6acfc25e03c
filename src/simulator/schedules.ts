/** Schedules and their payments. */
import type { FastifyInstance } from 'fastify';
import { addCall, type Call, type Context, type Fields, isFields } from './call.ts';
import {
  BAD_AUTHORIZER,
  badField,
  deniedBy,
  FORMAT,
  failure,
  firstBad,
  success,
  UNKNOWN,
  wrongStatus,
} from './codes.ts';
import type { Payment, Schedule } from './world.ts';

const BASE = '/e-sitef/api';
/** Mandatory card data. */
export const CARD = { number: FORMAT.card, expiry_date: FORMAT.expiry };

export function addSchedules(app: FastifyInstance, context: Context): void {
  const { world } = context;
  const merchant = 'headers';

  addCall(app, context, {
    name: (body) => (hasPayment(body) ? 'schedules.createWithPayment' : 'schedules.create'),
    method: 'POST',
    url: `${BASE}/v1/transactions`,
    merchant,
    handle: (call) => {
      const denied = deniedBy(call) ?? badTransaction(call.body);
      if (denied !== undefined) return failure(denied);
      const { body, owner } = call;
      const terms = isFields(body['schedule']) ? body['schedule'] : undefined;
      const expired = call.faults.has('expiry');
      const same = { order_id: body['order_id'], merchant_usn: body['merchant_usn'] };
      const schedule = terms && newSchedule(call, context, terms);
      if (schedule !== undefined) world.schedules.set(schedule.id, schedule);
      if (schedule !== undefined && !hasPayment(body)) {
        const { id: sid, status, amount } = schedule;
        return success({ schedule: { status, sid, amount, ...same } });
      }
      const extra = isFields(body['additional_data']) ? body['additional_data'] : {};
      const payment: Payment = {
        ...world.issue(owner, expired),
        amount: String(body['amount']),
        orderId: String(body['order_id'] ?? ''),
        merchantUsn: String(body['merchant_usn'] ?? ''),
        esitefUsn: world.nextUsn(),
        late: String(extra['postpone_confirmation']) === 'true',
        sid: schedule?.id,
      };
      world.payments.set(payment.id, payment);
      return success({ payment: { status: payment.status, nit: payment.id, amount: payment.amount, ...same } });
    },
  });

  addCall(app, context, {
    name: 'schedules.pay',
    method: 'POST',
    url: `${BASE}/v1/payments/:nit`,
    merchant,
    handle: (call) => {
      const payment = world.find(world.payments, call.params['nit'] ?? '', call.owner);
      if (payment === undefined) return failure(UNKNOWN, 404);
      if (call.faults.has('expiry')) payment.status = 'EXP';
      if (payment.status !== 'NOV') return failure(wrongStatus(payment.status));
      const card = isFields(call.body['card']) ? call.body['card'] : {};
      const bad = firstBad(card, { ...CARD, security_code: FORMAT.code }, ['security_code']);
      if (bad !== undefined) return failure(badField(`card.${bad}`));
      const denied = deniedBy(call);
      payment.status = denied ? 'NEG' : payment.late ? 'PPC' : 'CON';
      if (denied) return failure(denied);
      return success(settledPayment(context, payment));
    },
  });

  addCall(app, context, {
    name: 'schedules.confirmPayment',
    method: 'PUT',
    url: `${BASE}/v1/payments/:nit`,
    merchant,
    handle: (call) => {
      const payment = world.find(world.payments, call.params['nit'] ?? '', call.owner);
      if (payment === undefined) return failure(UNKNOWN, 404);
      const confirm = call.query['confirm'] ?? '';
      if (!FORMAT.flag.test(confirm)) return failure(badField('confirm'));
      if (payment.status !== 'PPC') return failure(wrongStatus(payment.status));
      const denied = deniedBy(call);
      if (denied) return failure(denied);
      payment.status = confirm === 'true' ? 'CON' : 'PPN';
      return success(settledPayment(context, payment));
    },
  });

  addCall(app, context, {
    name: 'schedules.query',
    method: 'GET',
    url: `${BASE}/v1/transactions/:nit`,
    merchant,
    handle: (call) => {
      const nit = call.params['nit'] ?? '';
      const payment = world.find(world.payments, nit, call.owner);
      if (payment !== undefined) return success(paymentBody(context, payment));
      const cancellation = world.find(world.cancellations, nit, call.owner);
      if (cancellation === undefined) return failure(UNKNOWN, 404);
      return success({ cancellation: { status: cancellation.status, nit } });
    },
  });

  addCall(app, context, {
    name: 'schedules.activate',
    method: 'POST',
    url: `${BASE}/v1/schedules/:sid`,
    merchant,
    handle: (call) => {
      const schedule = world.find(world.schedules, call.params['sid'] ?? '', call.owner);
      if (schedule === undefined) return failure(UNKNOWN, 404);
      if (schedule.status !== 'NOV') return failure(wrongStatus(schedule.status));
      const card = isFields(call.body['card']) ? call.body['card'] : {};
      const bad = firstBad(card, CARD);
      if (bad !== undefined) return failure(badField(`card.${bad}`));
      const denied = deniedBy(call);
      if (denied) return failure(denied);
      schedule.status = 'ATV';
      return success({ schedule: scheduleBody(schedule) });
    },
  });

  addCall(app, context, {
    name: 'schedules.queryBySid',
    method: 'GET',
    url: `${BASE}/v1/schedules/:sid`,
    merchant,
    handle: (call) => {
      const schedule = world.find(world.schedules, call.params['sid'] ?? '', call.owner);
      return schedule === undefined ? failure(UNKNOWN, 404) : success({ schedule: scheduleBody(schedule) });
    },
  });
}

function hasPayment(body: Fields): boolean {
  return !isFields(body['schedule']) || String(body['schedule']['do_payment_now']) !== 'false';
}

function badTransaction(body: Fields): readonly [string, string] | undefined {
  const formats = { merchant_usn: FORMAT.usn, order_id: FORMAT.order, authorizer_id: FORMAT.authorizer };
  const payment = { amount: FORMAT.cents, installments: FORMAT.number, installment_type: /^[34]$/ };
  const bad = firstBad(body, hasPayment(body) ? { ...formats, ...payment } : formats, ['merchant_usn', 'order_id']);
  if (bad !== undefined) return bad === 'authorizer_id' ? BAD_AUTHORIZER : badField(bad);
  if (Number(body['authorizer_id']) === 0) return BAD_AUTHORIZER;
  if (!isFields(body['schedule'])) return undefined;
  const terms = {
    amount: FORMAT.cents,
    initial_date: FORMAT.date,
    number_of_times: FORMAT.number,
    interval: FORMAT.number,
  };
  const badTerm = firstBad(body['schedule'], terms);
  return badTerm === undefined ? undefined : badField(`schedule.${badTerm}`);
}

function newSchedule(call: Call, { world }: Context, terms: Fields): Schedule {
  return {
    ...world.issue(call.owner, call.faults.has('expiry')),
    amount: String(terms['amount']),
    nextDate: String(terms['initial_date']),
    numberOfTimes: String(terms['number_of_times']),
    currentTimes: '0',
    installments: String(call.body['installments'] ?? '1'),
    installmentType: String(call.body['installment_type'] ?? '4'),
    softDescriptor: String(terms['soft_descriptor'] ?? ''),
  };
}

/** Applies a payment's end to its schedule: confirmed activates it, undone undoes it. */
function settledPayment(context: Context, payment: Payment): Record<string, unknown> {
  const schedule = payment.sid === undefined ? undefined : context.world.schedules.get(payment.sid);
  const became: Record<string, string> = { CON: 'ATV', PPC: 'PEN', PPN: 'DES' };
  if (schedule !== undefined) schedule.status = became[payment.status] ?? schedule.status;
  return paymentBody(context, payment);
}

function paymentBody({ world }: Context, payment: Payment): Record<string, unknown> {
  const { id: nit, status, amount, orderId: order_id, merchantUsn: merchant_usn, esitefUsn: esitef_usn } = payment;
  const schedule = payment.sid === undefined ? undefined : world.schedules.get(payment.sid);
  const approved = { authorizer_code: '000', authorizer_message: 'Transacao OK' };
  const body = { ...approved, status, nit, amount, order_id, merchant_usn, esitef_usn };
  return { payment: body, ...(schedule === undefined ? {} : { schedule: scheduleBody(schedule) }) };
}

/** Returns a schedule in the form of answers. */
export function scheduleBody(schedule: Schedule): Record<string, unknown> {
  return {
    status: schedule.status,
    sid: schedule.id,
    amount: schedule.amount,
    next_date: schedule.nextDate,
    number_of_times: schedule.numberOfTimes,
    current_times: schedule.currentTimes,
    installments: schedule.installments,
    installment_type: schedule.installmentType,
    soft_descriptor: schedule.softDescriptor,
  };
}
