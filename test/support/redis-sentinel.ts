/** A master with two replicas, and three Sentinels that watch them. */
import { type GroupOptions, RedisServer, startRedis } from './redis.ts';
import { until } from './until.ts';

const MASTER_NAME = 'tokens';
const REPLICAS = 2;
const SENTINELS = 3;
const QUORUM = 2;
const DOWN_AFTER_MS = 1_000;
const FAILOVER_TIMEOUT_MS = 5_000;

export interface RedisSentinel {
  /** `redis-sentinel://h1:p,h2:p,h3:p/NAME`. */
  url: string;
  name: string;
  /** The first master, then its replicas. */
  servers: RedisServer[];
  sentinels: RedisServer[];
  /** The master in the most recent view of the running Sentinels. It may be down. */
  master(): Promise<RedisServer>;
  stop(): Promise<void>;
}

/**
 * Resolves when the replicas are in sync and each Sentinel knows all the others, so that a failover
 * can happen.
 *
 * @param sentinelConfig lines for the Sentinels only
 */
export async function startSentinel(
  options: GroupOptions = {},
  sentinelConfig: Record<string, string> = {},
): Promise<RedisSentinel> {
  const servers: RedisServer[] = [];
  const sentinels: RedisServer[] = [];
  const stop = async () => {
    await Promise.all([...sentinels, ...servers].map((server) => server.stop()));
  };
  try {
    const master = await startRedis(options);
    servers.push(master);
    for (let count = 0; count < REPLICAS; count++) servers.push(await startReplica(master, options));
    await until('the replicas are in sync', async () => {
      const replication = await master.info('replication');
      const states = Array.from({ length: REPLICAS }, (_, index) => replication.get(`slave${index}`));
      return states.every((state) => state?.includes('state=online'));
    });
    for (let count = 0; count < SENTINELS; count++)
      sentinels.push(await startOneSentinel(master, options, sentinelConfig));
    await until('the Sentinels know each other', () => allKnown(sentinels));
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: `redis-sentinel://${sentinels.map(({ host, port }) => `${host}:${port}`).join(',')}/${MASTER_NAME}`,
    name: MASTER_NAME,
    servers,
    sentinels,
    master: () => currentMaster(servers, sentinels),
    stop,
  };
}

function startReplica(master: RedisServer, options: GroupOptions): Promise<RedisServer> {
  const config = { ...options.config, replicaof: `${master.host} ${master.port}` };
  return startRedis({ ...options, config });
}

function startOneSentinel(
  master: RedisServer,
  options: GroupOptions,
  sentinelConfig: Record<string, string>,
): Promise<RedisServer> {
  const config: Record<string, string> = {
    ...sentinelConfig,
    [`sentinel monitor ${MASTER_NAME}`]: `${master.host} ${master.port} ${QUORUM}`,
    [`sentinel down-after-milliseconds ${MASTER_NAME}`]: String(DOWN_AFTER_MS),
    [`sentinel failover-timeout ${MASTER_NAME}`]: String(FAILOVER_TIMEOUT_MS),
    [`sentinel parallel-syncs ${MASTER_NAME}`]: String(REPLICAS),
  };
  return RedisServer.start('sentinel', { ...(options.server && { server: options.server }), config });
}

async function allKnown(sentinels: RedisServer[]): Promise<boolean> {
  const views = await Promise.all(sentinels.map(viewOf));
  return views.every(
    (view) =>
      view.get('num-other-sentinels') === String(SENTINELS - 1) &&
      view.get('num-slaves') === String(REPLICAS) &&
      view.get('flags') === 'master',
  );
}

async function currentMaster(servers: RedisServer[], sentinels: RedisServer[]): Promise<RedisServer> {
  const running = sentinels.filter((sentinel) => sentinel.running);
  const answers = await Promise.allSettled(running.map(viewOf));
  const views = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  const newest = views.sort((one, other) => Number(other.get('config-epoch')) - Number(one.get('config-epoch')))[0];
  const master = servers.find((server) => String(server.port) === newest?.get('port'));
  if (master === undefined) throw new Error('expected a running Sentinel that knows the master');
  return master;
}

/** The answer of SENTINEL MASTER alternates fields and values. */
async function viewOf(sentinel: RedisServer): Promise<Map<string, string>> {
  const reply = (await sentinel.command('SENTINEL', 'MASTER', MASTER_NAME)) as string[];
  const view = new Map<string, string>();
  for (let index = 0; index + 1 < reply.length; index += 2) view.set(String(reply[index]), String(reply[index + 1]));
  return view;
}
