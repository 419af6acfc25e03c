/** Where a merchant's keys are: on the one server, or on a master of a cluster, which may change. */
import type { Redis } from 'ioredis';
import { type RedisClient, slotOf } from './client.ts';

/** Whether a command for a key can be sent now: to a cluster, if its master of that key is connected. */
export function isConnected(client: RedisClient, key: string): boolean {
  if (client.status !== 'ready') return false;
  const master = masterOf(client, key);
  return master === undefined || master.status === 'ready';
}

/**
 * Connects if need be. Resolves when there is a connection, to a cluster when every master that is known can be sent
 * commands, or fails to connect. What ioredis' `connect` resolves is no use: it never does when only a second attempt gets
 * through. It goes on trying automatically, and reports what is wrong by its `error` event.
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

/** The connection to the master of a key, if the client is a cluster's and knows it. */
function masterOf(client: RedisClient, key: string): Redis | undefined {
  if (!('nodes' in client)) return undefined;
  const address = (client.slots as string[][])[slotOf(key)]?.[0];
  return client.nodes('master').find(({ options }) => `${options.host}:${options.port}` === address);
}

/**
 * Looks which nodes a cluster has: a node that was taken from it keeps its connections, but hears of nothing more. Whoever
 * sends commands is told by the nodes themselves. ioredis' own timer for this outlives a client that is closed in the meantime.
 */
export function lookForNodes(client: RedisClient): void {
  if ('refreshSlotsCache' in client && client.status === 'ready') client.refreshSlotsCache();
}

/** Calls for every connection that begins or ends, and for every node that becomes a master. */
export function onTopologyChange(client: RedisClient, listener: () => void): void {
  for (const event of ['ready', '+node', '-node']) client.on(event, listener);
  // In a cluster a known replica becomes a master without any connection that begins or ends.
  let masters = mastersOf(client);
  client.on('refresh', () => {
    const before = masters;
    masters = mastersOf(client);
    if (before !== masters) listener();
  });
}

/** Which master has which slots, as far as a cluster's client knows; else nothing. */
function mastersOf(client: RedisClient): string {
  const slots = 'slots' in client ? (client.slots as string[][]) : [];
  return slots
    .map((nodes) => nodes?.[0])
    .filter((master, at, all) => master !== all[at - 1])
    .join();
}
