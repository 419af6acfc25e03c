/**
 * The first half of every flow: *announce → start the wait → call Carat → take the token*. Carat posts the token during the
 * call, so the wait starts before the call. Both results are evaluated together when both have ended.
 */
import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import { checked, MAX_MS, milliseconds } from '../arguments.ts';
import type { CallOptions, CaratSaid } from '../call.ts';
import { answerLost, CaratError } from '../errors.ts';
import type { Announced, HeldToken, TokenKind, TokenSelector, TokenSource } from '../token-source.ts';

export interface ObtainOptions {
  /** Ends the flow. A token that was already taken is put back. */
  signal?: AbortSignal | undefined;
  /** Milliseconds to wait for the post after Carat's call, 0 to 600 000; default 10 000. Normally the post comes before. */
  graceMs?: number | undefined;
  /** Milliseconds until a call of the flow is given up, 1 to 600 000; default: the client's. */
  timeoutMs?: number | undefined;
}

export interface Obtained<T extends HeldToken = HeldToken> {
  token: T;
  /** If `seen` is false, the token came, but Carat's answer was lost, as `error` says. The token is valid. */
  answer: { seen: true; said: CaratSaid | undefined } | { seen: false; error: CaratError };
}

export interface Wanted {
  flow: string;
  kind: TokenKind;
  selector?: TokenSelector | undefined;
  /** Milliseconds until the call is given up, if the options have no `timeoutMs`. */
  callMs: number;
  /** Milliseconds for the call and the post together. If given, `graceMs` only bounds the wait after a lost answer. */
  totalMs?: number | undefined;
  /** The call that makes Carat post. Called once. */
  trigger: (announced: Announced, options: CallOptions) => Promise<void>;
}

const DEFAULT_GRACE_MS = 10_000;
const limits = z.strictObject({ graceMs: milliseconds(0, MAX_MS), timeoutMs: milliseconds(1, MAX_MS) });

/**
 * Distinguishes four results: the call failed without a token (throws its error); answer and token came; the token came but
 * the answer was lost (`answer.seen` is false); success without a token (throws `no_post`). After a failed call, the
 * expectation is cancelled. After `no_post`, it expires, so that the receiver reports a no-show.
 */
export async function obtainToken<T extends HeldToken>(
  source: TokenSource<T>,
  wanted: Wanted,
  options: ObtainOptions,
): Promise<Obtained<T>> {
  const { flow, kind, selector, trigger, totalMs } = wanted;
  if (options.signal?.aborted)
    throw new CaratError('aborted', 'aborted before the start', { call: flow, effect: 'none' });
  const times = { graceMs: options.graceMs ?? DEFAULT_GRACE_MS, timeoutMs: options.timeoutMs ?? wanted.callMs };
  const { graceMs, timeoutMs } = checked(flow, limits, times);
  const waitMs = totalMs ?? timeoutMs + graceMs;
  const until = performance.now() + waitMs;
  const ttlSeconds = Math.ceil(waitMs / 1000) + 1;
  const announced = await asked(flow, 'announce', source.announce({ kind, selector, ttlSeconds }));
  const wait = new AbortController();
  const signal = options.signal === undefined ? wait.signal : AbortSignal.any([wait.signal, options.signal]);
  const taking = settled(source.take(announced, { claimId: randomUUID(), timeoutMs: waitMs, signal }));
  let said: CaratSaid | undefined;
  const onSuccess = (success: CaratSaid): void => {
    said = success;
  };
  const call = await settled(trigger(announced, { signal: options.signal, timeoutMs: options.timeoutMs, onSuccess }));

  // Only a plain denial excludes a token. After any other result, a token may still come.
  const hopeless = !call.ok && !answerLost(call.error);
  const leftMs = Math.max(until - performance.now(), 0);
  const stillMs = totalMs === undefined ? graceMs : call.ok ? leftMs : Math.min(graceMs, leftMs);
  const taken = await within(taking, hopeless ? 0 : stillMs, wait);
  if (taken.ok && taken.value !== undefined && !hopeless && !options.signal?.aborted) {
    const token = taken.value;
    if (call.ok) return { token, answer: { seen: true, said } };
    if (answerLost(call.error)) return { token, answer: { seen: false, error: call.error } };
  }
  // A token of the pool may belong to another worker's successful call. A token with a correlator belongs to this call: it is
  // useless if Carat denied the call, and still valid if only the caller aborted.
  if (taken.ok && taken.value !== undefined) {
    const isGood = announced.kind === 'token' || !hopeless;
    await settled(isGood ? source.release(taken.value) : source.used(taken.value));
  }
  if (!call.ok || options.signal?.aborted) await settled(source.cancel(announced));
  if (!call.ok) throw call.error;
  if (options.signal?.aborted) throw new CaratError('aborted', 'aborted by the caller', { call: flow, effect: 'none' });
  if (!taken.ok) throw sourceError(flow, 'take', taken.error);
  throw new CaratError('no_post', 'Carat answered success, but no authenticity post came', {
    call: flow,
    effect: 'none',
  });
}

/**
 * Marks the token as used before it is spent. A process that dies in between then loses a token, which can be asked for
 * again. In the other order, a spent token could be handed out.
 */
export async function spend(source: TokenSource, flow: string, token: HeldToken): Promise<void> {
  await asked(flow, 'used', source.used(token));
}

type Settled<T> = { ok: true; value: T } | { ok: false; error: unknown };

function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  return promise.then(
    (value) => ({ ok: true, value }),
    (error: unknown) => ({ ok: false, error }),
  );
}

/** Ends the wait after `ms` and returns its result. A token that has arrived is taken even if `ms` is 0. */
async function within<T>(
  taking: Promise<Settled<T>>,
  ms: number,
  wait: AbortController,
): Promise<Settled<T | undefined>> {
  const timer = setTimeout(() => wait.abort(), ms);
  try {
    const taken = await taking;
    return !taken.ok && wait.signal.aborted ? { ok: true, value: undefined } : taken;
  } finally {
    clearTimeout(timer);
  }
}

async function asked<T>(flow: string, what: string, promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw sourceError(flow, what, error);
  }
}

function sourceError(flow: string, what: string, cause: unknown): CaratError {
  return new CaratError('token_source', `the token source failed at ${what}`, { call: flow, effect: 'none', cause });
}
