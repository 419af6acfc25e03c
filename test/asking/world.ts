/** Shared by the tests of asks: a simulated Carat, and services that ask it. */
import { createCaratClient, type RechargeEffect } from '../../src/carat/index.ts';
import { createSimulator, type Simulator } from '../../src/simulator/simulator.ts';
import { activeSchedule, NEW_PAYMENT, ORDER, PLAIN_CARD } from '../support/carat.ts';
import type { RedisServer } from '../support/redis.ts';
import { type Answer, type RequestOptions, RunningService } from '../support/service.ts';
import { scaled } from '../support/time-scale.ts';

export const CREDENTIALS = { merchantId: 'LOJA12345678901', merchantKey: 'CHAVESECRETA0123456789ABCDEF' };

/**
 * Hundreds of asks run at once, with all services and clients in one process: answers of Redis are
 * delayed.
 */
const REDIS_MS = scaled(2000);

export interface AskingWorld {
  simulator: Simulator;
  /** One service, or two that share a Redis; Carat posts to the first. */
  services: RunningService[];
  /** Asks the worker API of the first service, or of another. */
  ask(method: string, path: string, options?: RequestOptions, at?: RunningService): Promise<Answer>;
  /** A schedule that can be edited. */
  sid(): Promise<string>;
  /** The `esitef_usn` of a confirmed payment, and its `merchant_usn`. */
  payment(merchantUsn: string): Promise<string>;
  /** Effects a recharge at Carat, as a worker does with its NIT. */
  effect(nit: string): Promise<RechargeEffect>;
  /** How often the simulator received a call of that name. */
  calls(name: string): number;
  close(): Promise<void>;
}

export async function startAskingWorld({
  redis,
  env = {},
  expiryMs,
}: {
  redis?: RedisServer | undefined;
  env?: Record<string, string>;
  expiryMs?: number;
} = {}): Promise<AskingWorld> {
  const simulator = createSimulator({ authenticityUrl: 'http://127.0.0.1:1/', ...(expiryMs && { expiryMs }) });
  await simulator.listen();
  const { portal, recharge } = simulator.addresses();
  const services: RunningService[] = [];
  for (let at = 0; at < (redis === undefined ? 1 : 2); at += 1) {
    services.push(
      await RunningService.start({
        env: { ...caratEnv(portal, recharge), ...shared(redis), ...env },
        redisMs: REDIS_MS,
      }),
    );
  }
  const [first] = services as [RunningService];
  simulator.postTo(`${first.service.authenticityUrl}/authenticity`);
  const client = createCaratClient({ environment: 'homologation', ...CREDENTIALS, addresses: simulator.addresses() });
  return {
    simulator,
    services,
    ask: (method, path, options = {}, at = first) => at.worker(method, path, options),
    sid: () => activeSchedule(client),
    async payment(merchantUsn) {
      const { nit = '' } = (await client.schedules.createWithPayment({ ...NEW_PAYMENT, merchant_usn: merchantUsn }))
        .payment as { nit?: string };
      const paid = await client.schedules.pay({ nit, card: { ...PLAIN_CARD, security_code: '123' } });
      return String(paid.payment?.['esitef_usn']);
    },
    effect: (nit) => client.recharges.effect({ nit, order: ORDER }),
    calls: (name) => simulator.world.calls.filter(({ call }) => call === name).length,
    async close() {
      await Promise.all(services.map((service) => service.stop()));
      await simulator.close();
    },
  };
}

export function caratEnv(portal: string, recharge: string): Record<string, string> {
  const { merchantId, merchantKey } = CREDENTIALS;
  return {
    CARAT_CREDENTIALS: `default=${merchantId}:${merchantKey}`,
    CARAT_API_URL: portal,
    CARAT_RECHARGE_URL: recharge,
  };
}

const shared = (redis: RedisServer | undefined): Record<string, string> =>
  redis === undefined ? {} : { STORE_URL: redis.url };
