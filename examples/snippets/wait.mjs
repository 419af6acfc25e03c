// Waits for the token under a merchant_data and prints it: node wait.mjs MERCHANT_DATA
import { createWorkerClient } from 'carat-authenticity/client';

const { WORKER_URL: url, WORKER_API_KEY: key } = process.env;
const token = await createWorkerClient({ url, key }).waitForToken({ merchantData: process.argv[2] });
console.log(token ? token.value : 'nothing came');
