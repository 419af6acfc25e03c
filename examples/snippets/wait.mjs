// Waits for the token under a merchant_data and prints it: node wait.mjs MERCHANT_DATA
import { createWorkerClient } from 'carat-authenticity/client';

const [merchantData, ...rest] = process.argv.slice(2);
if (!merchantData || rest.length > 0) {
  console.error('usage: wait.mjs MERCHANT_DATA');
  process.exit(2);
}
const { WORKER_URL: url, WORKER_API_KEY: key } = process.env;
const token = await createWorkerClient({ url, key }).waitForToken({ merchantData });
if (!token) {
  console.error('nothing came');
  process.exit(3);
}
console.log(token.value);
