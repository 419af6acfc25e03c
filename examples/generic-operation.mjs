// Runs a generic operation with a token: node examples/generic-operation.mjs OPERATION
import { genericOperation } from 'carat-authenticity/carat';
import { client, signal, source } from './settings.mjs';

const [operation] = process.argv.slice(2);
if (!operation) {
  console.error('usage: generic-operation.mjs OPERATION');
  process.exit(2);
}
const parameters = { authorizer_id: '1', terminal_id: 'EXAMPLE1', merchant_usn: '1', subfunction: '01' };
// Carat burns the token before the operation runs: each attempt asks for a new one.
const done = await genericOperation(
  { client, source },
  { operation, needsToken: true, parameters },
  { attempts: 2, signal },
);
console.log(`done at attempt ${done.attempts}: code ${done.answer.code ?? done.answer.responseCode}`);
