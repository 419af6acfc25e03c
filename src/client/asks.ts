/** The client's functions that ask Carat through the service and decide about recharges. */
import { type Answer, type Connection, OVERDUE_MS, type Request } from './connection.ts';
import { pause, Retries, sliceOf } from './retries.ts';

/** All functions reject with a `WorkerError`, or with the reason of the given signal. */
export interface Asks {
  /**
   * Asks Carat for the edit of a schedule. Never repeated: see `AskOptions`.
   *
   * Errors beside those of every call: `not_configured`; `carat_refused`, with Carat's code and message in `carat`;
   * `carat_unreachable`; `no_post`: Carat answered success, but its post did not come in time; `store_away`; `draining`.
   */
  askScheduleEdit(request: ScheduleEditRequest, options?: AskOptions): Promise<AskedScheduleEdit>;
  /**
   * Asks Carat for a recharge. The service then owes Carat a decision: always call `decideRecharge`. Without a decision, the
   * service undoes the recharge at `settleBy`. Errors as for `askScheduleEdit`.
   */
  askRecharge(request: RechargeRequest, options?: AskOptions): Promise<AskedRecharge>;
  /** Asks Carat for the token of one generic operation. Errors as for `askScheduleEdit`. */
  askGenericToken(request?: TokenRequest, options?: AskOptions): Promise<AskedToken>;
  /** Asks Carat for the token that registers one merchant. Errors as for `askScheduleEdit`. */
  askMerchantToken(request?: TokenRequest, options?: AskOptions): Promise<AskedToken>;
  /** Asks Carat for the cancellation of a payment. Errors as for `askScheduleEdit`. */
  askCancellation(request: CancellationRequest, options?: AskOptions): Promise<AskedCancellation>;
  /**
   * Confirms or undoes a recharge. Retries until the service has stored the decision. The service then carries it out, even
   * if this process dies. Resolves when the recharge has ended, or with `end` null when `timeout` ends first. Repeating the
   * same decision gets the same answer.
   *
   * Errors: `decided` if the other decision was made before, with that decision in `decision`; `unknown_recharge` for a NIT
   * that `askRecharge` did not return, or that ended more than 24 hours ago.
   */
  decideRecharge(recharge: RechargeName, decision: Decision, options?: DecideOptions): Promise<RechargeProgress>;
  /** Reads the state of a recharge. With `timeout`, waits until it has ended. Error: `unknown_recharge`. */
  readRecharge(recharge: RechargeName, options?: DecideOptions): Promise<RechargeProgress>;
}

/**
 * An ask is never repeated, because Carat must not be asked twice. After `unreachable`, Carat may have been asked: a token
 * that still came can be claimed by its selector, or from the pool.
 */
export interface AskOptions {
  /** Milliseconds for Carat's answer and the post together, 1000 to 60 000; default 30 000. */
  timeout?: number | undefined;
  /** Ends the wait. The token is put back, and can be claimed by its selector or from the pool. */
  signal?: AbortSignal | undefined;
}

export interface DecideOptions {
  /** Milliseconds to wait for the end. Default: 30 000 for a decision; 0 for a read, which then sends one request. */
  timeout?: number | undefined;
  /** Ends the wait. A stored decision remains. */
  signal?: AbortSignal | undefined;
}

export interface TokenRequest {
  /** Carat's merchant (loja); default: the client's. */
  merchant?: string | undefined;
}

export interface ScheduleEditRequest extends TokenRequest {
  /** The SID of the schedule, 64 letters or digits. */
  sid: string;
  /** 1 to 20 letters or digits. Default: a new, unguessable one. */
  merchantData?: string | undefined;
}

export interface RechargeRequest extends TokenRequest {
  /** 1 to 12 digits, unique to this recharge: it identifies the post. */
  merchantUsn: string;
  /** 1 to 20 characters. */
  orderId?: string | undefined;
  rechargeType?: 'normal' | 'others' | 'invoice' | undefined;
  /** 16 letters or digits. */
  generalHash?: string | undefined;
  /** Milliseconds until the service undoes a recharge without a decision, 30 000 to 3 600 000; default 300 000. */
  settleWithin?: number | undefined;
}

