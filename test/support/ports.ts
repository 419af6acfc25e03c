import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

export const LOOPBACK = '127.0.0.1';

// Kernels use ports from 32768 (Linux) or 49152 for outgoing connections and "port 0". A lower port
// stays free while its server is down.
const LOWEST_PORT = 10_000;
const HIGHEST_PORT = 32_000;
const MAX_PORTS_TRIED = 100;

/**
 * A loopback port that was free just now. Another process may take it first, so callers retry the
 * bind.
 */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < MAX_PORTS_TRIED; tried++) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (await canBeBound(port)) return port;
  }
  throw new Error(`no free port on ${LOOPBACK} between ${LOWEST_PORT} and ${HIGHEST_PORT} in ${MAX_PORTS_TRIED} tries`);
}

async function canBeBound(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, LOOPBACK);
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
