// Changes the amount of a schedule, in cents: node examples/edit-schedule.mjs SID|new [AMOUNT]
import { editSchedule } from 'carat-authenticity/carat';
import { client, signal, source } from './settings.mjs';

const [which, amount = '5990'] = process.argv.slice(2);
if (!which) {
  console.error('usage: edit-schedule.mjs SID|new [AMOUNT]');
  process.exit(2);
}
const sid = which === 'new' ? await newSchedule() : which;
const { answer, lostAnswer } = await editSchedule(
  { client, source },
  { sid, changes: { amount: Number(amount) } },
  { signal },
);
console.log(
  `edited: ${answer.schedule_edit?.status}, amount ${answer.schedule?.amount}${lostAnswer ? ', an answer was lost' : ''}`,
);

/** Creates a schedule for a try. */
async function newSchedule() {
  const schedule = { amount: 4990, initial_date: '03/08/2030', number_of_times: 12, interval: 1 };
  const created = await client.schedules.create({
    merchant_usn: '100',
    order_id: 'EXAMPLE-1',
    authorizer_id: '2',
    schedule,
  });
  const { sid } = created.schedule;
  await client.schedules.activate({ sid, card: { number: '5555555555555555', expiry_date: '1230' } });
  return sid;
}
