/**
 * The flow of a recharge: announce, begin, take the NIT from its post, dealers, branches, effect, confirm or undo. Once
 * it is effected it is always confirmed or undone: a durable note is written before, and removed only when the answer
 * to the confirmation or undoing was seen; `recoverRecharges` finishes what a dead process left behind.
 */
import * as z from 'zod';
import { checked, fields } from '../arguments.ts';
import type { CaratClient } from '../client.ts';
import { CaratError } from '../errors.ts';
import type { RechargeNote, RechargeNotes } from '../recharge-notes.ts';
import { type Pace, Settlement, settle } from '../recharge-settlement.ts';
import {
  type Branches,
  type Dealers,
  type RechargeEffect,
  type RechargeOrder,
  rechargeOrder,
  rechargeType,
} from '../recharges.ts';
import type { TokenSource } from '../token-source.ts';
import { type ObtainOptions, obtainToken, spend } from './obtain-token.ts';

const rechargeArguments = z.strictObject({
  merchant_usn: fields.merchant_usn,
  order_id: fields.order_id.optional(),
  recharge_type: rechargeType.optional(),
  order: rechargeOrder,
});
export type RechargeArguments = z.input<typeof rechargeArguments>;

/** What Carat offers before the recharge is effected. */
export interface Offer {
  dealers: Dealers;
  /** Absent for the types `others` and `invoice`, unless `branchesBody` was given. */
  branches: Branches | undefined;
}

export interface RechargeOptions extends ObtainOptions, Pace {
  /** Sees what Carat offers and may change the order, its amount or branch; default: the order as it was given. */
  choose?: ((offer: Offer, order: RechargeOrder) => RechargeOrder | Promise<RechargeOrder>) | undefined;
  /** The body for `PUT /v3/rechargebranches/{nit}`, for the types `others` and `invoice`; Carat does not publish it. */
  branchesBody?: Record<string, unknown> | undefined;
  /** Sees the effected, pending recharge; default: confirm. When it throws, or the signal fires, the recharge is undone. */
  decide?: ((effect: RechargeEffect) => 'confirm' | 'undo' | Promise<'confirm' | 'undo'>) | undefined;
  /** Milliseconds in which the confirmation or undoing is tried before it is left to `recoverRecharges`; default 60 000. */
  settleMs?: number | undefined;
}

/** Why a recharge was undone: `effect`: effecting it failed, or its answer was lost; `error` says how. */
export type UndoReason = 'decided' | 'effect' | 'decision_failed' | 'aborted' | 'notes';

export type RechargeOutcome = { lostAnswer: CaratError | undefined } & (
  | { outcome: 'confirmed'; status: string; effect: RechargeEffect }
  | { outcome: 'undone' | 'not_effected'; status: string; because: UndoReason; error?: unknown }
  /** No answer to the confirmation or undoing was seen in time; the note is kept: run `recoverRecharges`. */
  | { outcome: 'unsettled'; decision: 'confirm' | 'undo'; error: unknown }
);

/**
 * Recharges a telephone. `merchant_usn` (at most 12 digits) must be of this recharge only: its post is told by it.
 * Amounts in cents; `phone.ddd` two digits; formats: see `recharges.effect`.
 *
 * Throws `CaratError` for whatever fails before the recharge is effected: nothing has to be undone then. From there on
 * it answers how the recharge ended, also when the signal fires.
 */
export async function recharge(
  { client, source, notes }: { client: CaratClient; source: TokenSource; notes: RechargeNotes },
  args: RechargeArguments,
  options: RechargeOptions = {},
): Promise<RechargeOutcome> {
  const flow = 'recharge';
  checked(flow, rechargeArguments, args);
  const { merchant_usn, order_id, recharge_type = 'normal' } = args;
  const { signal, timeoutMs } = options;
  const call = { signal, timeoutMs };
  const selector = { merchant_usn };
  const beginning = { merchant_usn, recharge_type, ...(order_id === undefined ? {} : { order_id }) };
  const trigger = () => client.recharges.begin(beginning, call);
  const wanted = { flow, kind: 'nit', selector, callMs: client.timeoutMs, trigger } as const;
  const { token, answer } = await obtainToken(source, wanted, options);
  const lostAnswer = answer.seen ? undefined : answer.error;
  const nit = token.value;
  // From here on nobody else may have this NIT, however long the buyer takes to choose.
  await spend(source, flow, token);

  const order = await chosen(client, nit, recharge_type, args.order, options);
  checked(flow, rechargeOrder, order);
  if (signal?.aborted) throw new CaratError('aborted', 'aborted by the caller', { call: flow, effect: 'none' });

  const note: RechargeNote = { nit, merchant_usn, decision: 'undo', since: new Date().toISOString() };
  if (!notes.takeInHand(nit)) {
    throw new CaratError('notes', 'a recharge with this NIT is in progress', { call: flow, effect: 'none' });
  }
  try {
    // The same NIT, handed out a second time: what was decided about it stands.
    if ((await ofNotes(notes.find(nit))) !== undefined) {
      throw new CaratError('notes', 'a recharge with this NIT is not settled yet', { call: flow, effect: 'none' });
    }
    await ofNotes(notes.keep(note));
    const decision = await effected(client, notes, note, order, options);
    if (decision.neverSent) {
      await notes.forget(nit).catch(() => undefined);
      throw decision.error;
    }
    const denied = decision.error instanceof CaratError && decision.error.code === 'denied';
    const settlement = new Settlement(client, nit, denied && decision.because === 'effect');
    const settled = await settle(settlement, decision.note.decision, options);
    if (!settled.ok)
      return { lostAnswer, outcome: 'unsettled', decision: decision.note.decision, error: settled.error };
    // A note that stays behind does no harm: the recovery will find the recharge finished.
    await notes.forget(nit).catch(() => undefined);
    const { end, status } = settled.value;
    if (end === 'confirmed') return { lostAnswer, outcome: end, status, effect: decision.effect ?? { status } };
    const because = decision.because ?? 'decided';
    return { lostAnswer, outcome: end, status, because, ...(decision.error ? { error: decision.error } : {}) };
  } finally {
    notes.letGo(nit);
  }
}

