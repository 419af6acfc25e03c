/** Checks that the service can listen at `HOST` and `WORKER_HOST`. */
import { createServer } from 'node:net';
import type { ConfigProblem } from './config.ts';

const NOT_HERE = new Set(['EADDRNOTAVAIL', 'EAI_AGAIN', 'EINVAL', 'ENOTFOUND']);

/** Listens briefly at each given host, on a free port. */
export async function unusableHosts(env: Record<string, string | undefined>): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  for (const variable of ['HOST', 'WORKER_HOST']) {
    const host = env[variable]?.trim() ?? '';
    const code = host === '' ? undefined : await listenError(host);
    if (code === undefined || !NOT_HERE.has(code)) continue;
    const message = `expected an address of this machine, got ${JSON.stringify(host.slice(0, 100))} (${code})`;
    problems.push({ variable, message });
  }
  return problems;
}

function listenError(host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
    server.listen({ host, port: 0 }, () => server.close(() => resolve(undefined)));
  });
}
