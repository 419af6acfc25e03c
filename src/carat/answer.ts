/** Interprets an answer of Carat: its HTTP status, its result code in every spelling, its content. */
import type { Call, CaratSaid } from './call.ts';
import { CaratError, type CaratErrorCode } from './errors.ts';
import { masked, secretsIn } from './masking.ts';
import { contentOf, resultOf } from './result-code.ts';

/** Returns the content of an answer, and Carat's result code and message. Throws `CaratError` if it is not a success. */
export function understand<A>(
  call: Call<A>,
  credentials: readonly string[],
  status: number,
  text: string,
): { answer: A; said: CaratSaid | undefined } {
  const json = parsed(text);
  const result = resultOf(json);
  const secrets = [...credentials, ...secretsIn(call.body), ...secretsIn(call.query), ...longWords(call.path)];
  const caratMessage = result?.message === undefined ? undefined : masked(result.message, secrets);
  // A code is short. A long text is not a code and may contain a secret.
  const caratCode = result === undefined || result.code.length > 10 ? undefined : result.code;
  const fail = (code: CaratErrorCode, message: string, effect: 'none' | 'unknown'): CaratError =>
    new CaratError(code, message, {
      call: call.name,
      effect: call.effectful ? effect : 'none',
      httpStatus: status,
      caratCode,
      caratMessage,
    });
  const said = caratCode === undefined ? `HTTP ${status}` : `HTTP ${status}, code ${caratCode}: ${caratMessage ?? ''}`;
  if (status >= 500 || status === 408) throw fail('unavailable', said, 'unknown');
  if (status === 401 || status === 403) throw fail('unauthorized', said, 'none');
  if (status === 404) throw fail('not_found', said, 'none');
  if (status >= 400 || (result !== undefined && !result.success)) throw fail('denied', said, 'none');
  const success = call.success ?? 200;
  if (status !== success) throw fail('bad_answer', `expected HTTP ${success}, got ${status}`, 'unknown');
  if (json === undefined) throw fail('bad_answer', 'the answer is not a JSON object', 'unknown');
  if (result === undefined && call.resultCode !== 'optional') {
    throw fail('bad_answer', 'the answer has no result code', 'unknown');
  }
  const answer = call.answer.safeParse(contentOf(json));
  if (!answer.success) {
    const fields = answer.error.issues.map((issue) => issue.path.join('.') || '(all)').join(', ');
    throw fail('bad_answer', `the answer does not have the expected form at: ${fields}`, 'unknown');
  }
  return { answer: answer.data, said: result && { code: result.code, message: caratMessage ?? '' } };
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

function longWords(path: string): string[] {
  return path.split('/').filter((part) => part.length >= 20);
}
