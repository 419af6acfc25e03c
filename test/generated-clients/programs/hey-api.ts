/** A worker with the client and the zod schemas of hey-api. */
import { createClient } from './generated/hey-api/client';
import { claimToken, expectToken, readToken, settleClaim } from './generated/hey-api/sdk.gen';
import { zClaimTokenBody, zReadTokenQuery, zReadTokenResponse } from './generated/hey-api/zod.gen';
import { AUTHENTICITY_URL, BAD_CORRELATOR, CORRELATOR, KEY, postToken, print, WORKER_URL } from './surroundings.ts';

const client = createClient({ baseUrl: WORKER_URL, auth: KEY });

const announced = await expectToken({ client, body: { kind: 'seid' } });
if (announced.data?.merchant_data === undefined) throw new Error(`not announced: ${announced.error?.code}`);
const { merchant_data } = announced.data;
await postToken(AUTHENTICITY_URL, merchant_data);

const read = await readToken({ client, query: { merchant_data, wait: 25 } });
const path = { claim_id: 'job-17' };
const claimed = await claimToken({ client, path, body: { merchant_data, lease: 60 } });
const settled = await settleClaim({ client, path });

const wrong = await readToken({ client });
const unknown = await settleClaim({ client, path: { claim_id: 'job-18' } });

const query = (correlator: string) => zReadTokenQuery.safeParse({ merchant_data: correlator }).success;
const body = (correlator: string) => zClaimTokenBody.safeParse({ merchant_data: correlator }).success;

print({
  announced: announced.response.status,
  read: { status: read.response.status, value: read.data?.value },
  claimed: { status: claimed.response.status, value: claimed.data?.value, deliveries: claimed.data?.claim?.deliveries },
  settled: settled.response.status,
  wrong: { status: wrong.response.status, code: wrong.error?.code },
  unknown: { status: unknown.response.status, code: unknown.error?.code },
  schemas: {
    answer: zReadTokenResponse.safeParse(read.data).success,
    correlator: [query(CORRELATOR), body(CORRELATOR)],
    badCorrelator: [query(BAD_CORRELATOR), body(BAD_CORRELATOR)],
  },
});
