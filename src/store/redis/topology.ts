/** The location of a merchant's keys: the one server, or a master of a cluster, which may change. */
import type { Redis } from 'ioredis';
import { type RedisClient, slotOf } from './client.ts';

/** Whether a command for a key can be sent now. In a cluster, its master of that key must be connected. */
export function isConnected(client: RedisClient, key: string): boolean {
  if (client.status !== 'ready') return false;
  const master = masterOf(client, key);
  return master === undefined || master.status === 'ready';
}

/**
 * Connects if necessary. Resolves when the server is connected, or every known master of a cluster;
 * rejects when the connection fails. The promise of ioredis' `connect` is not used: it stays
 * pending if only a second attempt succeeds. The client retries automatically and reports problems
 * by its `error` event.
 */
export async function connected(client: RedisClient): Promise<void> {
  if (client.status === 'wait') client.connect().catch(() => {});
  if (client.status !== 'ready') await new Promise<void>((resolve) => void client.once('ready', resolve));
  if (!('nodes' in client)) return;
  const starting = client.nodes('master').filter(({ status }) => status !== 'ready');
  await Promise.all(
    starting.map((node) => new Promise((resolve) => void node.once('ready', resolve).once('end', resolve))),
  );
}

/** Returns the connection to the master of a key, if a cluster's client knows it. */
function masterOf(client: RedisClient, key: string): Redis | undefined {
  if (!('nodes' in client)) return undefined;
  const address = (client.slots as string[][])[slotOf(key)]?.[0];
  return client.nodes('master').find(({ options }) => `${options.host}:${options.port}` === address);
}

/**
 * Refreshes the known nodes of a cluster. A removed node keeps its connections, but receives no
 * more messages. A client that sends commands learns of the removal from the nodes. ioredis' own
 * timer for this outlives a client that is closed in the meantime.
 */
export function lookForNodes(client: RedisClient): void {
  if ('refreshSlotsCache' in client && client.status === 'ready') client.refreshSlotsCache();
}

/** Calls back for each connection that begins or ends, and for each node that becomes a master. */
export function onTopologyChange(client: RedisClient, listener: () => void): void {
  for (const event of ['ready', '+node', '-node']) client.on(event, listener);
  // In a cluster, a known replica becomes a master without a new or closed connection.
  let masters = mastersOf(client);
  client.on('refresh', () => {
    const before = masters;
    masters = mastersOf(client);
    if (before !== masters) listener();
  });
}

/** Returns the slots of each master, as far as a cluster's client knows them. */
function mastersOf(client: RedisClient): string {
  const slots = 'slots' in client ? (client.slots as string[][]) : [];
  return slots
    .map((nodes) => nodes?.[0])
    .filter((master, at, all) => master !== all[at - 1])
    .join();
}
