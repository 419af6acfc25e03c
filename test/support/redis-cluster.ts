/** A Redis Cluster of three masters, each with a replica. */
import { type RedisOptions, type RedisServer, startRedis } from './redis.ts';
import { until } from './until.ts';

export const MASTERS = 3;
const NODES = 2 * MASTERS;
const SLOTS = 16_384;
const NODE_TIMEOUT_MS = 2_000;
const KEYS_A_MIGRATION = 10;

export interface RedisCluster {
  /**
   * At the start, the first three are masters, and the next three their replicas in the same order.
   */
  nodes: RedisServer[];
  /** `redis-cluster://h:p,h:p,…`, or `rediss-cluster://…`, with all nodes. */
  url: string;
  /** What a running node reports. */
  roleOf(node: RedisServer): Promise<'master' | 'replica'>;
  /** The owner of the key's slot in the most recent view of the running nodes. It may be down. */
  masterOf(key: string): Promise<RedisServer>;
  /**
   * Moves a key's slot to another master with the steps of `redis-cli --cluster reshard`. Fails
   * where that aborts.
   */
  moveSlot(key: string, to: RedisServer): Promise<void>;
  /**
   * Resolves when every running node reports the cluster as ok, and every running replica is in
   * sync.
   */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Resolves when the cluster is stable. All nodes get the same options. With TLS, the nodes use it
 * between them, too.
 */
export async function startCluster(options: RedisOptions = {}): Promise<RedisCluster> {
  const config = {
    ...(options.tls ? { 'tls-cluster': 'yes', 'tls-replication': 'yes' } : {}),
    'cluster-enabled': 'yes',
    'cluster-node-timeout': String(NODE_TIMEOUT_MS),
    'repl-ping-replica-period': '1',
    ...options.config,
  };
  const starts = await Promise.allSettled(Array.from({ length: NODES }, () => startRedis({ ...options, config })));
  const nodes = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []));
  const stop = async () => {
    await Promise.all(nodes.map((node) => node.stop()));
  };
  try {
    for (const start of starts) if (start.status === 'rejected') throw start.reason;
    await join(nodes);
    await settled(nodes);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    nodes,
    url: `${options.tls ? 'rediss' : 'redis'}-cluster://${nodes.map((node) => `${node.host}:${node.port}`).join(',')}`,
    roleOf,
    masterOf: (key) => masterOf(nodes, key),
    moveSlot: (key, to) => moveSlot(nodes, key, to),
    settled: () => settled(nodes),
    stop,
  };
}

async function moveSlot(nodes: RedisServer[], key: string, to: RedisServer): Promise<void> {
  const from = await masterOf(nodes, key);
  const slot = String(await to.command('CLUSTER', 'KEYSLOT', key));
  const [fromId, toId] = [String(await from.command('CLUSTER', 'MYID')), String(await to.command('CLUSTER', 'MYID'))];
  await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', fromId);
  await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', toId);
  for (;;) {
    const keys = (await from.command('CLUSTER', 'GETKEYSINSLOT', slot, String(KEYS_A_MIGRATION))) as string[];
    if (keys.length === 0) break;
    await from.command('MIGRATE', to.host, String(to.port), '', '0', '5000', 'KEYS', ...keys);
  }
  // The new owner first: a client that the old owner redirects must find the slot there.
  for (const node of [to, from, ...nodes.filter((node) => node !== to && node !== from)]) {
    if ((await roleOf(node)) === 'master') await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', toId);
  }
}

