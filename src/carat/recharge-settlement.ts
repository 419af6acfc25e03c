/**
 * Confirms or undoes an effected recharge until Carat's answer was seen. This is the one place where a call with effects
 * is made again, and only after a query has shown that it is still needed. It sends the decision that it is given and
 * never the other one: the caller reads the decision from where it is written, right before each attempt.
 */
import type { CallOptions } from './call.ts';
import type { CaratClient } from './client.ts';
import { CaratError } from './errors.ts';
import type { RechargeNote } from './recharge-notes.ts';

export type Decision = RechargeNote['decision'];

/**
 * How a recharge ended. `confirmed`: `CON`. `undone`: `PPN`, or reversed. `not_effected`: Carat had not carried it out in
 * the first place (denied, expired, …) and has still answered the undoing.
 */
export interface Settled {
  end: 'confirmed' | 'undone' | 'not_effected';
  /** Carat's status, one of three letters. */
  status: string;
}

export interface Pace {
  /** Milliseconds before the second attempt; doubled for each further one; default 500. */
  firstDelayMs?: number | undefined;
  /** The longest pause between attempts, in milliseconds; default 30 000. */
  maxDelayMs?: number | undefined;
}

/** One recharge on its way to its end; it remembers what has been answered between attempts. */
export class Settlement {
  readonly #client: CaratClient;
  readonly #nit: string;
  /** The request to effect it was answered with a denial, so that none can still be on its way. */
  readonly #effectDenied: boolean;
  /** Carat has answered a confirmation or undoing, even if it refused it. */
  #answered = false;

  constructor(client: CaratClient, nit: string, effectDenied = false) {
    this.#client = client;
    this.#nit = nit;
    this.#effectDenied = effectDenied;
  }

  /** Asks for the state and does what it calls for; the end, or nothing when it has to be tried again. Throws `CaratError`. */
  async attempt(decision: Decision, options?: CallOptions): Promise<Settled | undefined> {
    const { status } = await this.#client.recharges.query({ nit: this.#nit }, options);
    const end = status === 'NOV' && this.#effectDenied ? 'not_effected' : endOf(status);
    if (end === 'confirmed' || end === 'undone') return { end, status };
    if (end === 'not_effected' && this.#answered) return { end, status };
    // Due also after an effect that failed: Carat wants this step whatever happened [doc].
    return this.send(decision, options);
  }

  /** Sends the confirmation or undoing without asking first: right once, just after the recharge was effected. */
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

/** `NOV` is among them: the request to effect it may still be on its way. */
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
 * Settles a recharge that has just been effected: first without asking for its state, then again and again with it,
 * until `settleMs` are over. The caller has the note in hand, so that the decision stays as it is written.
 */
export async function settle(
  settlement: Settlement,
  decision: Decision,
  options: Pace & { settleMs?: number | undefined },
): Promise<{ ok: true; value: Settled } | { ok: false; error: unknown }> {
  const until = performance.now() + (options.settleMs ?? 60_000);
  let error: unknown = new CaratError('denied', 'Carat refused it', { call: 'recharges.confirm', effect: 'none' });
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

/** The pause before the given attempt, counted from 2. */
export function pauseBefore(attempt: number, { firstDelayMs = 500, maxDelayMs = 30_000 }: Pace): number {
  return Math.min(firstDelayMs * 2 ** (attempt - 2), maxDelayMs);
}

/** Waits; ends early, without complaint, when the signal fires. */
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
