/** The five requests to Carat, each with its call and the selector of its post. */
import type { CaratClient } from '../carat/client.ts';
import type { Ask } from './asker.ts';

type Arguments<Call extends (...args: never[]) => unknown> = Parameters<Call>[0];

/** A SEID, selected by `merchant_data`: the given one or a new one. */
export function scheduleEdit({ sid, merchant_data }: Arguments<CaratClient['scheduleEdits']['begin']>): Ask {
  return {
    name: 'schedule_edit',
    kind: 'seid',
    selector: merchant_data === undefined ? undefined : { merchant_data },
    trigger: (client, { selector }, options) =>
      client.scheduleEdits.begin({ sid, merchant_data: selector.merchant_data }, options),
  };
}

/** A NIT, selected by the merchant's USN. */
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

/** A token from the pool. It cannot be distinguished from a token for a generic operation. */
export function merchantToken(): Ask {
  const name = 'merchant_token';
  return { name, kind: 'token', trigger: (client, _, options) => client.genericOperations.askMerchantToken(options) };
}

/** A NIT, selected by the merchant's USN, or by its order. */
export function cancellation(args: Arguments<CaratClient['cancellations']['begin']>): Ask {
  const { merchant_usn, order_id } = args;
  const selector = merchant_usn === undefined ? (order_id === undefined ? undefined : { order_id }) : { merchant_usn };
  const trigger: Ask['trigger'] = (client, _, options) => client.cancellations.begin(args, options);
  return { name: 'cancellation', kind: 'nit', selector, trigger };
}
