/** A worker with the types of openapi-typescript and the client openapi-fetch. */
import createClient from 'openapi-fetch';
import type { paths } from './generated/openapi-typescript.ts';
import { AUTHENTICITY_URL, KEY, postToken, print, WORKER_URL } from './surroundings.ts';

const client = createClient<paths>({ baseUrl: WORKER_URL, headers: { authorization: `Bearer ${KEY}` } });

const announced = await client.POST('/v1/expectations', { body: { kind: 'seid' } });
if (announced.data?.merchant_data === undefined) throw new Error(`not announced: ${announced.error?.code}`);
const { merchant_data } = announced.data;
await postToken(AUTHENTICITY_URL, merchant_data);

const read = await client.GET('/v1/tokens', { params: { query: { merchant_data, wait: 25 } } });
const path = { claim_id: 'job-17' };
const claimed = await client.PUT('/v1/claims/{claim_id}', { params: { path }, body: { merchant_data, lease: 60 } });
const settled = await client.DELETE('/v1/claims/{claim_id}', { params: { path } });

const wrong = await client.GET('/v1/tokens');
const unknown = await client.DELETE('/v1/claims/{claim_id}', { params: { path: { claim_id: 'job-18' } } });

print({
  announced: announced.response.status,
  read: { status: read.response.status, value: read.data?.value },
  claimed: { status: claimed.response.status, value: claimed.data?.value, deliveries: claimed.data?.claim?.deliveries },
  settled: settled.response.status,
  wrong: { status: wrong.response.status, code: wrong.error?.code },
  unknown: { status: unknown.response.status, code: unknown.error?.code },
});
