/**
 * Confirms or undoes an effected recharge until Carat has answered. Only here is a call with effects repeated, and only
 * after a query has shown that it is still needed. It never sends another decision than the given one: the caller reads the
 * stored decision right before each attempt.
 */
import type { CallOptions } from './call.ts';
import type { CaratClient } from './client.ts';
import { CaratError } from './errors.ts';
import type { RechargeNote } from './recharge-notes.ts';

export type Decision = RechargeNote['decision'];

/**
 * How a recharge ended. `confirmed`: `CON`. `undone`: `PPN`, or reversed. `not_effected`: Carat never carried it out
 * (denied, expired, …) and has answered the undo.
 */
export interface Settled {
  end: 'confirmed' | 'undone' | 'not_effected';
  /** Carat's status, three letters. */
  status: string;
}

export interface Pace {
  /** Milliseconds before the second attempt, doubled for each further one. Default 500. */
  firstDelayMs?: number | undefined;
  /** The longest pause between attempts, in milliseconds; default 30 000. */
  maxDelayMs?: number | undefined;
}

/** The settlement of one recharge. It remembers Carat's answers between attempts. */
export class Settlement {
  readonly #client: CaratClient;
  readonly #nit: string;
  /** Carat denied the request to effect it, so none can still be in flight. */
  readonly #effectDenied: boolean;
  /** Carat has answered a confirmation or undo, possibly with a refusal. */
  #answered = false;

  constructor(client: CaratClient, nit: string, effectDenied = false) {
    this.#client = client;
    this.#nit = nit;
    this.#effectDenied = effectDenied;
  }

  /** Queries the state and sends the decision if needed. Returns undefined if it must be retried. Throws `CaratError`. */
  async attempt(decision: Decision, options?: CallOptions): Promise<Settled | undefined> {
    const { status } = await this.#client.recharges.query({ nit: this.#nit }, options);
    const end = status === 'NOV' && this.#effectDenied ? 'not_effected' : endOf(status);
    if (end === 'confirmed' || end === 'undone') return { end, status };
    if (end === 'not_effected' && this.#answered) return { end, status };
    // Needed after a failed effect too: Carat always requires this step [doc].
    return this.send(decision, options);
  }

  /** Sends the decision without a query. Only valid once, directly after the recharge was effected. */
  async send(decision: Decision, options?: CallOptions): Promise<Settled | undefined> {
    try {
      const confirm = decision === 'confirm';
      const { status } = await this.#client.recharges.confirm({ nit: this.#nit, confirm }, options);
      this.#answered = true;
      if (STILL_OPEN.has(status)) return undefined;
      return { end: endOf(status) ?? (confirm ? 'confirmed' : 'undone'), status };
    } catch (error) {
      if (!(error instanceof CaratError) || error.code !== 'denied') throw error;
      this.#answered = true;
      return undefined;
    }
  }
}

/** Includes `NOV`: the request to effect it may still be in flight. */
const STILL_OPEN: ReadonlySet<string> = new Set(['NOV', 'PPC', 'PEN', 'AGU', 'RET']);
const ENDS: ReadonlyMap<string, Settled['end']> = new Map([
  ['CON', 'confirmed'],
  ['PPN', 'undone'],
  ['EST', 'undone'],
  ['CAN', 'undone'],
  ['NEG', 'not_effected'],
  ['ERR', 'not_effected'],
  ['BLQ', 'not_effected'],
  ['EXP', 'not_effected'],
  ['INV', 'not_effected'],
  ['ABA', 'not_effected'],
]);

function endOf(status: string): Settled['end'] | undefined {
  return ENDS.get(status);
}

/**
 * Settles a recharge that was just effected: first without a query, then repeatedly with one, for up to `settleMs`. The
 * caller has reserved the note, so the decision cannot change.
 */
export async function settle(
  settlement: Settlement,
  decision: Decision,
  options: Pace & { settleMs?: number | undefined },
): Promise<{ ok: true; value: Settled } | { ok: false; error: unknown }> {
  const until = performance.now() + (options.settleMs ?? 60_000);
  let error: unknown = new CaratError('denied', 'Carat refused the decision', {
    call: 'recharges.confirm',
    effect: 'none',
  });
  for (let attempt = 1; ; attempt += 1) {
    try {
      const value = attempt === 1 ? await settlement.send(decision) : await settlement.attempt(decision);
      if (value !== undefined) return { ok: true, value };
    } catch (caught) {
      error = caught;
    }
    const delay = pauseBefore(attempt + 1, options);
    if (performance.now() + delay > until) return { ok: false, error };
    await pause(delay);
  }
}

/** Returns the pause before the given attempt, counted from 2. */
export function pauseBefore(attempt: number, { firstDelayMs = 500, maxDelayMs = 30_000 }: Pace): number {
  return Math.min(firstDelayMs * 2 ** (attempt - 2), maxDelayMs);
}

/** Waits. Resolves early when the signal is aborted. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, signal?.aborted ? 0 : ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}