/** Needs `merchantUsn` or `orderId`, which identifies the post. */
export interface CancellationRequest extends TokenRequest {
  /** The `esitef_usn` of the payment, 1 to 15 letters or digits. */
  esitefUsn: string;
  /** 1 to 12 digits. */
  merchantUsn?: string | undefined;
  /** 1 to 20 characters. */
  orderId?: string | undefined;
}

/** Carat's result of a call. */
export interface CaratSaid {
  /** Carat's result code; `0` is success. */
  code: string;
  /** At most 500 characters, without secrets. Empty if Carat sent none. */
  message: string;
}

/** The result of every ask. The token is marked as used: the service never hands it out again. */
export interface Asked {
  merchant: string;
  receivedAt: Date;
  /** When the service forgets the token. */
  expiresAt: Date;
  /** Null if the post came but Carat's own answer was lost. The token is valid. */
  carat: CaratSaid | null;
}

export interface AskedScheduleEdit extends Asked {
  /** Do not log it. */
  seid: string;
  sid: string;
  merchantData: string;
}

export interface AskedRecharge extends Asked {
  /** Do not log it. */
  nit: string;
  merchantUsn: string;
  orderId?: string | undefined;
  /** Without a decision by this time, the service undoes the recharge. */
  settleBy: Date;
}

export interface AskedToken extends Asked {
  /** Do not log it. */
  token: string;
}

export interface AskedCancellation extends Asked {
  /** Do not log it. */
  nit: string;
  esitefUsn: string;
  merchantUsn?: string | undefined;
  orderId?: string | undefined;
}

export type Decision = 'confirm' | 'undo';

/** Identifies a recharge: the result of `askRecharge`, or a part of it. */
export interface RechargeName {
  nit: string;
  /** Default: the client's. */
  merchant?: string | undefined;
}

export interface RechargeProgress {
  merchant: string;
  nit: string;
  merchantUsn: string;
  settleBy: Date;
  /** Null until a decision is made. */
  decision: Decision | null;
  /** `guard`: no decision came by `settleBy`, and the service undoes the recharge. */
  decidedBy: 'worker' | 'guard' | null;
  /** Null until Carat has answered. `not_effected`: Carat had not carried out the recharge. */
  end: 'confirmed' | 'undone' | 'not_effected' | null;
  /** Carat's status, three letters, such as `CON` or `PPN`. */
  status: string | null;
}

const DEFAULT_ASK_MS = 30_000;
/** The pause between two requests, if the service answers before the wait is over. */
const REQUEST_EVERY_MS = 100;

/** The fields as the worker API sends them. */
export type WireAsked = { received_at: string; expires_at: string; carat: CaratSaid | null };
export type WireScheduleEdit = WireAsked & { seid: string; sid: string; merchant_data: string };
export type WireRecharge = WireAsked & {
  nit: string;
  merchant_usn: string;
  order_id?: string | undefined;
  settle_by: string;
};
export type WireAskedToken = WireAsked & { token: string };
export type WireCancellation = WireAsked & {
  nit: string;
  esitef_usn: string;
  merchant_usn?: string | undefined;
  order_id?: string | undefined;
};
export type WireRechargeState = Pick<RechargeProgress, 'nit' | 'decision' | 'end' | 'status'> & {
  merchant_usn: string;
  settle_by: string;
  decided_by: RechargeProgress['decidedBy'];
};

