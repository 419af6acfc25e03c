import { once } from 'node:events';
import { Redis } from 'ioredis';
import { LOOPBACK } from './ports.ts';
import { scaled } from './time-scale.ts';

const CONNECT_TIMEOUT_MS = scaled(1_000);
const COMMAND_TIMEOUT_MS = scaled(2_000);
const DISCONNECT_TIMEOUT_MS = 100;

export interface CommandTarget {
  port: number;
  password: string | undefined;
  /** Whatever certificate it shows: some tests exchange it. */
  tls: boolean;
}

/** One command on a connection of its own: nothing is queued, repeated or left open, whatever became of the server. */
export async function sendCommand(target: CommandTarget, name: string, args: string[]): Promise<unknown> {
  const client = new Redis({
    host: LOOPBACK,
    port: target.port,
    ...(target.password === undefined ? {} : { password: target.password }),
    ...(target.tls ? { tls: { rejectUnauthorized: false } } : {}),
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    enableAutoPipelining: false,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    reconnectOnError: null,
    autoResubscribe: false,
    autoResendUnfulfilledCommands: false,
    disableClientInfo: true,
    protocol: 2,
  });
  // The command reports what went wrong; the event would end the process if nobody listened.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await client.call(name, ...args);
  } finally {
    const ended = client.status === 'end' ? undefined : once(client, 'end');
    client.disconnect();
    await ended;
  }
}
