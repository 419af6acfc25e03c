/** The OpenAPI document says what the service does: the service is driven from it, and every answer must be in it. */
import { readFile } from 'node:fs/promises';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Document } from '../../../src/listeners/workers/openapi-document.ts';
import { Random } from '../../support/random.ts';
import { RestartableService } from '../../support/restartable-service.ts';
import { requestFor } from './openapi-requests.ts';

const KEY = 'a-key-of-the-tests';
const text = await readFile(new URL('../../../docs/openapi.json', import.meta.url), 'utf8');
const document = JSON.parse(text) as Document;
const ajv = new Ajv2020({ strict: false });
(addFormats as unknown as (to: Ajv2020) => void)(ajv);
ajv.addSchema({ $id: 'document', ...document });

let service: RestartableService;
// One for each test: its timers are then no test's leftovers.
beforeEach(async () => {
  service = await RestartableService.start({
    AUTHENTICITY_PATHS: 'default=/authenticity,m1=/m1',
    WORKER_API_KEYS: `${KEY},m1:${KEY}-of-m1`,
  });
});
afterEach(() => service.stop());

/** A new connection each: none is left over for the next test. */
const ask = (path: string, init: RequestInit = {}, key = KEY) =>
  fetch(`${service.workerUrl}${path}`, {
    ...init,
    headers: { connection: 'close', authorization: `Bearer ${key}`, ...init.headers },
  });

it('is the same in the repository and from the service (npm run openapi)', async () => {
  const served = await (await ask('/openapi.json')).json();
  expect(`${JSON.stringify(served, null, 2)}\n`).toBe(text);
});

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
);

it('has an operation for every path of the contract, each with answers', () => {
  expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(
    [
      'DELETE /v1/claims/{claim_id}',
      'DELETE /v1/expectations/{id}',
      'DELETE /v1/tokens/{id}',
      'GET /livez',
      'GET /metrics',
      'GET /readyz',
      'GET /v1/events',
      'GET /v1/posts',
      'GET /v1/recharges/{nit}',
      'GET /v1/tokens',
      'POST /v1/cancellations',
      'POST /v1/claims/{claim_id}/release',
      'POST /v1/expectations',
      'POST /v1/generic-tokens',
      'POST /v1/merchant-tokens',
      'POST /v1/recharges',
      'POST /v1/schedule-edits',
      'PUT /v1/claims/{claim_id}',
      'PUT /v1/recharges/{nit}',
    ].sort(),
  );
  for (const { operation } of operations) expect(operation.summary).not.toBe('');
});

