/**
 * The OpenAPI document of the worker API at `/openapi.json` and `/docs`, generated from the schemas that validate requests.
 * The first request loads the generator: about 0.1 s and some MB.
 */
import type { FastifyInstance, RouteOptions } from 'fastify';
import fastify from 'fastify';
import type { Content, Document, Operation, Schema } from './openapi-document.ts';
import { docsPage } from './openapi-page.ts';

const API_VERSION = '1.0.0';

const TAGS = {
  tokens: 'Read the tokens that Carat posted. A read changes nothing.',
  claims: 'Take a token exclusively, settle it, or put it back.',
  expectations: 'Announce a post before asking Carat for it.',
  asking: 'Ask Carat through the service: one call instead of announcing, calling, waiting and settling.',
  watching: 'Events and posts, redacted.',
  health: 'For probes and for the metrics scraper.',
} as const;

/** Adds the document and its page. Call it before the routes that it describes are added. */
export function describeApi(app: FastifyInstance): void {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => void (route.method === 'HEAD' || routes.push(route)));
  let document: Promise<Document> | undefined;
  const described = (): Promise<Document> => {
    document ??= documentOf(routes).catch((error: unknown) => {
      // The next request tries again.
      document = undefined;
      throw error;
    });
    return document;
  };
  let page: { html: string; csp: string } | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => reply.send(await described()));
  app.get('/docs', { schema: { hide: true } }, async (_request, reply) => {
    page ??= docsPage(await described());
    return reply.type('text/html; charset=utf-8').header('content-security-policy', page.csp).send(page.html);
  });
}

/** Generates the document in a separate server, which serves no requests. */
async function documentOf(routes: readonly RouteOptions[]): Promise<Document> {
  const { default: swagger } = await import('@fastify/swagger');
  const { jsonSchemaTransform, jsonSchemaTransformObject } = await import('fastify-type-provider-zod');
  const app = fastify();
  app.setValidatorCompiler(() => () => true);
  app.setSerializerCompiler(() => () => '');
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'carat-authenticity: the worker API',
        version: API_VERSION,
        description:
          "How workers get the tokens that Carat posts to a merchant's authenticity URL. Times are RFC 3339, UTC. " +
          'A selector is one of merchant_data, sid, merchant_usn and order_id. Errors are RFC 9457 with a stable code. ' +
          'Any release may add fields to answers and values to codes: ignore unknown ones.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: '/', description: 'The worker listener, by default http://127.0.0.1:8081.' }],
      tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
      security: [{ bearer: [] }, { basic: [] }],
      components: {
        securitySchemes: {
          bearer: { type: 'http', scheme: 'bearer', description: 'A key of WORKER_API_KEYS.' },
          basic: { type: 'http', scheme: 'basic', description: 'Any user name, and the key as password.' },
        },
      },
    },
    transform: (route) => {
      const described = jsonSchemaTransform(route);
      return { ...described, schema: { ...described.schema, tags: [tagOf(described.url)] } };
    },
    transformObject: (made) => mended(jsonSchemaTransformObject(made) as unknown as Document) as never,
  });
  for (const { method, url, schema = {} } of routes) app.route({ method, url, schema, handler: () => {} });
  await app.ready();
  return app.swagger() as unknown as Document;
}

const ASKING = /^\/v1\/(schedule-edits|recharges|generic-tokens|merchant-tokens|cancellations)/;

function tagOf(url: string): keyof typeof TAGS {
  if (url.startsWith('/v1/claims')) return 'claims';
  if (url.startsWith('/v1/expectations')) return 'expectations';
  if (url.startsWith('/v1/tokens')) return 'tokens';
  if (ASKING.test(url)) return 'asking';
  return url.startsWith('/v1/') ? 'watching' : 'health';
}

