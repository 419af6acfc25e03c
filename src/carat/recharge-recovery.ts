/** Finishes recharges that were interrupted by a crash, a kill, or an outage longer than their flow. */
import type { CaratClient } from './client.ts';
import { CaratError } from './errors.ts';
import type { RechargeNote, RechargeNotes } from './recharge-notes.ts';
import { type Pace, pause, pauseBefore, type Settled, Settlement } from './recharge-settlement.ts';

export interface RecoveryOptions extends Pace {
  /** Ends the recovery. Unfinished recharges keep their notes. */
  signal?: AbortSignal | undefined;
  /** Called for each recharge that could not be finished yet. It is retried. */
  onTrouble?: (trouble: { merchant_usn: string; since: string; attempt: number; error: unknown }) => void;
}

export type Recovered = Settled & Pick<RechargeNote, 'merchant_usn' | 'decision' | 'since'>;

/**
 * Finishes the recharges of all notes: asks Carat for the state of each one (`GET /v3/recharge/{nit}`) and confirms or
 * undoes it as its note says. Retries in rounds with growing pauses of up to 30 s. Call it at every start, and again after a
 * flow that ended `unsettled`. It may run beside new recharges and skips those in progress. Resolves with the finished
 * recharges, when none is left or at the signal.
 */
export async function recoverRecharges(
  { client, notes }: { client: CaratClient; notes: RechargeNotes },
  options: RecoveryOptions = {},
): Promise<Recovered[]> {
  const recovered: Recovered[] = [];
  const settlements = new Map<string, Settlement>();
  for (let round = 1; !options.signal?.aborted; round += 1) {
    let left = 0;
    for (const { nit } of await notes.all()) {
      if (options.signal?.aborted || !notes.takeInHand(nit)) continue;
      try {
        // A flow may have decided or finished this recharge after the notes were listed.
        const note = await notes.find(nit);
        if (note === undefined) continue;
        left += 1;
        const settlement = settlements.get(nit) ?? new Settlement(client, nit);
        settlements.set(nit, settlement);
        const settled = await attempted(settlement, note, round, options);
        if (settled === undefined) continue;
        await notes.forget(nit);
        left -= 1;
        const { merchant_usn, decision, since } = note;
        recovered.push({ ...settled, merchant_usn, decision, since });
      } finally {
        notes.letGo(nit);
      }
    }
    if (left === 0) break;
    await pause(pauseBefore(round + 1, options), options.signal);
  }
  return recovered;
}

/** Makes one attempt. Returns undefined if it must be retried. Throws an error that a retry would not solve. */
async function attempted(
  settlement: Settlement,
  { merchant_usn, decision, since }: RechargeNote,
  attempt: number,
  { onTrouble }: RecoveryOptions,
): Promise<Settled | undefined> {
  try {
    return await settlement.attempt(decision);
  } catch (error) {
    onTrouble?.({ merchant_usn, since, attempt, error });
    if (!(error instanceof CaratError)) throw error;
    return undefined;
  }
}
