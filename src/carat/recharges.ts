/** Recharges (`recarga`): begin (the NIT comes by authenticity post), dealers, branches, effect, confirm or undo, query. */
import * as z from 'zod';
import { card, checked, fields } from './arguments.ts';
import type { CallOptions, Send } from './call.ts';

export const rechargeType = z.enum(['normal', 'others', 'invoice']);
const beginArguments = z.strictObject({
  merchant_usn: fields.merchant_usn.optional(),
  order_id: fields.order_id.optional(),
  general_hash: fields.general_hash.optional(),
  recharge_type: rechargeType.optional(),
});
const dealersArguments = z.strictObject({ nit: fields.nit, general_hash: fields.general_hash.optional() });
const phone = z.strictObject({ ddd: fields.ddd, number: fields.phone_number });
const branchesArguments = dealersArguments.extend({ ddd: fields.ddd, dealer_code: fields.list_code });
const otherBranchesArguments = z.strictObject({ nit: fields.nit, body: z.looseObject({}) });
const rechargePayment = z.strictObject({
  amount: fields.amount,
  authorizer_id: fields.authorizer_id,
  installments: fields.small_count.optional(),
  card,
});
export const rechargeOrder = z.strictObject({
  amount: fields.amount,
  amount_key: fields.amount_key.optional(),
  terminal_type: fields.terminal_type.optional(),
  cpf: fields.document.optional(),
  cnpj: fields.document.optional(),
  general_hash: fields.general_hash.optional(),
  dealer: z.strictObject({
    code: fields.list_code,
    type_code: fields.list_code.optional(),
    branch: z.strictObject({ code: fields.list_code }).optional(),
  }),
  phone,
  payment: rechargePayment.optional(),
});
export type RechargeOrder = z.input<typeof rechargeOrder>;
const effectArguments = z.strictObject({ nit: fields.nit, order: rechargeOrder });
const confirmArguments = z.strictObject({ nit: fields.nit, confirm: z.boolean() });
const nitArgument = z.strictObject({ nit: fields.nit });

const named = z.looseObject({ code: z.string(), name: z.string().optional() });
const hashes = z.looseObject({ general: z.string().optional() }).optional();
const dealer = named.extend({ type_code: z.string().optional(), branches: z.array(named).optional() });
const dealersAnswer = z.looseObject({ status: z.string().optional(), hashes, dealers: z.array(dealer) });
export type Dealers = z.output<typeof dealersAnswer>;
/** Carat publishes only the beginning of this answer [ex]. The rest is kept unchanged. */
const branchesAnswer = z.looseObject({ status: z.string().optional(), hashes });
export type Branches = z.output<typeof branchesAnswer>;
const stateAnswer = z.looseObject({
  status: z.string(),
  payment: z.looseObject({ status: z.string().optional() }).optional(),
});
export type RechargeState = z.output<typeof stateAnswer>;
const effectAnswer = stateAnswer.extend({ status: z.string().optional() });
export type RechargeEffect = z.output<typeof effectAnswer>;

