/**
 * Finds Carat's result code in an answer. It is spelled `code`, `responseCode` or `response_code`, at the top [doc] or,
 * for recharge, under `<envelope>.esitef` [ex]; it is text or a number; 0 is success.
 */
export interface CaratResult {
  code: string;
  message: string | undefined;
  success: boolean;
}

type Fields = { readonly [name: string]: unknown };

/** The result of an answer, or nothing when it states none. */
export function resultOf(answer: unknown): CaratResult | undefined {
  for (const place of places(answer)) {
    const code = place['code'] ?? place['responseCode'] ?? place['response_code'];
    if (typeof code !== 'string' && typeof code !== 'number') continue;
    const message = place['message'] ?? place['responseMessage'] ?? place['response_message'];
    const text = String(code).trim();
    return { code: text, message: typeof message === 'string' ? message : undefined, success: /^0+$/.test(text) };
  }
  return undefined;
}

/** What an answer is about: for recharge the content of its one envelope, otherwise the answer itself. */
export function contentOf(answer: unknown): unknown {
  if (!isFields(answer)) return answer;
  const envelope = Object.keys(answer).find((name) => name.endsWith('_response') && isFields(answer[name]));
  return envelope === undefined ? answer : answer[envelope];
}

function places(answer: unknown): Fields[] {
  const content = contentOf(answer);
  const found = [isFields(content) ? content['esitef'] : undefined, content, answer];
  return found.filter(isFields);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
