// Takes a token of a generic operation, uses it, and says so: node claim.mjs JOB_ID
import { createWorkerClient } from 'carat-authenticity/client';

const { WORKER_URL: url, WORKER_API_KEY: key } = process.env;
const client = createWorkerClient({ url, key });
const token = await client.claim({ kind: 'token', claimId: process.argv[2] });
if (token) {
  console.log(token.value); // … POST /v1/genericoperations with it …
  await client.used(token);
}
