/** A wrong argument fails before any call is made, naming the field and its format, and not its value. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CaratClient,
  CaratError,
  createCaratClient,
  editSchedule,
  genericOperation,
  type RechargeNotes,
  recharge,
  type TokenSource,
} from '../../src/carat/index.ts';
import {
  CARD,
  clientOf,
  errorOf,
  everythingOf,
  NEW_PAYMENT,
  NEW_SCHEDULE,
  NIT,
  ORDER,
  PARAMETERS,
  PLAIN_CARD,
  SID,
  TERMS,
} from '../support/carat.ts';

let client: CaratClient;
let close: () => Promise<void>;
let requests = 0;

beforeAll(async () => {
  ({ client, close } = await clientOf((_request, response) => {
    requests += 1;
    response.end();
  }));
});
afterAll(() => close());

/** A source and notes that must not be touched. */
const untouched = new Proxy({}, { get: () => expect.fail('was used') }) as unknown as TokenSource & RechargeNotes;

// biome-ignore lint/suspicious/noExplicitAny: the arguments are wrong on purpose.
type Any = any;
type Case = [name: string, call: () => Promise<unknown>, field: string, format: RegExp];

const odd = 'ODD@VALUE';
const cases: Case[] = [
  ['sid too short', () => client.scheduleEdits.begin({ sid: 'short' }), 'sid', /exactly 64 letters or digits/],
  ['sid with a sign', () => client.scheduleEdits.begin({ sid: `${'a'.repeat(63)}-` }), 'sid', /exactly 64/],
  ['sid missing', () => client.scheduleEdits.begin({} as Any), 'sid', /exactly 64/],
  ['no arguments', () => client.scheduleEdits.begin(undefined as Any), 'arguments', /object/],
  [
    'merchant_data of 21',
    () => client.scheduleEdits.begin({ sid: SID, merchant_data: 'x'.repeat(21) }),
    'merchant_data',
    /1 to 20/,
  ],
  ['unknown argument', () => client.scheduleEdits.begin({ sid: SID, extra: 1 } as Any), 'extra', /left out/],
  ['seid', () => client.scheduleEdits.edit({ seid: odd, changes: {} }), 'seid', /exactly 64/],
  [
    'status',
    () => client.scheduleEdits.edit({ seid: SID, changes: { status: 'XXX' as Any } }),
    'changes.status',
    /ATV, INA/,
  ],
  [
    'next_date',
    () => client.scheduleEdits.edit({ seid: SID, changes: { next_date: '2030-08-03' } }),
    'changes.next_date',
    /DD\/MM\/YYYY/,
  ],
  [
    'a day that does not exist',
    () => client.scheduleEdits.edit({ seid: SID, changes: { next_date: '31/02/2030' } }),
    'changes.next_date',
    /DD\/MM\/YYYY/,
  ],
  [
    'security code in an edit',
    () => client.scheduleEdits.edit({ seid: SID, changes: { card: CARD as Any } }),
    'changes.card.security_code',
    /left out/,
  ],
  [
    'amount in reais',
    () => client.schedules.create({ ...NEW_SCHEDULE, schedule: { ...TERMS, amount: 10.5 } }),
    'schedule.amount',
    /cents/,
  ],
  [
    'amount negative',
    () => client.schedules.create({ ...NEW_SCHEDULE, schedule: { ...TERMS, amount: -1 } }),
    'schedule.amount',
    /cents/,
  ],
  [
    'amount of 13 digits',
    () => client.schedules.create({ ...NEW_SCHEDULE, schedule: { ...TERMS, amount: '1'.repeat(13) } }),
    'schedule.amount',
    /12 digits/,
  ],
  [
    'merchant_usn',
    () => client.schedules.create({ ...NEW_SCHEDULE, merchant_usn: '1'.repeat(13) }),
    'merchant_usn',
    /1 to 12 digits/,
  ],
  ['order_id', () => client.schedules.create({ ...NEW_SCHEDULE, order_id: 'x'.repeat(21) }), 'order_id', /1 to 20/],
  [
    'installment_type',
    () => client.schedules.createWithPayment({ ...NEW_PAYMENT, installment_type: 5 as Any }),
    'installment_type',
    /3 .*4/,
  ],
  ['nit', () => client.schedules.query({ nit: '../x' }), 'nit', /exactly 64/],
  [
    'card number',
    () => client.schedules.pay({ nit: NIT, card: { ...CARD, number: '5222' } }),
    'card.number',
    /12 to 19 digits/,
  ],
  [
    'expiry',
    () => client.schedules.pay({ nit: NIT, card: { ...CARD, expiry_date: '1330' } }),
    'card.expiry_date',
    /MMYY/,
  ],
  [
    'security code',
    () => client.schedules.pay({ nit: NIT, card: { ...CARD, security_code: 'abc' } }),
    'card.security_code',
    /3 or 4 digits/,
  ],
  ['confirm', () => client.schedules.confirmPayment({ nit: NIT, confirm: 'yes' as Any }), 'confirm', /boolean/],
  ['ddd', () => client.recharges.branches({ nit: NIT, ddd: '011', dealer_code: '001' }), 'ddd', /exactly 2 digits/],
  ['general_hash', () => client.recharges.dealers({ nit: NIT, general_hash: 'x' }), 'general_hash', /exactly 16/],
  [
    'recharge_type',
    () => client.recharges.begin({ recharge_type: 'bonus' as Any }),
    'recharge_type',
    /normal, others, invoice/,
  ],
  [
    'phone',
    () => client.recharges.effect({ nit: NIT, order: { ...ORDER, phone: { ddd: '11', number: '1' } } }),
    'order.phone.number',
    /8 or 9 digits/,
  ],
  [
    'terminal_id',
    () => client.genericOperations.run({ operation: '1', parameters: { ...PARAMETERS, terminal_id: 'T1' } }),
    'parameters.terminal_id',
    /exactly 8/,
  ],
  [
    'operation',
    () => client.genericOperations.run({ operation: '1000', parameters: PARAMETERS }),
    'operation',
    /1 to 3 digits/,
  ],
  [
    'subfunction',
    () => client.genericOperations.run({ operation: '1', parameters: { ...PARAMETERS, subfunction: '1' } }),
    'parameters.subfunction',
    /exactly 2 digits/,
  ],
  ['esitef_usn', () => client.cancellations.begin({ esitef_usn: '' }), 'esitef_usn', /1 to 15/],
  [
    'flow: sid',
    () => editSchedule({ client, source: untouched }, { sid: 'x', changes: { status: 'INA' } }),
    'sid',
    /exactly 64/,
  ],
  [
    'flow: change',
    () => editSchedule({ client, source: untouched }, { sid: SID, changes: { amount: 1.5 } }),
    'changes.amount',
    /cents/,
  ],
  [
    'flow: ddd',
    () =>
      recharge(
        { client, source: untouched, notes: untouched },
        { merchant_usn: '1', order: { ...ORDER, phone: { ddd: '1', number: '987654321' } } },
      ),
    'order.phone.ddd',
    /exactly 2/,
  ],
  [
    'flow: merchant_usn',
    () => recharge({ client, source: untouched, notes: untouched }, { merchant_usn: '', order: ORDER }),
    'merchant_usn',
    /1 to 12/,
  ],
  [
    'a deadline of 0',
    () => client.recharges.query({ nit: NIT }, { timeoutMs: 0 }),
    'timeoutMs',
    /1 to 600000 milliseconds/,
  ],
  [
    'flow: grace',
    () => editSchedule({ client, source: untouched }, { sid: SID, changes: {} }, { graceMs: -1 }),
    'graceMs',
    /0 to 600000/,
  ],
  [
    'flow: attempts',
    () =>
      genericOperation(
        { client, source: untouched },
        { operation: '1', needsToken: true, parameters: PARAMETERS },
        { attempts: 0 },
      ),
    'attempts',
    /1 to 10/,
  ],
  [
    'flow: terminal',
    () =>
      genericOperation(
        { client, source: untouched },
        { operation: '1', needsToken: true, parameters: { ...PARAMETERS, terminal_id: '' } },
      ),
    'parameters.terminal_id',
    /exactly 8/,
  ],
];

