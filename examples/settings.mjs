/** The addresses of Carat and the service. Default: the simulator and a service on this machine. */
import { createCaratClient } from 'carat-authenticity/carat';
import { createTokenSource, createWorkerClient } from 'carat-authenticity/client';

const { env } = process;
const simulator = env.SIMULATOR_URL ?? 'http://127.0.0.1:8090';

export const client = createCaratClient({
  environment: env.CARAT_ENVIRONMENT ?? 'homologation',
  merchantId: env.CARAT_MERCHANT_ID ?? 'LOJA1',
  merchantKey: env.CARAT_MERCHANT_KEY ?? 'CHAVE0123456789',
  // Without addresses, the client calls Carat itself.
  ...(env.CARAT_ENVIRONMENT
    ? {}
    : { addresses: { portal: `${simulator}/e-sitef/api`, recharge: `${simulator}/e-sitef` } }),
});

/** The token source of the flows. */
export const source = createTokenSource(
  createWorkerClient({ url: env.WORKER_URL ?? 'http://127.0.0.1:8081', key: env.WORKER_API_KEY }),
);

/** Aborts pending calls when the process gets a signal. */
const stop = new AbortController();
for (const name of ['SIGTERM', 'SIGINT']) process.once(name, () => stop.abort());
export const { signal } = stop;
