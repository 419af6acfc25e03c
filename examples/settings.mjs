/** Where Carat and the service are; without anything in the environment, the simulator and a service on this machine. */
import { createCaratClient } from 'carat-authenticity/carat';
import { createTokenSource, createWorkerClient } from 'carat-authenticity/client';

const { env } = process;
const simulator = env.SIMULATOR_URL ?? 'http://127.0.0.1:8090';

export const client = createCaratClient({
  environment: env.CARAT_ENVIRONMENT ?? 'homologation',
  merchantId: env.CARAT_MERCHANT_ID ?? 'LOJA1',
  merchantKey: env.CARAT_MERCHANT_KEY ?? 'CHAVE0123456789',
  // Leave the addresses out, and it is Carat itself.
  ...(env.CARAT_ENVIRONMENT
    ? {}
    : { addresses: { portal: `${simulator}/e-sitef/api`, recharge: `${simulator}/e-sitef` } }),
});

/** What the flows get their tokens from. */
export const source = createTokenSource(
  createWorkerClient({ url: env.WORKER_URL ?? 'http://127.0.0.1:8081', key: env.WORKER_API_KEY }),
);

/** Ends what is under way when the process is asked to stop. */
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT']) process.once(name, () => stop.abort());
export const { signal } = stop;
