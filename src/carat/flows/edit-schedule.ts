/** The flow of a schedule edit: announce, ask for a SEID, take it from its post, edit. */
import * as z from 'zod';
import { checked, fields } from '../arguments.ts';
import type { CaratClient } from '../client.ts';
import type { CaratError } from '../errors.ts';
import { type EditAnswer, type ScheduleChanges, scheduleChanges } from '../schedule-edits.ts';
import type { TokenSource } from '../token-source.ts';
import { type ObtainOptions, obtainToken, spend } from './obtain-token.ts';

export interface ScheduleEdited {
  answer: EditAnswer;
  /** The receiver's id of the SEID that was spent. */
  tokenId: string;
  /** Set when the SEID came by post although Carat's answer to the request for it was lost. */
  lostAnswer: CaratError | undefined;
}

const editArguments = z.strictObject({ sid: fields.sid, changes: scheduleChanges });

/**
 * Edits a schedule that is `ATV` or `INA` [doc]. `sid`: 64 letters or digits; `changes`: see `scheduleEdits.edit`, amounts
 * in cents, dates `DD/MM/YYYY`. The token source provides the `merchant_data` that identifies the post.
 *
 * Throws `CaratError`: `bad_argument` before any call; the error of the failed call; `no_post`; `token_source`. If the edit
 * fails with `effect` `unknown`, query the schedule: the SEID is spent, and another edit needs a new one.
 */
export async function editSchedule(
  { client, source }: { client: CaratClient; source: TokenSource },
  args: { sid: string; changes: ScheduleChanges },
  options: ObtainOptions = {},
): Promise<ScheduleEdited> {
  const flow = 'editSchedule';
  const { sid } = checked(flow, editArguments, args);
  const { token, answer } = await obtainToken(
    source,
    {
      flow,
      kind: 'seid',
      callMs: client.timeoutMs,
      trigger: ({ selector: { merchant_data } }, call) =>
        client.scheduleEdits.begin(merchant_data === undefined ? { sid } : { sid, merchant_data }, call),
    },
    options,
  );
  await spend(source, flow, token);
  const call = { signal: options.signal, timeoutMs: options.timeoutMs };
  const edited = await client.scheduleEdits.edit({ seid: token.value, changes: args.changes }, call);
  return { answer: edited, tokenId: token.id, lostAnswer: answer.seen ? undefined : answer.error };
}
