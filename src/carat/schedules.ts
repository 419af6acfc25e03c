/** Schedules (`agendamento`): create with or without a payment, pay, confirm late, activate, query. */
import * as z from 'zod';
import { card, checked, fields, storedCard } from './arguments.ts';
import type { CallOptions, Send } from './call.ts';

const status = z.string();
const schedule = z.looseObject({ status: status.optional(), sid: z.string().optional() });
const payment = z.looseObject({ status: status.optional(), nit: z.string().optional() });
/** The known fields of an answer about a transaction. Other fields are kept unchanged. */
const transaction = z.looseObject({ schedule: schedule.optional(), payment: payment.optional() });
export type TransactionAnswer = z.output<typeof transaction>;

const scheduleTerms = z.strictObject({
  amount: fields.amount,
  initial_date: fields.date,
  number_of_times: fields.small_count,
  interval: fields.small_count,
  soft_descriptor: fields.soft_descriptor.optional(),
  show_times_invoice: fields.flag.optional(),
});
const base = z.strictObject({
  merchant_usn: fields.merchant_usn,
  order_id: fields.order_id,
  authorizer_id: fields.authorizer_id,
  schedule: scheduleTerms,
  additional_data: z.looseObject({}).optional(),
});
const withPayment = base.extend({
  amount: fields.amount,
  installments: fields.small_count,
  installment_type: fields.installment_type,
  late_confirmation: z.boolean().optional(),
});
export type NewSchedule = z.input<typeof base>;
export type NewScheduleWithPayment = z.input<typeof withPayment>;

const nitArgument = z.strictObject({ nit: fields.nit });
const sidArgument = z.strictObject({ sid: fields.sid });
const payArguments = nitArgument.extend({ authorizer_id: fields.authorizer_id.optional(), card });
const activateArguments = sidArgument.extend({ authorizer_id: fields.authorizer_id.optional(), card: storedCard });
const confirmArguments = nitArgument.extend({ confirm: z.boolean(), amount: fields.amount.optional() });

export function schedules(send: Send) {
  return {
    /**
     * Creates a schedule without a payment: `POST /v1/transactions` with `do_payment_now: "false"` [ex]. Amounts in cents,
     * dates `DD/MM/YYYY`. Answers the SID under `schedule.sid`, status `NOV`. It starts when it is activated. Errors:
     * `CaratError`.
     */
    async create(args: NewSchedule, options?: CallOptions): Promise<TransactionAnswer> {
      const name = 'schedules.create';
      const { schedule: terms, ...rest } = checked(name, base, args);
      const body = { ...rest, schedule: { ...terms, do_payment_now: 'false' } };
      return send(
        {
          name,
          service: 'portal',
          method: 'POST',
          path: '/v1/transactions',
          body,
          effectful: true,
          answer: transaction,
        },
        options,
      );
    },

    /**
     * Creates a payment with a schedule: `POST /v1/transactions` with a `schedule` object [doc]. Answers the
     * NIT under `payment.nit`, status `NOV`. `late_confirmation` sends `additional_data.postpone_confirmation` [field]:
     * the payment then stays `PPC` until `confirmPayment`. Errors: `CaratError`.
     */
    async createWithPayment(args: NewScheduleWithPayment, options?: CallOptions): Promise<TransactionAnswer> {
      const name = 'schedules.createWithPayment';
      const { late_confirmation, ...rest } = checked(name, withPayment, args);
      const body = late_confirmation
        ? { ...rest, additional_data: { ...rest.additional_data, postpone_confirmation: 'true' } }
        : rest;
      return send(
        {
          name,
          service: 'portal',
          method: 'POST',
          path: '/v1/transactions',
          body,
          effectful: true,
          answer: transaction,
        },
        options,
      );
    },

    /**
     * Pays: `POST /v1/payments/{nit}` with the card [doc]. The payment becomes `CON` and its schedule `ATV`, both or
     * neither. With late confirmation, the payment becomes `PPC`. After an error whose `effect` is `unknown`, call `query`
     * first.
     */
    async pay(args: z.input<typeof payArguments>, options?: CallOptions): Promise<TransactionAnswer> {
      const name = 'schedules.pay';
      const { nit, ...body } = checked(name, payArguments, args);
      const path = `/v1/payments/${nit}`;
      return send(
        { name, service: 'portal', method: 'POST', path, body, effectful: true, answer: transaction },
        options,
      );
    },

    /**
     * Confirms (`confirm: true`) or undoes a payment that is `PPC`: `PUT /v1/payments/{nit}?confirm=` [doc]. The decision
     * is in the query string, not in a body [doc]. A lower `amount` in cents captures less than authorized, if supported.
     */
    async confirmPayment(args: z.input<typeof confirmArguments>, options?: CallOptions): Promise<TransactionAnswer> {
      const name = 'schedules.confirmPayment';
      const { nit, confirm, amount } = checked(name, confirmArguments, args);
      const path = `/v1/payments/${nit}`;
      const query = { confirm: String(confirm), amount };
      return send(
        { name, service: 'portal', method: 'PUT', path, query, effectful: true, answer: transaction },
        options,
      );
    },

    /** Activates a schedule without payment: `POST /v1/schedules/{sid}` with the card, without security code [doc] → `ATV`. */
    async activate(args: z.input<typeof activateArguments>, options?: CallOptions): Promise<TransactionAnswer> {
      const name = 'schedules.activate';
      const { sid, ...body } = checked(name, activateArguments, args);
      const path = `/v1/schedules/${sid}`;
      return send(
        { name, service: 'portal', method: 'POST', path, body, effectful: true, answer: transaction },
        options,
      );
    },

    /** Queries a payment or cancellation by its NIT: `GET /v1/transactions/{nit}` [doc]. May be repeated. */
    async query(args: z.input<typeof nitArgument>, options?: CallOptions): Promise<TransactionAnswer> {
      const name = 'schedules.query';
      const path = `/v1/transactions/${checked(name, nitArgument, args).nit}`;
      return send({ name, service: 'portal', method: 'GET', path, effectful: false, answer: transaction }, options);
    },

    /** Queries a schedule by its SID: `GET /v1/schedules/{sid}`, only seen in merchants' code [field]. May be repeated. */
    async queryBySid(args: z.input<typeof sidArgument>, options?: CallOptions): Promise<TransactionAnswer> {
      const name = 'schedules.queryBySid';
      const path = `/v1/schedules/${checked(name, sidArgument, args).sid}`;
      const resultCode = 'optional' as const;
      return send(
        { name, service: 'portal', method: 'GET', path, effectful: false, resultCode, answer: transaction },
        options,
      );
    },
  };
}
