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
  /** Accept any certificate: some tests replace it. */
  tls: boolean;
}

/**
 * Sends one command on its own connection. Nothing is queued, repeated or left open, in any state
 * of the server.
 */
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
  // The command reports the error. Without a listener, the event would end the process.
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
