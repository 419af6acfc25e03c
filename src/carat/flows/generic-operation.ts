/** The flow of a generic operation: reserve the terminal, ask for a token, take it from the pool, run the operation. */
import * as z from 'zod';
import { checked, fields } from '../arguments.ts';
import type { CaratClient } from '../client.ts';
import { CaratError } from '../errors.ts';
import { type OperationAnswer, type OperationParameters, operationParameters } from '../generic-operations.ts';
import { TerminalHolds } from '../terminal-holds.ts';
import type { TokenSource } from '../token-source.ts';
import { type ObtainOptions, obtainToken, spend } from './obtain-token.ts';

export interface GenericOperationOptions extends ObtainOptions {
  /** How often the operation may be tried, 1 to 10; default 1. Each attempt asks for a new token. */
  attempts?: number;
  /** Which failures are retried. Default: those that certainly had no effect (`denied`, `no_post`, …). */
  tryAgain?: (error: CaratError) => boolean;
  /** The reservations of terminals. Default: one set for the whole process. */
  terminals?: TerminalHolds;
}

export interface GenericOperationDone {
  answer: OperationAnswer;
  /** The number of attempts. */
  attempts: number;
  /** Set when the token came by post although Carat's answer to the request for it was lost. */
  lostAnswer: CaratError | undefined;
}

const format = 'format:a whole number from 1 to 10';
const flowArguments = z.strictObject({
  operation: fields.operation,
  needsToken: z.boolean({ error: 'format:true or false' }),
  parameters: operationParameters,
  attempts: z.int({ error: format }).min(1, { error: format }).max(10, { error: format }),
});
const everyTerminal = new TerminalHolds();

/**
 * Runs a generic operation, with a new token if it `needsToken` (see the documentation of each routing). Formats: see
 * `genericOperations.run`. The terminal is reserved from the request for the token to the operation's answer.
 *
 * Throws `CaratError`: `bad_argument` before any call; the error of the failed call; `no_post`; `token_source`. After an
 * error whose `effect` is `unknown`, the operation may have run: it is only retried if `tryAgain` returns true.
 */
export async function genericOperation(
  { client, source }: { client: CaratClient; source: TokenSource },
  args: { operation: string; needsToken: boolean; parameters: OperationParameters },
  options: GenericOperationOptions = {},
): Promise<GenericOperationDone> {
  const flow = 'genericOperation';
  const { attempts } = checked(flow, flowArguments, { ...args, attempts: options.attempts ?? 1 });
  const terminals = options.terminals ?? everyTerminal;
  const work = async (): Promise<GenericOperationDone> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { answer, lostAnswer } = await once({ client, source }, flow, args, options);
        return { answer, attempts: attempt, lostAnswer };
      } catch (error) {
        const again = error instanceof CaratError && (options.tryAgain ?? harmless)(error);
        if (!again || attempt >= attempts || options.signal?.aborted) throw error;
      }
    }
  };
  try {
    return await terminals.run(args.parameters.terminal_id, options.signal, work);
  } catch (error) {
    if (error instanceof CaratError || !options.signal?.aborted) throw error;
    throw new CaratError('aborted', 'aborted while waiting for the terminal', { call: flow, effect: 'none' });
  }
}

async function once(
  { client, source }: { client: CaratClient; source: TokenSource },
  flow: string,
  { operation, needsToken, parameters }: { operation: string; needsToken: boolean; parameters: OperationParameters },
  options: GenericOperationOptions,
): Promise<{ answer: OperationAnswer; lostAnswer: CaratError | undefined }> {
  const call = { signal: options.signal, timeoutMs: options.timeoutMs };
  if (!needsToken) {
    return { answer: await client.genericOperations.run({ operation, parameters }, call), lostAnswer: undefined };
  }
  const trigger = () => client.genericOperations.askToken(call);
  const { token, answer } = await obtainToken(
    source,
    { flow, kind: 'token', callMs: client.timeoutMs, trigger },
    options,
  );
  await spend(source, flow, token);
  const withToken = { ...parameters, token: token.value };
  const done = await client.genericOperations.run({ operation, parameters: withToken }, call);
  return { answer: done, lostAnswer: answer.seen ? undefined : answer.error };
}

function harmless(error: CaratError): boolean {
  return error.effect === 'none' && error.code !== 'bad_argument' && error.code !== 'aborted';
}
