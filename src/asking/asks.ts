/** The five things that Carat is asked for, each with the call that asks for it and what its post is known by. */
import type { CaratClient } from '../carat/client.ts';
import type { Ask } from './asker.ts';

type Arguments<Call extends (...args: never[]) => unknown> = Parameters<Call>[0];

/** A SEID, by `merchant_data`: the one given, or a fresh one. */
export function scheduleEdit({ sid, merchant_data }: Arguments<CaratClient['scheduleEdits']['begin']>): Ask {
  return {
    name: 'schedule_edit',
    kind: 'seid',
    selector: merchant_data === undefined ? undefined : { merchant_data },
    trigger: (client, { selector }, options) =>
      client.scheduleEdits.begin({ sid, merchant_data: selector.merchant_data }, options),
  };
}

/** A NIT, by the merchant's USN. */
export function recharge(args: Arguments<CaratClient['recharges']['begin']> & { merchant_usn: string }): Ask {
  const selector = { merchant_usn: args.merchant_usn };
  return {
    name: 'recharge',
    kind: 'nit',
    selector,
    trigger: (client, _, options) => client.recharges.begin(args, options),
  };
}

/** A token from the pool. */
export function genericToken(): Ask {
  const name = 'generic_token';
  return { name, kind: 'token', trigger: (client, _, options) => client.genericOperations.askToken(options) };
}

/** A token from the pool; nothing tells it from one for a generic operation. */
export function merchantToken(): Ask {
  const name = 'merchant_token';
  return { name, kind: 'token', trigger: (client, _, options) => client.genericOperations.askMerchantToken(options) };
}

/** A NIT, by the merchant's USN or else its order. */
export function cancellation(args: Arguments<CaratClient['cancellations']['begin']>): Ask {
  const { merchant_usn, order_id } = args;
  const selector = merchant_usn === undefined ? (order_id === undefined ? undefined : { order_id }) : { merchant_usn };
  const trigger: Ask['trigger'] = (client, _, options) => client.cancellations.begin(args, options);
  return { name: 'cancellation', kind: 'nit', selector, trigger };
}
