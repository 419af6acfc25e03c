/** Carat's base addresses, per environment and service. Always host names: IP addresses may change without notice [doc]. */
import { CaratError } from './errors.ts';

export type Environment = 'production' | 'homologation';
/** `portal` serves schedules, edits, payments, generic operations and cancellations; recharge has its own address. */
export type Service = 'portal' | 'recharge';
export type Addresses = { readonly [service in Service]: string };

/** The addresses of Carat's documentation [doc]. Some merchants use other hosts [field], so they can be overridden. */
export const ADDRESSES: { readonly [environment in Environment]: Addresses } = {
  production: {
    portal: 'https://esitef.softwareexpress.com.br/e-sitef/api',
    recharge: 'https://esitef-ec.softwareexpress.com.br/e-sitef',
  },
  homologation: {
    portal: 'https://esitef-homologacao.softwareexpress.com.br/e-sitef/api',
    recharge: 'https://esitef-homologacao.softwareexpress.com.br/e-sitef',
  },
};

/** Returns the addresses of an environment, with overrides, without a final slash. Throws `bad_argument` for a bad URL. */
export function addressesFor(environment: Environment, overrides: Partial<Addresses> = {}): Addresses {
  const defaults = ADDRESSES[environment];
  if (defaults === undefined) throw badAddress('environment', 'production or homologation');
  return {
    portal: checked('addresses.portal', overrides.portal ?? defaults.portal),
    recharge: checked('addresses.recharge', overrides.recharge ?? defaults.recharge),
  };
}

function checked(field: string, address: string): string {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const usable = url !== undefined && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '';
  if (!usable || url.username !== '' || url.password !== '') {
    throw badAddress(field, 'an http or https address without user, query and fragment');
  }
  return address.replace(/\/+$/, '');
}

function badAddress(field: string, format: string): CaratError {
  return new CaratError('bad_argument', `${field} must be ${format}`, {
    call: 'createCaratClient',
    effect: 'none',
    field,
    format,
  });
}