export function asksOf(connection: Connection, ownMerchant: string): Asks {
  async function ask<Wire extends WireAsked>(
    what: string,
    path: string,
    { merchant = ownMerchant, ...body }: TokenRequest & Record<string, unknown>,
    { timeout = DEFAULT_ASK_MS, signal }: AskOptions,
  ): Promise<{ wire: Wire; asked: Asked }> {
    const sent = { ...body, merchant, wait: timeout / 1000 };
    const deadline = timeout + OVERDUE_MS;
    const wire = (await connection.ask({ what, method: 'POST', path, body: sent, deadline, signal })) as Wire;
    const { received_at, expires_at, carat } = wire;
    return { wire, asked: { merchant, receivedAt: new Date(received_at), expiresAt: new Date(expires_at), carat } };
  }

  async function progress(
    { merchant = ownMerchant }: RechargeName,
    { timeout, signal }: DecideOptions & { timeout: number },
    request: (merchant: string, wait: number) => Omit<Request, 'deadline' | 'signal'>,
  ): Promise<RechargeProgress> {
    const retries = new Retries(timeout, signal);
    for (;;) {
      const slice = sliceOf(retries.left);
      let answer: Answer;
      try {
        const asked = request(merchant, Math.round(slice) / 1000);
        answer = await connection.ask({ ...asked, deadline: slice + OVERDUE_MS, signal });
      } catch (error) {
        await retries.failed(error);
        continue;
      }
      retries.succeeded();
      const found = progressOf(answer as WireRechargeState, merchant);
      if (found.end !== null || retries.left < 1) return found;
      await pause(Math.min(REQUEST_EVERY_MS, retries.left), signal);
    }
  }

  return {
    async askScheduleEdit({ merchant, sid, merchantData }, options = {}) {
      const body = { merchant, sid, merchant_data: merchantData };
      const { wire, asked } = await ask<WireScheduleEdit>('askScheduleEdit', '/v1/schedule-edits', body, options);
      return { ...asked, seid: wire.seid, sid: wire.sid, merchantData: wire.merchant_data };
    },

    async askRecharge({ merchant, merchantUsn, orderId, rechargeType, generalHash, settleWithin }, options = {}) {
      const body = {
        merchant,
        merchant_usn: merchantUsn,
        order_id: orderId,
        recharge_type: rechargeType,
        general_hash: generalHash,
        settle_within: settleWithin === undefined ? undefined : settleWithin / 1000,
      };
      const { wire, asked } = await ask<WireRecharge>('askRecharge', '/v1/recharges', body, options);
      const { nit, merchant_usn, order_id, settle_by } = wire;
      return { ...asked, nit, merchantUsn: merchant_usn, orderId: order_id, settleBy: new Date(settle_by) };
    },

    async askGenericToken({ merchant } = {}, options = {}) {
      const path = '/v1/generic-tokens';
      const { wire, asked } = await ask<WireAskedToken>('askGenericToken', path, { merchant }, options);
      return { ...asked, token: wire.token };
    },

    async askMerchantToken({ merchant } = {}, options = {}) {
      const path = '/v1/merchant-tokens';
      const { wire, asked } = await ask<WireAskedToken>('askMerchantToken', path, { merchant }, options);
      return { ...asked, token: wire.token };
    },

    async askCancellation({ merchant, esitefUsn, merchantUsn, orderId }, options = {}) {
      const body = { merchant, esitef_usn: esitefUsn, merchant_usn: merchantUsn, order_id: orderId };
      const { wire, asked } = await ask<WireCancellation>('askCancellation', '/v1/cancellations', body, options);
      const { nit, esitef_usn, merchant_usn, order_id } = wire;
      return { ...asked, nit, esitefUsn: esitef_usn, merchantUsn: merchant_usn, orderId: order_id };
    },

    decideRecharge(recharge, decision, { timeout = DEFAULT_ASK_MS, signal } = {}) {
      return progress(recharge, { timeout, signal }, (merchant, wait) => ({
        what: 'decideRecharge',
        method: 'PUT',
        path: pathOf(recharge),
        body: { merchant, decision, wait },
      }));
    },

    readRecharge(recharge, { timeout = 0, signal } = {}) {
      return progress(recharge, { timeout, signal }, (merchant, wait) => ({
        what: 'readRecharge',
        method: 'GET',
        path: pathOf(recharge),
        query: { merchant, wait },
      }));
    },
  };
}

function pathOf({ nit }: RechargeName): string {
  return `/v1/recharges/${encodeURIComponent(nit)}`;
}

function progressOf(wire: WireRechargeState, merchant: string): RechargeProgress {
  const { nit, merchant_usn, settle_by, decision, decided_by, end, status } = wire;
  const times = { settleBy: new Date(settle_by) };
  return { merchant, nit, merchantUsn: merchant_usn, ...times, decision, decidedBy: decided_by, end, status };
}
