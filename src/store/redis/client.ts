/**
 * Connections to Redis. Every option is explicit: ioredis queues commands without a connection and
 * retries for over a minute by default. That contradicts a deadline.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { RedisAddress } from '../../config/store-url.ts';

/** Imports ioredis dynamically: a static import loads it in every process, even without Redis. */
const { AbstractConnector, Cluster: IoredisCluster, Command, Redis: IoredisRedis } = await import('ioredis');

export type RedisClient = Redis | Cluster;

/**
 * A cluster client that does not follow `ASK`. While a slot moves, its keys are on two nodes, and a
 * script would see only some of them. The refusal makes the store away for the slot's merchants
 * until the move is over.
 */
class WholeSlotCluster extends IoredisCluster {
  override handleError(...[error, ttl, handlers]: Parameters<Cluster['handleError']>): void {
    if (error.message.startsWith('ASK ')) handlers.defaults();
    else super.handleError(error, ttl, handlers);
  }
}

/** Waits between attempts to connect: short at first, then steady. */
const retryMs = (times: number): number => Math.min(50 * times, 500);
const RESUBSCRIBE_AFTER_MS = 50;
const DISCONNECT_WITHIN_MS = 1000;

/** Response deadline. All other Redis timeouts derive from it. */
export const DEADLINE_MS = 200;
export const CONNECT_WITHIN_DEADLINES = 5;
/** Time without any answer after which a connection is dead. */
const SILENT_FOR_DEADLINES = 10;

/**
 * `writer`: rejects at once a command that cannot be sent. `subscriber`: only subscribes. Neither
 * connects automatically.
 */
export function createRedisClient(
  address: RedisAddress,
  role: 'writer' | 'subscriber',
  deadlineMs: number = DEADLINE_MS,
): RedisClient {
  const connectWithinMs = CONNECT_WITHIN_DEADLINES * deadlineMs;
  const { nodes, topology, username, password, ca } = address;
  const tls = address.tls ? { tls: ca === undefined ? {} : { ca } } : {};
  const options = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...tls,
    connectionName: `carat-authenticity-${role}`,
    lazyConnect: true,
    connectTimeout: connectWithinMs,
    disconnectTimeout: DISCONNECT_WITHIN_MS,
    enableOfflineQueue: false,
    enableReadyCheck: true,
    socketTimeout: SILENT_FOR_DEADLINES * deadlineMs,
    maxLoadingRetryTime: 500,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // `listen` subscribes anew. ioredis' own attempt has no handler: its failure would stop the
    // process.
    autoResubscribe: false,
    retryStrategy: retryMs,
    // A master became a replica: connect again, to find the new master.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  } satisfies RedisOptions;
  switch (topology) {
    case 'single':
      return new IoredisRedis({ ...options, ...(nodes[0] as { host: string; port: number }) });
    case 'sentinel':
      return new IoredisRedis({
        ...options,
        sentinels: [...nodes],
        name: address.masterName as string,
        role: 'master',
        ...(address.sentinelUsername === undefined ? {} : { sentinelUsername: address.sentinelUsername }),
        ...(address.sentinelPassword === undefined ? {} : { sentinelPassword: address.sentinelPassword }),
        sentinelRetryStrategy: retryMs,
        sentinelReconnectStrategy: retryMs,
        sentinelCommandTimeout: connectWithinMs,
        failoverDetector: role === 'writer',
        ...(address.tls ? { enableTLSForSentinelMode: true, sentinelTLS: tls.tls ?? {} } : {}),
      });
    case 'cluster': {
      // The cluster's rules retry a command that a node refuses; our deadline still holds. An
      // interrupted command is not retried: its outcome is unknown.
      const { retryStrategy: _retry, lazyConnect: _lazy, ...nodeOptions } = options;
      const cluster = new WholeSlotCluster([...nodes], {
        redisOptions: nodeOptions,
        // Keep host names: a certificate may name hosts and no addresses.
        dnsLookup: (name, callback) => callback(null, name),
        lazyConnect: true,
        enableOfflineQueue: false,
        // The ready check fails while a node is still connecting and restarts the whole connection.
        // Commands detect an unready node themselves.
        enableReadyCheck: false,
        clusterRetryStrategy: retryMs,
        slotsRefreshTimeout: connectWithinMs,
        retryDelayOnFailover: 0,
        retryDelayOnClusterDown: 100,
        retryDelayOnTryAgain: 100,
        maxRedirections: 16,
        scaleReads: 'master',
      });
      // Without it, ioredis connects to a node with the node's first command, and refuses that
      // command.
      cluster.on('+node', (node: Redis) => node.connect().catch(() => {}));
      return cluster;
    }
  }
}

/**
 * Connects, and subscribes to a channel at each connection. Resolves at the first subscription. A
 * cluster's client may change its subscriber node; requests to the old node then fail.
 */
export function listen(client: RedisClient, channel: string): Promise<void> {
  return new Promise((resolve) => {
    client.on('ready', async () => {
      let isListening = false;
      while (!isListening && client.status === 'ready') {
        isListening = await client.subscribe(channel).then(
          () => true,
          () => delay(RESUBSCRIBE_AFTER_MS, false),
        );
      }
      if (isListening) resolve();
    });
    // The client retries automatically and reports problems by its `error` event.
    client.connect().catch(() => {});
  });
}

interface Connector {
  stream?: NodeJS.EventEmitter;
  disconnect(): void;
}

guardSockets(AbstractConnector.prototype as unknown as Connector);

/**
 * Handles the second error of a socket; ioredis handles only one. An abandoned TLS handshake can
 * emit two: the certificate's and the server's alert. The second one would end the process.
 */
function guardSockets(connector: Connector): void {
  const { disconnect } = connector;
  connector.disconnect = function () {
    this.stream?.on('error', () => {});
    disconnect.call(this);
  };
}

/** Returns the cluster slot of a key. */
export function slotOf(key: string): number {
  return new Command('get', [key]).getSlot() ?? 0;
}
