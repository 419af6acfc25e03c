/**
 * Connections to Redis. Every option is stated, because ioredis' defaults queue what is sent while there is no
 * connection and try again for over a minute: the opposite of a deadline.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import type { RedisAddress } from '../../config/store-url.ts';

/** Not a static import: the bundle would load it at the start of every process, also of one without Redis. */
const { AbstractConnector, Cluster: IoredisCluster, Command, Redis: IoredisRedis } = await import('ioredis');

export type RedisClient = Redis | Cluster;

/**
 * A cluster client that does not follow `ASK`. While a slot moves, its keys are on two nodes, and a script would see only
 * a part of them. The refusal makes the store away for the slot's merchants until the move is over.
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

/** How long an answer may take. All other patience is reckoned by it. */
export const DEADLINE_MS = 200;
export const CONNECT_WITHIN_DEADLINES = 5;
/** A connection that answers nothing for so long is dead. */
const SILENT_FOR_DEADLINES = 10;

/** `writer`: fails at once what cannot be sent. `subscriber`: only listens. Neither connects automatically. */
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
    // `listen` subscribes anew. ioredis' own attempt has no handler: its failure would stop the process.
    autoResubscribe: false,
    retryStrategy: retryMs,
    // A master that has become a replica: connect again, to find the new one.
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
      // What a node refuses is tried again by the cluster's own rules; our deadline still holds. What was cut
      // off is not: nobody could say whether it was done.
      const { retryStrategy: _retry, lazyConnect: _lazy, ...nodeOptions } = options;
      const cluster = new WholeSlotCluster([...nodes], {
        redisOptions: nodeOptions,
        // Keep names as names: certificates may name hosts and no addresses.
        dnsLookup: (name, callback) => callback(null, name),
        lazyConnect: true,
        enableOfflineQueue: false,
        // It would be refused by a node that is not connected yet, and then all begins anew; commands find out in time.
        enableReadyCheck: false,
        clusterRetryStrategy: retryMs,
        slotsRefreshTimeout: connectWithinMs,
        retryDelayOnFailover: 0,
        retryDelayOnClusterDown: 100,
        retryDelayOnTryAgain: 100,
        maxRedirections: 16,
        scaleReads: 'master',
      });
      // Otherwise it connects to a node with the first command for it, and refuses that command.
      cluster.on('+node', (node: Redis) => node.connect().catch(() => {}));
      return cluster;
    }
  }
}

/**
 * Connects, and listens to a channel whenever there is a connection. Resolves when it does for the first time. A
 * cluster's client may change the node it listens to, and requests to the old one fail.
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
    // It retries automatically and reports problems by its `error` event.
    client.connect().catch(() => {});
  });
}

interface Connector {
  stream?: NodeJS.EventEmitter;
  disconnect(): void;
}

guardSockets(AbstractConnector.prototype as unknown as Connector);

/**
 * ioredis listens for one error of a socket. A TLS handshake that it abandons can emit two: the certificate's and the
 * alert of the server. The second one would end the process.
 */
function guardSockets(connector: Connector): void {
  const { disconnect } = connector;
  connector.disconnect = function () {
    this.stream?.on('error', () => {});
    disconnect.call(this);
  };
}

/** The cluster slot of a key. */
export function slotOf(key: string): number {
  return new Command('get', [key]).getSlot() ?? 0;
}
