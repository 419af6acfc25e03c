import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

export const LOOPBACK = '127.0.0.1';

// Kernels give outgoing connections and "port 0" the numbers from 32768 (Linux) or 49152 up. Below them, a port stays
// free for its server while that server is down.
const LOWEST_PORT = 10_000;
const HIGHEST_PORT = 32_000;
const MAX_PORTS_TRIED = 100;

/** A loopback port that was free a moment ago. Another process may still take it first: whoever binds it tries again. */
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