/** Adds what the schemas cannot express: media types of errors, answers without a body, numbers in queries, examples. */
function mended(document: Document): Document {
  const schemas = document.components.schemas ?? {};
  // The schemas with a name are answers, which clients only read.
  for (const name of Object.keys(schemas)) if (name.endsWith('Input')) delete schemas[name];
  // Sorted, or their order would depend on the order of imports.
  document.components.schemas = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
  simplify(document);
  for (const schema of Object.values(schemas)) open(schema);
  for (const operations of Object.values(document.paths)) {
    for (const operation of Object.values(operations)) {
      mendParameters(operation);
      mendBody(operation);
      mendResponses(operation);
    }
  }
  return document;
}

/** Removes the pattern of a time, which its format implies, and the limits of JavaScript's integers. */
function simplify(node: unknown): void {
  if (typeof node !== 'object' || node === null) return;
  const schema = node as { format?: string; pattern?: string; minimum?: number; maximum?: number };
  if (schema.format === 'date-time') delete schema.pattern;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  for (const child of Object.values(node)) simplify(child);
}

/** Allows additional fields in answers, so that clients accept later releases. */
function open(node: unknown): void {
  if (typeof node !== 'object' || node === null) return;
  const schema = node as { additionalProperties?: unknown };
  if (schema.additionalProperties === false) delete schema.additionalProperties;
  for (const child of Object.values(node)) open(child);
}

function mendParameters({ operationId, parameters = [] }: Operation): void {
  if (operationId === 'followEvents') {
    const description = 'The last event that was received. The stream resumes after it.';
    parameters.push({ name: 'Last-Event-ID', in: 'header', required: false, description, schema: { type: 'string' } });
  }
  for (const parameter of parameters) {
    // The schema of a query checks numbers as text, but a client needs their type.
    if (parameter.name === 'wait') parameter.schema = { type: 'number', minimum: 0, maximum: 60, default: 0 };
    if (parameter.name === 'limit') parameter.schema = { type: 'integer', minimum: 1, maximum: 500, default: 50 };
    const example = EXAMPLES.parameters[parameter.name];
    if (example !== undefined) parameter.example = example;
  }
}

function mendBody(operation: Operation): void {
  const described = operation.requestBody?.content['application/json']?.schema;
  // An optional body is described by its object form.
  const schema = described?.anyOf?.find(({ type }) => type === 'object') ?? described;
  const example = EXAMPLES.bodies[operation.operationId];
  if (example === undefined) delete operation.requestBody;
  else if (schema !== undefined) {
    operation.requestBody = { required: schema === described, content: json(schema, example) };
    const problem = { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } };
    for (const status of ['413', '415']) {
      operation.responses[status] = { description: DESCRIPTIONS[status] ?? '', content: problem };
    }
  }
}

function mendResponses({ operationId, responses }: Operation): void {
  for (const [status, response] of Object.entries(responses)) {
    const schema = response.content?.['application/json']?.schema;
    open(response.content);
    response.description = DESCRIPTIONS[status] ?? response.description;
    if (status === '204') delete response.content;
    else if (schema?.$ref === '#/components/schemas/Problem')
      response.content = { 'application/problem+json': { schema } };
    else if (schema !== undefined)
      response.content = json(schema, EXAMPLES.answers[status === '202' ? '' : operationId]);
  }
}

function json(schema: Schema, example: unknown): Content {
  return { 'application/json': example === undefined ? { schema } : { schema, example } };
}

const DESCRIPTIONS: Record<string, string> = {
  200: 'The answer.',
  201: 'Created.',
  202: 'Decided, but not ended yet. The service continues.',
  204: 'Done, or no token arrived in time. No body.',
  400: 'A parameter is wrong. Each one is named in `errors`.',
  401: 'A worker key is missing or wrong.',
  403: 'The key is limited to another merchant, or the request comes from a page of another site; see `code`.',
  404: 'Unknown, or expired; see `code`.',
  409: 'Claimed by another claim, lease lost, different live tokens, or the other decision was made; see `code`.',
  410: 'Used or cancelled; see `code`.',
  413: 'The body is larger than 16 KiB.',
  415: 'The body is not JSON, or its Content-Type does not say so.',
  501: 'No credentials at Carat are configured for this merchant.',
  502: 'Carat refused the request or could not be reached; see `code`.',
  503: 'Temporarily unavailable; retry after `Retry-After` seconds.',
  504: 'Carat answered success, but its post did not come in time.',
};

