// Recharges a phone, and confirms it: node examples/recharge.mjs FOLDER USN [DDD NUMBER AMOUNT]
// FOLDER has the notes of pending recharges. It belongs to this worker only, and must survive it.
import { openRechargeNotes, recharge, recoverRecharges } from 'carat-authenticity/carat';
import { client, signal, source } from './settings.mjs';

const [folder, usn, ddd = '11', number = '987654321', amount = '1500'] = process.argv.slice(2);
if (!usn) {
  console.error('usage: recharge.mjs FOLDER USN [DDD NUMBER AMOUNT]');
  process.exit(2);
}
const notes = await openRechargeNotes(folder);
// First confirm or undo the recharges that a dead process left.
await recoverRecharges({ client, notes }, { signal, onTrouble: (trouble) => console.error(trouble) });

const order = { amount: Number(amount), dealer: { code: '001' }, phone: { ddd, number } };
const outcome = await recharge(
  { client, source, notes },
  { merchant_usn: usn, order },
  { decide: () => 'confirm', signal },
);
console.log(`recharge ${usn}: ${outcome.outcome} ${outcome.status ?? ''}`);
await notes.close();
