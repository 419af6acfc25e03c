/**
 * The flow of a recharge: announce, begin, take the NIT from its post, dealers, branches, effect, confirm or undo. An
 * effected recharge is always confirmed or undone: a durable note is written before, and removed when Carat has answered
 * the confirmation or undo. `recoverRecharges` finishes the recharges of a dead process.
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

/** Carat's offer before the recharge is effected. */
export interface Offer {
  dealers: Dealers;
  /** Absent for the types `others` and `invoice`, unless `branchesBody` was given. */
  branches: Branches | undefined;
}

export interface RechargeOptions extends ObtainOptions, Pace {
  /** Receives Carat's offer and may change the order, its amount or branch. Default: the given order. */
  choose?: ((offer: Offer, order: RechargeOrder) => RechargeOrder | Promise<RechargeOrder>) | undefined;
  /** The body of `PUT /v3/rechargebranches/{nit}`, for the types `others` and `invoice`. Carat does not publish it. */
  branchesBody?: Record<string, unknown> | undefined;
  /** Decides about the effected, pending recharge. Default: confirm. If it throws or the signal aborts: undo. */
  decide?: ((effect: RechargeEffect) => 'confirm' | 'undo' | Promise<'confirm' | 'undo'>) | undefined;
  /** Milliseconds to try the confirmation or undo before it is left to `recoverRecharges`; default 60 000. */
  settleMs?: number | undefined;
}

/** Why a recharge was undone. `effect`: effecting it failed, or its answer was lost, as `error` says. */
export type UndoReason = 'decided' | 'effect' | 'decision_failed' | 'aborted' | 'notes';

export type RechargeOutcome = { lostAnswer: CaratError | undefined } & (
  | { outcome: 'confirmed'; status: string; effect: RechargeEffect }
  | { outcome: 'undone' | 'not_effected'; status: string; because: UndoReason; error?: unknown }
  /** Carat did not answer the confirmation or undo in time. The note is kept: run `recoverRecharges`. */
  | { outcome: 'unsettled'; decision: 'confirm' | 'undo'; error: unknown }
);

/**
 * Recharges a telephone. `merchant_usn` (at most 12 digits) must be unique to this recharge: it identifies the post.
 * Amounts in cents; `phone.ddd` two digits; formats: see `recharges.effect`.
 *
 * Throws `CaratError` if anything fails before the recharge is effected: then nothing must be undone. After that, resolves
 * with the end of the recharge, even if the signal aborts.
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
  // From here on, no other worker may get this NIT, even if the buyer takes long to choose.
  await spend(source, flow, token);

  const order = await chosen(client, nit, recharge_type, args.order, options);
  checked(flow, rechargeOrder, order);
  if (signal?.aborted) throw new CaratError('aborted', 'aborted by the caller', { call: flow, effect: 'none' });

  const note: RechargeNote = { nit, merchant_usn, decision: 'undo', since: new Date().toISOString() };
  if (!notes.takeInHand(nit)) {
    throw new CaratError('notes', 'a recharge with this NIT is in progress', { call: flow, effect: 'none' });
  }
  try {
    // The same NIT was handed out a second time. Its earlier decision holds.
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
    // A note that could not be removed is harmless: the recovery finds the recharge finished.
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
  // Inferred: the hash of one list is the `general_hash` of the next step.
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
  /** The request to effect it was certainly never sent, so nothing must be undone. */
  neverSent?: boolean;
}

/** Effects the recharge and lets the caller decide. The note has the decision before this resolves. Never throws. */
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
    // A failed write may still have been stored, and a recovery acts on the stored note.
    const written = await notes.find(note.nit).catch(() => undefined);
    if (written?.decision !== 'confirm') return { note, effect, because: 'notes', error };
  }
  return { note: confirming, effect };
}

/** Returns the result of `work`, or `aborted` as soon as the signal aborts. */
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

/** Waits for an operation on the notes. Throws `notes` if it fails. */
async function ofNotes<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    const message = 'the note could not be read or written';
    throw new CaratError('notes', message, { call: 'recharge', effect: 'none', cause });
  }
}