export function recharges(send: Send, merchantKey: string) {
  const service = 'recharge' as const;
  const merchant_key = merchantKey;
  return {
    /**
     * Begins a recharge: `POST /v3/recharge` [doc]. The NIT comes by authenticity post, with `merchantUSN` [ex], before
     * this resolves. Give each recharge its own `merchant_usn` (at most 12 digits) to recognise its post, which has no
     * `merchant_data`.
     */
    async begin(args: z.input<typeof beginArguments>, options?: CallOptions): Promise<void> {
      const name = 'recharges.begin';
      const body = { begin_recharge_request: { merchant_key, ...checked(name, beginArguments, args) } };
      const answer = z.looseObject({});
      await send({ name, service, method: 'POST', path: '/v3/recharge', body, effectful: true, answer }, options);
    },

    /** Lists dealers ("concessionárias"), e.g. `001` Vivo, and `hashes.general` for later steps: `GET /v3/rechargedealers` [doc]. */
    async dealers(args: z.input<typeof dealersArguments>, options?: CallOptions): Promise<Dealers> {
      const name = 'recharges.dealers';
      const { nit, general_hash } = checked(name, dealersArguments, args);
      const call = { name, service, method: 'GET', path: '/v3/rechargedealers', effectful: false } as const;
      return send({ ...call, query: { nit, generalhash: general_hash }, answer: dealersAnswer }, options);
    },

    /** Finds a dealer's branch ("filial") for an area code, type `normal`: `GET /v3/rechargebranches` [doc]; its content [unknown]. */
    async branches(args: z.input<typeof branchesArguments>, options?: CallOptions): Promise<Branches> {
      const name = 'recharges.branches';
      const { nit, ddd, dealer_code, general_hash } = checked(name, branchesArguments, args);
      const query = { nit, ddd, dealercode: dealer_code, generalhash: general_hash };
      const call = { name, service, method: 'GET', path: '/v3/rechargebranches', query, effectful: false } as const;
      return send({ ...call, answer: branchesAnswer }, options);
    },

    /** Finds the branch for types `others` and `invoice`: `PUT /v3/rechargebranches/{nit}` [doc]. Carat publishes no body: give all of it. */
    async branchesByBody(args: z.input<typeof otherBranchesArguments>, options?: CallOptions): Promise<Branches> {
      const name = 'recharges.branchesByBody';
      const { nit, body } = checked(name, otherBranchesArguments, args);
      const path = `/v3/rechargebranches/${nit}`;
      return send({ name, service, method: 'PUT', path, body, effectful: true, answer: branchesAnswer }, options);
    },

    /**
     * Effects the recharge, and with `payment` its payment: `PUT /v3/recharge/{nit}` [doc]. Amounts in cents. It is then
     * pending (`PPC`) and **must be confirmed or undone, even if this call fails** [doc]. The flow `recharge` does that. The
     * place of the card data in `payment` is inferred.
     */
    async effect(args: z.input<typeof effectArguments>, options?: CallOptions): Promise<RechargeEffect> {
      const name = 'recharges.effect';
      const { nit, order } = checked(name, effectArguments, args);
      const { general_hash, payment, ...rest } = order;
      const do_recharge_request = {
        ...rest,
        ...(general_hash === undefined ? {} : { hashes: { general: general_hash } }),
        ...(payment === undefined ? {} : { payment: paymentBody(payment, merchant_key) }),
      };
      const path = `/v3/recharge/${nit}`;
      const body = { do_recharge_request };
      return send({ name, service, method: 'PUT', path, body, effectful: true, answer: effectAnswer }, options);
    },

    /** Confirms (`confirm: true`) or undoes the recharge and its payment: `PUT /v3/recharge/{nit}` [doc] → `CON`, or `PPN` [inf]. */
    async confirm(args: z.input<typeof confirmArguments>, options?: CallOptions): Promise<RechargeState> {
      const name = 'recharges.confirm';
      const { nit, confirm } = checked(name, confirmArguments, args);
      const body = { confirm_recharge_request: { confirm: String(confirm), merchant_key } };
      const path = `/v3/recharge/${nit}`;
      return send({ name, service, method: 'PUT', path, body, effectful: true, answer: stateAnswer }, options);
    },

    /** Queries the state of a recharge and its payment: `GET /v3/recharge/{nit}` [doc]. May be repeated. */
    async query(args: z.input<typeof nitArgument>, options?: CallOptions): Promise<RechargeState> {
      const name = 'recharges.query';
      const path = `/v3/recharge/${checked(name, nitArgument, args).nit}`;
      const query = { merchantkey: merchant_key };
      return send({ name, service, method: 'GET', path, query, effectful: false, answer: stateAnswer }, options);
    },
  };
}

function paymentBody(payment: z.output<typeof rechargePayment>, merchant_key: string) {
  const { installments, card: cardData, ...rest } = payment;
  const installment = installments === undefined ? {} : { installment: { number: installments } };
  return { ...rest, merchant_key, ...installment, card: cardData };
}
