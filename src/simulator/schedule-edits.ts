/** Schedule edits: the SEID comes by authenticity post, expires, and works once. */
import type { FastifyInstance } from 'fastify';
import { type Answer, addCall, type Call, type Context, isFields } from './call.ts';
import {
  AUTHENTICITY,
  badField,
  deniedBy,
  FORMAT,
  failure,
  firstBad,
  NULL_NIT,
  success,
  UNKNOWN,
  wrongStatus,
} from './codes.ts';
import { CARD, scheduleBody } from './schedules.ts';

const BASE = '/e-sitef/api';

export function addScheduleEdits(app: FastifyInstance, context: Context): void {
  const merchant = 'headers';

  addCall(app, context, {
    name: 'scheduleEdits.begin',
    method: 'POST',
    url: `${BASE}/v1/schedules/edits`,
    merchant,
    handle: (call) => beginEdit(context, call),
  });

  addCall(app, context, {
    name: 'scheduleEdits.edit',
    method: 'PUT',
    url: `${BASE}/v1/schedules/edits/:seid`,
    merchant,
    handle: (call) => edit(context, call),
  });
}

async function beginEdit({ world }: Context, call: Call): Promise<Answer> {
  const bad = firstBad(call.body, { sid: FORMAT.id, merchant_data: /^[0-9A-Za-z]{1,20}$/ }, ['merchant_data']);
  if (bad !== undefined) return failure(badField(bad));
  const { sid, merchant_data: data } = call.body as { sid: string; merchant_data?: string };
  const schedule = world.find(world.schedules, sid, call.owner);
  if (schedule === undefined) return failure(UNKNOWN, 404);
  if (schedule.status !== 'ATV' && schedule.status !== 'INA') return failure(wrongStatus(schedule.status));
  const denied = deniedBy(call);
  if (denied) return failure(denied);
  const issued = { ...world.issue(call.owner, call.faults.has('expiry')), sid };
  world.edits.set(issued.id, issued);
  const accepted = await call.post(issued, (seid) => ({ seid, ...(data ? { merchant_data: data } : {}), sid }));
  return accepted ? success({}, 201) : failure(AUTHENTICITY);
}

function edit({ world }: Context, call: Call): Answer {
  const found = world.find(world.edits, call.params['seid'] ?? '', call.owner);
  if (found === undefined) return failure(UNKNOWN, 404);
  if (call.faults.has('expiry')) found.status = 'EXP';
  if (found.status !== 'NOV') return failure(wrongStatus(found.status));
  const schedule = world.find(world.schedules, found.sid, call.owner);
  if (schedule === undefined) return failure(NULL_NIT, 404);
  const { body } = call;
  const formats = { status: /^(ATV|INA)$/, amount: FORMAT.cents, next_date: FORMAT.date, installments: FORMAT.number };
  const more = { installment_type: /^[34]$/, soft_descriptor: /^.{1,22}$/, show_times_invoice: FORMAT.flag };
  const all = { ...formats, ...more };
  const card = isFields(body['card']) ? firstBad(body['card'], CARD) : undefined;
  const bad = firstBad(body, all, Object.keys(all)) ?? card;
  if (bad !== undefined) return failure(badField(bad));
  const denied = deniedBy(call);
  found.status = denied ? 'NEG' : 'CON';
  if (denied) return failure(denied);
  // An empty or absent attribute keeps its value.
  const kept = (name: string, old: string): string => String(body[name] || old);
  schedule.status = kept('status', schedule.status);
  schedule.amount = kept('amount', schedule.amount);
  schedule.nextDate = kept('next_date', schedule.nextDate);
  schedule.installments = kept('installments', schedule.installments);
  schedule.installmentType = kept('installment_type', schedule.installmentType);
  schedule.softDescriptor = kept('soft_descriptor', schedule.softDescriptor);
  return success({ schedule: scheduleBody(schedule), schedule_edit: { status: found.status } });
}
