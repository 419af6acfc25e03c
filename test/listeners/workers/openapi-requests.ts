/** Requests from the schemas of an OpenAPI document: some are valid, and some are not. */
import type { Operation, Schema } from '../../../src/listeners/workers/openapi-document.ts';
import type { Random } from '../../support/random.ts';

export interface MadeRequest {
  path: string;
  body: unknown;
  headers: Record<string, string>;
}

/** @param strange probability of a value that violates its schema, from 0 to 1 */
export function requestFor(path: string, operation: Operation, random: Random, strange: number): MadeRequest {
  const search = new URLSearchParams();
  const headers: Record<string, string> = {};
  let made = path;
  for (const { name, in: where, required, schema } of operation.parameters ?? []) {
    if (!required && random.next() < 0.75) continue;
    const text = String(random.next() < strange ? strangeValue(random) : fittingValue(schema, random));
    if (where === 'path') made = made.replace(`{${name}}`, encodeURIComponent(text) || 'x');
    else if (where === 'query') search.append(name, text);
    else headers[name] = encodeURIComponent(text);
  }
  const schema = operation.requestBody?.content['application/json']?.schema;
  const body = schema && (random.next() < strange ? strangeValue(random) : objectOf(schema, random, strange));
  return { path: search.size === 0 ? made : `${made}?${search}`, body, headers };
}

function objectOf({ properties = {}, required = [] }: Schema, random: Random, strange: number): object {
  const made = Object.entries(properties)
    .filter(([name]) => required.includes(name) || random.next() < 0.25)
    .map(([name, one]) => [name, random.next() < strange ? strangeValue(random) : fittingValue(one, random)]);
  return Object.fromEntries(random.next() < strange ? [...made, ['campo_novo', 1]] : made);
}

const STRANGE = [
  null,
  -1,
  1e9,
  '',
  ' ',
  'ação',
  '\0',
  '\u{1F600}'.repeat(40),
  [],
  { a: [1] },
  true,
  '%',
  'x'.repeat(200),
];
/** Few, so that requests meet records of others. */
const NAMES = ['default', 'job-1', 'm1'];

function strangeValue(random: Random): unknown {
  return random.pick(STRANGE);
}

function fittingValue(schema: Schema, random: Random): unknown {
  if (schema.enum !== undefined) return random.pick(schema.enum);
  const { minimum = 0, maximum = 100 } = schema;
  switch (schema.type) {
    case 'integer':
      return minimum + random.below(maximum - minimum + 1);
    case 'number':
      // Short waits and leases: the allowed range is too long for tests.
      return Math.min(minimum + random.below(1000) / 10_000, maximum);
    case 'boolean':
      return random.next() < 0.5;
    case 'string':
      return random.pick(NAMES);
    default:
      throw new Error(`expected a type that requests are made of, got ${JSON.stringify(schema)}`);
  }
}