/** An example token. Its value is the one of Carat's documentation. */
const TOKEN = {
  id: 'aff2c8ac817704be63abcc8a60926e48',
  merchant: 'default',
  kind: 'seid',
  value: 'qwertyuiopasdfghjklzxcvbnm0123456789qwertyuiopasdfghjklzxcvbnm02',
  merchant_data: '14114532781',
  received_at: '2026-01-31T12:00:00.000Z',
  expires_at: '2026-01-31T12:15:00.000Z',
  distinct: 1,
  claim: null,
};

/** The fields that every ask answers beside its token. */
const ASKED = {
  received_at: '2026-01-31T12:00:00.000Z',
  expires_at: '2026-01-31T12:15:00.000Z',
  carat: { code: '0', message: 'OK. Transaction successful.' },
};
const NIT = '1234567890abcdefghijklmnopqrstuvwxyz1234567890abcdefghijklmnopqr';
const RECHARGE = { nit: NIT, merchant_usn: '2398', settle_by: '2026-01-31T12:05:00.000Z' };
const SETTLED = { ...RECHARGE, decision: 'confirm', decided_by: 'worker', end: 'confirmed', status: 'CON' };

interface Examples {
  /** By the parameter's name. */
  parameters: Readonly<Record<string, unknown>>;
  /** By operation. An operation without an example has no body. */
  bodies: Readonly<Record<string, unknown>>;
  answers: Readonly<Record<string, unknown>>;
}

const EXAMPLES: Examples = {
  parameters: { merchant_data: '14114532781', wait: 25, claim_id: 'job-17', merchant: 'default' },
  bodies: {
    claimToken: { kind: 'token', wait: 25, lease: 60 },
    expectToken: { kind: 'seid', ttl: 120 },
    askScheduleEdit: { sid: 'a1'.repeat(32), wait: 30 },
    askRecharge: { merchant_usn: '2398', settle_within: 300, wait: 30 },
    decideRecharge: { decision: 'confirm', wait: 30 },
    askGenericToken: { wait: 30 },
    askMerchantToken: { wait: 30 },
    askCancellation: { esitef_usn: '260101000000001', merchant_usn: '12055', wait: 30 },
  },
  answers: {
    readToken: TOKEN,
    claimToken: {
      ...TOKEN,
      claim: { id: 'job-17', lease_expires_at: '2026-01-31T12:01:00.000Z', deliveries: 1 },
    },
    expectToken: {
      id: '5f0c9a3e-3f44-4d0a-9f0e-0f4b3c0c7d11',
      kind: 'seid',
      merchant_data: 'k3v9x0q7c1m5z8b2n4l6',
      expires_at: '2026-01-31T12:02:00.000Z',
    },
    askScheduleEdit: { seid: TOKEN.value, sid: 'a1'.repeat(32), merchant_data: 'k3v9x0q7c1m5z8b2n4l6', ...ASKED },
    askRecharge: { ...RECHARGE, ...ASKED },
    decideRecharge: SETTLED,
    readRecharge: SETTLED,
    askGenericToken: { token: NIT, ...ASKED },
    askMerchantToken: { token: NIT, ...ASKED },
    askCancellation: { nit: NIT, esitef_usn: '260101000000001', merchant_usn: '12055', ...ASKED },
    lastPosts: {
      posts: [
        {
          received_at: '2026-01-31T12:00:00.000Z',
          instance: 'carat-0-5f1c',
          merchant: 'default',
          kind: 'seid',
          merchant_data: '14114532781',
          fingerprint: '9c1f07aa',
          outcome: 'kept',
          from: '203.0.113.7',
          handed_over_after_ms: 12,
        },
      ],
    },
  },
};