describe('a wrong argument', () => {
  it.each(cases)('%s', async (_name, call, field, format) => {
    const error = await errorOf(call());
    expect(error).toBeInstanceOf(CaratError);
    expect(error).toMatchObject({ code: 'bad_argument', effect: 'none', field });
    expect((error as CaratError).format).toMatch(format);
    expect((error as CaratError).message).toContain(`${field} must be `);
    expect(requests).toBe(0);
  });

  it('is not quoted: neither a long card number nor a key with a line break', async () => {
    const number = '52223333444455556666';
    const byCard = await errorOf(client.schedules.activate({ sid: SID, card: { ...PLAIN_CARD, number } }));
    expect(everythingOf(byCard)).not.toContain(number);
    const options = { environment: 'production', merchantId: 'LOJA1', merchantKey: 'CHAVE\nSECRETA' } as const;
    const byKey = await errorOf(Promise.resolve().then(() => createCaratClient(options)));
    expect(byKey).toMatchObject({ code: 'bad_argument', field: 'merchantKey' });
    expect(everythingOf(byKey)).not.toContain('SECRETA');
  });

  it.each([
    ['an unknown environment', { environment: 'test' }, 'environment'],
    ['an address that is none', { addresses: { portal: 'carat' } }, 'addresses.portal'],
    ['an address with a password', { addresses: { recharge: 'https://a:b@carat.example' } }, 'addresses.recharge'],
    ['a deadline of 0', { timeoutMs: 0 }, 'timeoutMs'],
    ['a merchant id of 16', { merchantId: 'x'.repeat(16) }, 'merchantId'],
  ])('%s', async (_name, wrong, field) => {
    const options = { environment: 'production', merchantId: 'LOJA1', merchantKey: 'CHAVE', ...wrong } as Any;
    expect(await errorOf(Promise.resolve().then(() => createCaratClient(options)))).toMatchObject({
      code: 'bad_argument',
      field,
    });
  });
});
