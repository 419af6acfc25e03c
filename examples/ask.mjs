// Asks Carat through the service, one call for each flow, and continues with the token.
import { createWorkerClient, isWorkerError } from 'carat-authenticity/client';
import { client as carat } from './settings.mjs';

const USAGE = `node examples/ask.mjs schedule-edit SID AMOUNT
node examples/ask.mjs recharge USN DDD NUMBER AMOUNT
node examples/ask.mjs generic-operation OPERATION
node examples/ask.mjs cancellation ESITEF_USN USN AMOUNT

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no token came.`;

const { WORKER_URL: url = 'http://127.0.0.1:8081', WORKER_API_KEY: key } = process.env;
const service = createWorkerClient({ url, key });

const FLOWS = {
  async 'schedule-edit'(sid, amount) {
    const { seid } = await service.askScheduleEdit({ sid });
    const { schedule, schedule_edit: edit } = await carat.scheduleEdits.edit({
      seid,
      changes: { amount: Number(amount) },
    });
    return `edited: ${edit?.status}, amount ${schedule?.amount}`;
  },

  async recharge(merchantUsn, ddd, number, amount) {
    // From here on, the service owes Carat a decision. Without ours, it undoes the recharge.
    const asked = await service.askRecharge({ merchantUsn });
    const order = { amount: Number(amount), dealer: { code: '001' }, phone: { ddd, number } };
    const isPending = await carat.recharges.effect({ nit: asked.nit, order }).then(
      ({ status }) => status === 'PPC',
      () => false,
    );
    const decision = isPending ? 'confirm' : 'undo';
    const { end, status } = await service.decideRecharge(asked, decision);
    return `recharge ${merchantUsn}: ${end ?? decision} ${status ?? ''}`;
  },

  async 'generic-operation'(operation) {
    const { token } = await service.askGenericToken();
    const parameters = { token, authorizer_id: '1', terminal_id: 'EXAMPLE1', merchant_usn: '1', subfunction: '01' };
    const { code } = await carat.genericOperations.run({ operation, parameters });
    return `done: code ${code}`;
  },

  async cancellation(esitefUsn, merchantUsn, amount) {
    const { nit } = await service.askCancellation({ esitefUsn, merchantUsn });
    // Some acquirers need the card here, too.
    const { cancellation } = await carat.cancellations.cancel({ nit, amount: Number(amount) });
    return `cancelled: ${cancellation?.status}`;
  },
};

const [name, ...given] = process.argv.slice(2);
const flow = Object.hasOwn(FLOWS, name ?? '') ? FLOWS[name] : undefined;
if (flow === undefined || given.length !== flow.length) {
  console.error(USAGE);
  process.exit(2);
}
try {
  console.log(await flow(...given));
} catch (error) {
  console.error(error.message);
  process.exitCode = isWorkerError(error, 'no_post') ? 3 : 1;
}
