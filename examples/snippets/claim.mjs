// Takes a token of a generic operation, uses it, and says so: node claim.mjs JOB_ID
import { createWorkerClient } from 'carat-authenticity/client';

const [claimId, ...rest] = process.argv.slice(2);
if (!claimId || rest.length > 0) {
  console.error('usage: claim.mjs JOB_ID');
  process.exit(2);
}
const { WORKER_URL: url, WORKER_API_KEY: key } = process.env;
const client = createWorkerClient({ url, key });
const token = await client.claim({ kind: 'token', claimId });
if (!token) {
  console.error('nothing came');
  process.exit(3);
}
console.log(token.value); // … POST /v1/genericoperations with it …
await client.used(token);
