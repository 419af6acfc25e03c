/**
 * Finds Carat's result code in an answer. Its name is `code`, `responseCode` or `response_code`, at the top level [doc] or,
 * for recharge, under `<envelope>.esitef` [ex]. It is text or a number, and 0 means success.
 */
export interface CaratResult {
  code: string;
  message: string | undefined;
  success: boolean;
}

type Fields = { readonly [name: string]: unknown };

/** Returns the result of an answer, or undefined if it has none. */
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

/** Returns the content of an answer: for recharge the content of its one envelope, otherwise the answer itself. */
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
