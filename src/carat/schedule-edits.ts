/** Schedule edits (`edição de agendamento`): ask for a SEID, which comes by authenticity post, and edit with it. */
import * as z from 'zod';
import { checked, fields, storedCard } from './arguments.ts';
import type { CallOptions, Send } from './call.ts';

const beginArguments = z.strictObject({ sid: fields.sid, merchant_data: fields.merchant_data.optional() });

const EMPTY = z.literal('');
/** The attributes that an edit may change. An empty (`''`) or absent attribute keeps its value [doc]/[ex]. */
export const scheduleChanges = z
  .strictObject({
    status: z.enum(['ATV', 'INA', '']),
    amount: fields.amount.or(EMPTY),
    next_date: fields.date.or(EMPTY),
    installments: fields.small_count.or(EMPTY),
    installment_type: fields.installment_type.or(EMPTY),
    soft_descriptor: fields.soft_descriptor.or(EMPTY),
    show_times_invoice: fields.flag.or(EMPTY),
    card: storedCard,
  })
  .partial();
export type ScheduleChanges = z.input<typeof scheduleChanges>;
const editArguments = z.strictObject({ seid: fields.seid, changes: scheduleChanges });

const begun = z.looseObject({});
const edited = z.looseObject({
  schedule: z.looseObject({ status: z.string().optional() }).optional(),
  schedule_edit: z.looseObject({ status: z.string().optional() }).optional(),
});
export type EditAnswer = z.output<typeof edited>;

export function scheduleEdits(send: Send) {
  return {
    /**
     * Asks for an edit of a schedule that is `ATV` or `INA`: `POST /v1/schedules/edits` [doc]. The SEID comes by
     * authenticity post, with `merchant_data` (at most 20 letters or digits) and `sid`, before this resolves. Without a
     * 200 to that post, the call fails and Carat invalidates the SEID [doc]. Only 201 is success. After an error whose
     * `effect` is `unknown`, a SEID may still have been posted.
     */
    async begin(args: z.input<typeof beginArguments>, options?: CallOptions): Promise<void> {
      const name = 'scheduleEdits.begin';
      const body = checked(name, beginArguments, args);
      const path = '/v1/schedules/edits';
      const call = { name, service: 'portal', method: 'POST', path, body, success: 201, effectful: true } as const;
      await send({ ...call, answer: begun }, options);
    },

    /**
     * Edits with a SEID: `PUT /v1/schedules/edits/{seid}` [doc]. Amount in cents, `next_date` `DD/MM/YYYY`, the card
     * without security code. Every answer spends the SEID. Answers `schedule` and `schedule_edit.status` `CON`.
     */
    async edit(args: z.input<typeof editArguments>, options?: CallOptions): Promise<EditAnswer> {
      const name = 'scheduleEdits.edit';
      const { seid, changes } = checked(name, editArguments, args);
      const path = `/v1/schedules/edits/${seid}`;
      const call = { name, service: 'portal', method: 'PUT', path, body: changes, effectful: true } as const;
      return send({ ...call, answer: edited }, options);
    },
  };
}
