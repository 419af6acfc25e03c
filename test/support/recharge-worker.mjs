/**
 * A worker process for the test that kills it: recharges once, or recovers. It runs from `dist`, and is its own store:
 * it prints the address that posts have to go to, then waits for `go` on its standard input.
 *
 * Usage: node recharge-worker.mjs recharge|recover PORTAL RECHARGE FOLDER [wait|undo]
 */
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { createCaratClient, openRechargeNotes, recharge, recoverRecharges } from '../../dist/carat/index.js';

const [what, portal, rechargeAddress, folder, decision] = process.argv.slice(2);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const merchantKey = 'CHAVESECRETA0123456789ABCDEF';
const addresses = { portal, recharge: rechargeAddress };
const client = createCaratClient({ environment: 'homologation', merchantId: 'LOJA1', merchantKey, addresses });
const notes = await openRechargeNotes(folder);
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());

if (what === 'recover') {
  const recovered = await recoverRecharges(
    { client, notes },
    { firstDelayMs: 10, maxDelayMs: 50, signal: stop.signal },
  );
  say({ recovered });
} else {
  let arrived;
  const nit = new Promise((resolve) => {
    arrived = resolve;
  });
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    arrived(new URLSearchParams(Buffer.concat(chunks).toString()).get('nit'));
    response.end('OK');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  say({ url: `http://127.0.0.1:${server.address().port}/` });
  const lines = createInterface({ input: process.stdin });
  await lines[Symbol.asyncIterator]().next();
  lines.close();
  const source = {
    announce: async ({ kind, selector }) => ({ id: '1', kind, selector: selector ?? {} }),
    take: async (_announced, { claimId }) => ({ id: '1', value: await nit, claimId }),
    used: async () => undefined,
    release: async () => undefined,
    cancel: async () => undefined,
  };
  const order = { amount: 1500, dealer: { code: '001' }, phone: { ddd: '11', number: '987654321' } };
  const decide = () => {
    say('deciding');
    if (decision === 'wait') return new Promise(() => undefined);
    return decision === 'undo' ? 'undo' : 'confirm';
  };
  const outcome = await recharge(
    { client, source, notes },
    { merchant_usn: '1', order },
    { decide, signal: stop.signal },
  );
  say({ outcome });
  server.close();
}
await notes.close();
process.stdin.destroy();