async function join(nodes: RedisServer[]): Promise<void> {
  const masters = nodes.slice(0, MASTERS);
  await Promise.all(nodes.map((node, index) => node.command('CLUSTER', 'SET-CONFIG-EPOCH', String(index + 1))));
  await Promise.all(
    masters.map((master, index) => {
      const first = Math.ceil((index * SLOTS) / MASTERS);
      const last = Math.ceil(((index + 1) * SLOTS) / MASTERS) - 1;
      return master.command('CLUSTER', 'ADDSLOTSRANGE', String(first), String(last));
    }),
  );
  // Each node meets each other: introduction by gossip takes seconds longer.
  const addresses = await Promise.all(nodes.map(meetingAddress));
  for (const node of nodes) await Promise.all(addresses.map((address) => node.command('CLUSTER', 'MEET', ...address)));
  await until('all nodes know each other', async () => {
    const known = await Promise.all(nodes.map((node) => clusterInfo(node, 'cluster_known_nodes')));
    return known.every((count) => count === String(NODES));
  });
  await Promise.all(
    masters.map(async (master, index) => {
      const id = String(await master.command('CLUSTER', 'MYID'));
      await until('a replica knows its master', () => nodes[MASTERS + index]?.command('CLUSTER', 'REPLICATE', id));
    }),
  );
}

async function meetingAddress(node: RedisServer): Promise<string[]> {
  const [, busPort] = (await node.command('CONFIG', 'GET', 'cluster-port')) as string[];
  return [node.host, String(node.port), String(busPort)];
}

async function settled(nodes: RedisServer[]): Promise<void> {
  const healthy = async (node: RedisServer) => {
    if ((await clusterInfo(node, 'cluster_state')) !== 'ok' || !(await knows(node, running(nodes)))) return false;
    const replication = await node.info('replication');
    return replication.get('role') === 'master' || replication.get('master_link_status') === 'up';
  };
  await until('every running node of the cluster is ok', async () =>
    (await Promise.all(running(nodes).map(healthy))).every((answer) => answer),
  );
}

/**
 * Whether a node lists all masters and replicas. Clients drop a replica that the list does not name
 * as one.
 */
async function knows(node: RedisServer, others: RedisServer[]): Promise<boolean> {
  const slots = JSON.stringify(await node.command('CLUSTER', 'SLOTS'));
  return others.every(({ port }) => slots.includes(`,${port},`));
}

async function roleOf(node: RedisServer): Promise<'master' | 'replica'> {
  return (await node.info('replication')).get('role') === 'master' ? 'master' : 'replica';
}

async function masterOf(nodes: RedisServer[], key: string): Promise<RedisServer> {
  const views = await Promise.allSettled(running(nodes).map((node) => ownerOf(node, key)));
  const owners = views.flatMap((view) => (view.status === 'fulfilled' && view.value ? [view.value] : []));
  const newest = owners.sort((one, other) => other.epoch - one.epoch)[0];
  const owner = nodes.find((node) => node.port === newest?.port);
  if (owner === undefined) throw new Error(`expected a running node that knows the master of the key ${key}`);
  return owner;
}

/** From CLUSTER NODES: id address flags master-id ping pong epoch link-state slots... */
async function ownerOf(node: RedisServer, key: string): Promise<{ port: number; epoch: number } | undefined> {
  const slot = Number(await node.command('CLUSTER', 'KEYSLOT', key));
  for (const line of String(await node.command('CLUSTER', 'NODES'))
    .trim()
    .split('\n')) {
    const [, address = '', , , , , epoch, , ...ranges] = line.split(' ');
    if (!ranges.some((range) => holds(range, slot))) continue;
    const port = Number(/:(\d+)/.exec(address)?.[1]);
    return { port, epoch: Number(epoch) };
  }
  return undefined;
}

function holds(range: string, slot: number): boolean {
  const [first = Number.NaN, last = first] = range.split('-').map(Number);
  return first <= slot && slot <= last;
}

async function clusterInfo(node: RedisServer, field: string): Promise<string | undefined> {
  const text = String(await node.command('CLUSTER', 'INFO'));
  return new RegExp(`^${field}:(.*?)\r?$`, 'm').exec(text)?.[1];
}

function running(nodes: RedisServer[]): RedisServer[] {
  return nodes.filter((node) => node.running);
}
