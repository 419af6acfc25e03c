/**
 * Shared by the tests of the Carat client: a simulator with a token source, a client, and valid
 * arguments.
 */
import { createServer, type RequestListener } from 'node:http';
import { type CallReport, type CaratClient, createCaratClient } from '../../src/carat/index.ts';
import { createSimulator, type Simulator } from '../../src/simulator/simulator.ts';
import { type StoreServer, startStore } from './store-server.ts';

/** Values that must not appear in any error or log. */
export const SECRETS = {
  merchantKey: 'CHAVESECRETA0123456789ABCDEF',
  cardNumber: '5222333344445555',
  securityCode: '837',
};
export const MERCHANT = 'LOJA1';
export const SID = 'a1'.repeat(32);
export const NIT = 'b2'.repeat(32);
export const CARD = { number: SECRETS.cardNumber, expiry_date: '1230', security_code: SECRETS.securityCode };
export const PLAIN_CARD = { number: SECRETS.cardNumber, expiry_date: '1230' };
export const TERMS = { amount: 1000, initial_date: '03/08/2030', number_of_times: 3, interval: 1 };
export const NEW_SCHEDULE = { merchant_usn: '12055', order_id: 'P-1', authorizer_id: '2', schedule: TERMS };
export const NEW_PAYMENT = { ...NEW_SCHEDULE, amount: 1000, installments: 1, installment_type: 4 } as const;
export const ORDER = { amount: 1500, dealer: { code: '001' }, phone: { ddd: '11', number: '987654321' } };
export const PARAMETERS = { authorizer_id: '1', terminal_id: 'TERM0001', merchant_usn: '1', subfunction: '01' };

export interface World {
  store: StoreServer;
  simulator: Simulator;
  client: CaratClient;
  /** The client's reports of its calls. */
  reports: CallReport[];
  /** How often the simulator received a call of that name. */
  calls(name: string): number;
  close(): Promise<void>;
}

export async function startWorld(options: { timeoutMs?: number } = {}): Promise<World> {
  const store = await startStore();
  const simulator = createSimulator({ authenticityUrl: store.url });
  await simulator.listen();
  const reports: CallReport[] = [];
  const client = createCaratClient({
    environment: 'homologation',
    merchantId: MERCHANT,
    merchantKey: SECRETS.merchantKey,
    addresses: simulator.addresses(),
    timeoutMs: options.timeoutMs ?? 5000,
    onCall: (report) => reports.push(report),
  });
  return {
    store,
    simulator,
    client,
    reports,
    calls: (name) => simulator.world.calls.filter((one) => one.call === name).length,
    async close() {
      await simulator.close();
      await store.close();
    },
  };
}

/** A schedule that is `ATV`. */
export async function activeSchedule(client: CaratClient): Promise<string> {
  const created = await client.schedules.create(NEW_SCHEDULE);
  const sid = created.schedule?.sid ?? '';
  await client.schedules.activate({ sid, card: PLAIN_CARD });
  return sid;
}

/** A client of a server whose answers the test chooses. */
export async function clientOf(
  listener: RequestListener,
  timeoutMs = 5000,
): Promise<{ client: CaratClient; close: () => Promise<void> }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const base = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  const client = createCaratClient({
    environment: 'homologation',
    merchantId: MERCHANT,
    merchantKey: SECRETS.merchantKey,
    addresses: { portal: base, recharge: base },
    timeoutMs,
  });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { client, close };
}

/** All text of an error: message, stack and fields, also of its causes. */
export function everythingOf(error: unknown): string {
  const parts: string[] = [];
  for (let at = error; at !== undefined && at !== null; at = (at as { cause?: unknown }).cause) {
    parts.push(
      String(at),
      JSON.stringify(at) ?? '',
      at instanceof Error ? `${at.stack} ${JSON.stringify(Object.entries(at))}` : '',
    );
  }
  return parts.join('\n');
}

/** The error that a promise rejects with. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('expected a rejection');
}