describe('for generated clients', () => {
  const requests = operations.flatMap(({ operation }) => [operation.parameters ?? [], operation.requestBody ?? []]);
  const answers = [...operations.map(({ operation }) => operation.responses), document.components.schemas];

  it('passes redocly', async () => {
    const config = await createConfig({ extends: ['recommended'], rules: { 'operation-4xx-response': 'off' } });
    const problems = await lintFromString({ source: text, absoluteRef: 'openapi.json', config });
    expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([]);
  });

  it('has patterns that work without the flag u, and none in answers', () => {
    const patterns = [...JSON.stringify(requests).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(
      ([, one = '']) => one,
    );
    expect(patterns.length).toBeGreaterThan(4);
    for (const pattern of patterns) {
      for (const flags of ['', 'u']) expect(() => new RegExp(JSON.parse(pattern), flags), pattern).not.toThrow();
      expect(pattern).not.toMatch(/\\\\[pPu]/);
    }
    expect(JSON.stringify(answers)).not.toContain('"pattern"');
  });

  it('has open answers and codes, and strict requests', () => {
    expect(JSON.stringify(answers)).not.toContain('"additionalProperties":false');
    expect(document.components.schemas?.['Problem']?.properties?.['code']?.enum).toBeUndefined();
    expect(JSON.stringify(requests)).toContain('"additionalProperties":false');
  });

  it('says at each correlator of a request how many are allowed', () => {
    const said = [
      ...JSON.stringify(requests).matchAll(/(Exactly|At most) one of merchant_data, sid, merchant_usn, order_id\./g),
    ];
    expect(said.map(([, how]) => how).sort()).toEqual([...Array(8).fill('At most'), ...Array(4).fill('Exactly')]);
  });

  it('has examples that match its schemas', () => {
    let examples = 0;
    const check = (schema: unknown, example: unknown): void => {
      if (example === undefined) return;
      examples += 1;
      const validate = ajv.compile(absolute(schema));
      expect(validate(example), `${JSON.stringify(example)}: ${ajv.errorsText(validate.errors)}`).toBe(true);
    };
    for (const { operation } of operations) {
      for (const { schema, example } of operation.parameters ?? []) check(schema, example);
      const contents = [
        operation.requestBody?.content,
        ...Object.values(operation.responses).map(({ content }) => content),
      ];
      for (const content of contents)
        for (const { schema, example } of Object.values(content ?? {})) check(schema, example);
    }
    expect(examples).toBeGreaterThan(10);
  });

  it('has examples of requests and answers for every route that asks Carat', () => {
    const asking = operations.filter(({ operation }) => /^(ask|decide|readRecharge)/.test(operation.operationId));
    expect(asking).toHaveLength(7);
    for (const { method, operation } of asking) {
      const answered = operation.responses[operation.operationId.startsWith('ask') ? 201 : 200];
      const bodies = method === 'GET' ? [answered] : [operation.requestBody, answered];
      for (const body of bodies) expect(body?.content?.['application/json']?.example).toBeDefined();
    }
  });

  it('has a relative server address', () => {
    expect(document.servers.map(({ url }) => url)).toEqual(['/']);
  });

  it('has 413 and 415 for each route with a body', () => {
    const withBody = operations.filter(({ operation }) => operation.requestBody !== undefined);
    expect(withBody.length).toBeGreaterThan(1);
    for (const { operation } of withBody) expect(operation.responses).toMatchObject({ 413: {}, 415: {} });
  });
});

describe('the service, called from the document', () => {
  const seen = new Map<string, Set<number>>();

  it.each(operations.map((one) => [one.operation.operationId, one] as const))(
    '%s',
    async (id, { path, method, operation }) => {
      const random = new Random(path.length * 31 + method.length);
      const statuses = new Set<number>();
      seen.set(id, statuses);
      for (let round = 0; round < 30; round++) {
        if (round % 10 === 0)
          await service.post(
            { seid: `v${id}${round}`, merchant_data: 'm1', sid: 'default', order_id: 'job-1' },
            random.pick(['/authenticity', '/m1']),
          );
        if (round % 10 === 0) {
          await service.post({ token: `pool-of-${id}-${round}` });
          const claim = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"kind":"token"}' };
          await (await ask('/v1/claims/job-1', claim)).text();
        }
        const { path: made, body, headers } = requestFor(path, operation, random, round % 2 === 0 ? 0 : 0.15);
        const key = random.next() < 0.1 ? random.pick(['', `${KEY}-of-m1`]) : KEY;
        const response = await ask(
          made,
          {
            method,
            headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          },
          key,
        );
        statuses.add(response.status);
        const where = `${method} ${made} ${JSON.stringify(body)} → ${response.status}`;
        const described = operation.responses[String(response.status)];
        expect(described, where).toBeDefined();
        const [type] = (response.headers.get('content-type') ?? '').split(';');
        if (type === 'text/event-stream') {
          await response.body?.cancel();
          continue;
        }
        const answer = await response.text();
        if (described?.content === undefined) expect(answer, where).toBe('');
        else {
          const schema = described.content[type ?? '']?.schema;
          expect(schema, `${where}, ${type}`).toBeDefined();
          const value = type?.endsWith('json') ? JSON.parse(answer) : answer;
          const check = ajv.compile(absolute(schema));
          expect(check(value), `${where}: ${ajv.errorsText(check.errors)}`).toBe(true);
        }
      }
    },
  );

  it('gave successes and refusals for every operation', () => {
    const of = (id: string) => [...(seen.get(id) ?? [])].sort();
    expect(of('readToken')).toEqual(expect.arrayContaining([200, 400]));
    expect(of('claimToken')).toEqual(expect.arrayContaining([200, 204, 400]));
    expect(of('expectToken')).toEqual(expect.arrayContaining([201, 400]));
    expect(of('settleClaim')).toEqual(expect.arrayContaining([204]));
    expect(of('followEvents')).toEqual(expect.arrayContaining([200, 400]));
    expect(of('lastPosts')).toEqual(expect.arrayContaining([200, 400, 401]));
  });
});

/** A schema whose references are into the document. */
function absolute(schema: unknown): object {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"document#/'));
}

it('is shown as a page without scripts or resources of other hosts', async () => {
  const response = await ask('/docs');
  expect(response.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
  const page = await response.text();
  for (const { operation } of operations) expect(page).toContain(`id="${operation.operationId}"`);
  expect(page).not.toMatch(/<script|<link|<img|src=|url\(|@import/);
  expect([...page.matchAll(/href="([^"#][^"]*)"/g)].map(([, to]) => to)).toEqual(['openapi.json']);
  expect((await ask('/docs', {}, 'wrong')).status).toBe(401);
});