async function chosen(
  client: CaratClient,
  nit: string,
  type: string,
  order: RechargeOrder,
  { choose, branchesBody, signal, timeoutMs }: RechargeOptions,
): Promise<RechargeOrder> {
  const call = { signal, timeoutMs };
  const given = order.general_hash === undefined ? {} : { general_hash: order.general_hash };
  const dealers = await client.recharges.dealers({ nit, ...given }, call);
  // That the hash of one list is the `general_hash` of the next step is inferred.
  const hash = dealers.hashes?.general === undefined ? given : { general_hash: dealers.hashes.general };
  const place = { ddd: order.phone.ddd, dealer_code: order.dealer.code };
  const branches =
    type === 'normal'
      ? await client.recharges.branches({ nit, ...place, ...hash }, call)
      : branchesBody && (await client.recharges.branchesByBody({ nit, body: branchesBody }, call));
  const last = branches?.hashes?.general === undefined ? hash : { general_hash: branches.hashes.general };
  return (await choose?.({ dealers, branches }, { ...order, ...last })) ?? { ...order, ...last };
}

interface Decision {
  note: RechargeNote;
  effect?: RechargeEffect;
  because?: UndoReason;
  error?: unknown;
  /** The request to effect it surely never left: there is nothing to undo. */
  neverSent?: boolean;
}

/** Effects the recharge and lets the caller decide; the note says what has been decided before this resolves. Never throws. */
async function effected(
  client: CaratClient,
  notes: RechargeNotes,
  note: RechargeNote,
  order: RechargeOrder,
  { decide, signal, timeoutMs }: RechargeOptions,
): Promise<Decision> {
  let effect: RechargeEffect;
  try {
    effect = await client.recharges.effect({ nit: note.nit, order }, { signal, timeoutMs });
  } catch (error) {
    const neverSent =
      error instanceof CaratError &&
      error.effect === 'none' &&
      (error.code === 'connection' || error.code === 'aborted');
    return { note, because: signal?.aborted ? 'aborted' : 'effect', error, neverSent };
  }
  try {
    const decision = await unlessAborted(signal, async () => decide?.(effect) ?? 'confirm');
    if (decision !== 'confirm') return { note, effect, because: decision === 'undo' ? 'decided' : 'aborted' };
  } catch (error) {
    return { note, effect, because: 'decision_failed', error };
  }
  const confirming: RechargeNote = { ...note, decision: 'confirm' };
  try {
    await ofNotes(notes.keep(confirming));
  } catch (error) {
    // A recovery goes by what is written, and a write that failed may still have been carried out.
    const written = await notes.find(note.nit).catch(() => undefined);
    if (written?.decision !== 'confirm') return { note, effect, because: 'notes', error };
  }
  return { note: confirming, effect };
}

/** What `work` answers, or `aborted` as soon as the signal fires. */
async function unlessAborted<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T | 'aborted'> {
  if (signal === undefined) return work();
  const done = new AbortController();
  const aborted = new Promise<'aborted'>((resolve) => {
    if (signal.aborted) resolve('aborted');
    signal.addEventListener('abort', () => resolve('aborted'), { signal: done.signal });
  });
  try {
    return await Promise.race([work(), aborted]);
  } finally {
    done.abort();
  }
}

/** What the notes answer. Throws `notes` when their folder cannot be used. */
async function ofNotes<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    const message = 'the note could not be read or written';
    throw new CaratError('notes', message, { call: 'recharge', effect: 'none', cause });
  }
}
