/** A worker with the client and the zod schemas of orval. */
import { claimToken, expectToken, readToken, settleClaim } from './generated/orval/client.ts';
import { claimTokenBody, readTokenQueryParams, readTokenResponse } from './generated/orval/zod.ts';
import { AUTHENTICITY_URL, BAD_CORRELATOR, CORRELATOR, postToken, print } from './surroundings.ts';

const announced = await expectToken({ kind: 'seid' });
if (announced.status !== 201 || announced.data.merchant_data === undefined) throw new Error('not announced');
const { merchant_data } = announced.data;
await postToken(AUTHENTICITY_URL, merchant_data);

const read = await readToken({ merchant_data, wait: 25 });
if (read.status !== 200) throw new Error(`not read: ${read.status}`);
const claimed = await claimToken('job-17', { merchant_data, lease: 60 });
if (claimed.status !== 200) throw new Error(`not claimed: ${claimed.status}`);
const settled = await settleClaim('job-17');

const wrong = await readToken();
if (wrong.status !== 400) throw new Error(`not refused: ${wrong.status}`);
const unknown = await settleClaim('job-18');
if (unknown.status !== 404) throw new Error(`not unknown: ${unknown.status}`);

const query = (correlator: string) => readTokenQueryParams.safeParse({ merchant_data: correlator }).success;
const body = (correlator: string) => claimTokenBody.safeParse({ merchant_data: correlator }).success;

print({
  announced: announced.status,
  read: { status: read.status, value: read.data.value },
  claimed: { status: claimed.status, value: claimed.data.value, deliveries: claimed.data.claim?.deliveries },
  settled: settled.status,
  wrong: { status: wrong.status, code: wrong.data.code },
  unknown: { status: unknown.status, code: unknown.data.code },
  schemas: {
    answer: readTokenResponse.safeParse(read.data).success,
    correlator: [query(CORRELATOR), body(CORRELATOR)],
    badCorrelator: [query(BAD_CORRELATOR), body(BAD_CORRELATOR)],
  },
});
