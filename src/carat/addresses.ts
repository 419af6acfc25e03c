/** The base addresses of Carat, per environment and service. Never an IP address: they may change without notice [doc]. */
import { CaratError } from './errors.ts';

export type Environment = 'production' | 'homologation';
/** `portal` serves schedules, edits, payments, generic operations and cancellations; recharge has its own address. */
export type Service = 'portal' | 'recharge';
export type Addresses = { readonly [service in Service]: string };

/** As Carat's documentation gives them [doc]; some merchants use other hosts [field], hence the overrides. */
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

/** The addresses of an environment with some replaced; an end slash is dropped. Throws `bad_argument` on what is no http(s) URL. */
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
