/**
 * The service as a good engineer writes it in a day: Fastify with its form parser, a read that
 * waits, and exclusive claims. With REDIS_PORT tokens are in Redis: one script a transition,
 * published arrivals, and a Map while Redis is unavailable. Without it they are in LevelDB, each
 * write synced. It promises less: no merchants, expectations, journal, conflicts, repeats,
 * encryption or reconciliation. Its log has a line for each post, like ours.
 */
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import formbody from '@fastify/formbody';
import { ClassicLevel } from 'classic-level';
import fastify from 'fastify';
import { Redis, type Result } from 'ioredis';
import pino from 'pino';

/** The fields by which a worker can find its token. */
const CORRELATORS = ['merchant_data', 'sid', 'merchant_usn', 'order_id'] as const;
/** Where tokens without a correlator are. */
const POOL = 'pool';
const TTL_MS = 900_000;
const LEASE_MS = 60_000;

interface Token {
  id: string;
  kind: string;
  value: string;
  receivedAt: number;
  state: 'live' | 'claimed' | 'used';
  /** Such as `merchant_data=14114532781`; POOL without a correlator. */
  topics: string[];
}
interface Store {
  put(token: Token): Promise<unknown>;
  read(topic: string): Promise<Token | undefined>;
  claim(id: string): Promise<Token | undefined>;
  use(id: string): Promise<unknown>;
}

declare module 'ioredis' {
  interface RedisCommander<Context> {
    putToken(...args: (string | number)[]): Result<number, Context>;
    readToken(topic: string): Result<string | null, Context>;
    claimToken(pool: string, claim: string, now: number, until: number, ttlMs: number): Result<string | null, Context>;
    useToken(pool: string, claim: string): Result<number, Context>;
  }
}

const arrivals = new EventEmitter().setMaxListeners(0);

class RedisStore implements Store {
  readonly #redis: Redis;
  /** Tokens that came while Redis was unavailable. */
  readonly #fallback = new Map<string, Token>();

  constructor(port: number) {
    this.#redis = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: 0, commandTimeout: 500 });
    this.#redis.on('error', (error) => log.error(error));
    this.#redis.on('ready', () => {
      for (const [id, token] of this.#fallback) {
        this.#fallback.delete(id);
        void this.put(token);
      }
    });
    this.#redis.defineCommand('putToken', {
      numberOfKeys: 1,
      lua: `if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
            redis.call('HSET', KEYS[1], 'token', ARGV[1], 'state', 'live')
            redis.call('PEXPIRE', KEYS[1], ARGV[2])
            for i = 4, #ARGV do
              redis.call('ZADD', 'topic:' .. ARGV[i], ARGV[3], KEYS[1])
              redis.call('PEXPIRE', 'topic:' .. ARGV[i], ARGV[2])
              redis.call('PUBLISH', 'arrivals', ARGV[i])
            end
            return 1`,
    });
    this.#redis.defineCommand('readToken', {
      numberOfKeys: 1,
      lua: `local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0)[1]
            if not newest or redis.call('HGET', newest, 'state') == 'used' then return false end
            return redis.call('HGET', newest, 'token')`,
    });
    this.#redis.defineCommand('claimToken', {
      numberOfKeys: 2,
      lua: `local held = redis.call('GET', KEYS[2])
            if not held then
              held = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
              if not held then return false end
            end
            redis.call('ZADD', KEYS[1], ARGV[2], held)
            redis.call('SET', KEYS[2], held, 'PX', ARGV[3])
            redis.call('HSET', held, 'state', 'claimed')
            return redis.call('HGET', held, 'token')`,
    });
    this.#redis.defineCommand('useToken', {
      numberOfKeys: 2,
      lua: `local held = redis.call('GET', KEYS[2])
            if not held then return 0 end
            redis.call('HSET', held, 'state', 'used')
            return redis.call('ZREM', KEYS[1], held)`,
    });
    const subscriber = new Redis({ port, host: '127.0.0.1' });
    void subscriber.subscribe('arrivals');
    subscriber.on('message', (_channel, topic) => arrivals.emit(topic));
  }

  async put(token: Token): Promise<unknown> {
    try {
      const { id, receivedAt, topics } = token;
      return await this.#redis.putToken(`token:${id}`, JSON.stringify(token), TTL_MS, receivedAt, ...topics);
    } catch {
      this.#fallback.set(token.id, token);
      return announce(token);
    }
  }

  async read(topic: string): Promise<Token | undefined> {
    const kept = await this.#redis.readToken(`topic:${topic}`).catch(() => null);
    return parsed(kept) ?? [...this.#fallback.values()].find(({ topics }) => topics.includes(topic));
  }

  async claim(id: string): Promise<Token | undefined> {
    const now = Date.now();
    return parsed(await this.#redis.claimToken(`topic:${POOL}`, `claim:${id}`, now, now + LEASE_MS, TTL_MS));
  }

  use(id: string): Promise<unknown> {
    return this.#redis.useToken(`topic:${POOL}`, `claim:${id}`);
  }
}

class LevelStore implements Store {
  readonly #level = new ClassicLevel<string, string>(join(process.env['FOLDER'] as string, `plain-${process.pid}`));
  readonly #tokens = new Map<string, Token>();
  readonly #byTopic = new Map<string, Token[]>();
  readonly #claims = new Map<string, Token>();

  async put(token: Token): Promise<unknown> {
    if (this.#tokens.has(token.id)) return;
    this.#tokens.set(token.id, token);
    await this.#write(token);
    setTimeout(() => this.#tokens.delete(token.id), TTL_MS);
    for (const topic of token.topics) {
      const tokens = this.#byTopic.get(topic);
      if (tokens === undefined) this.#byTopic.set(topic, [token]);
      else tokens.push(token);
    }
    return announce(token);
  }

  async read(topic: string): Promise<Token | undefined> {
    return this.#byTopic.get(topic)?.findLast(({ state }) => state !== 'used');
  }

  async claim(id: string): Promise<Token | undefined> {
    const token = this.#claims.get(id) ?? this.#byTopic.get(POOL)?.shift();
    if (token === undefined) return undefined;
    token.state = 'claimed';
    this.#claims.set(id, token);
    await this.#write(token);
    return token;
  }

  async use(id: string): Promise<unknown> {
    const token = this.#claims.get(id);
    if (token === undefined) return;
    token.state = 'used';
    return this.#write(token);
  }

  #write(token: Token): Promise<void> {
    return this.#level.put(token.id, JSON.stringify(token), { sync: true });
  }
}

function parsed(text: string | null): Token | undefined {
  return text === null ? undefined : (JSON.parse(text) as Token);
}

function announce({ topics }: Token): void {
  for (const topic of topics) arrivals.emit(topic);
}

const log = pino(
  { level: 'info' },
  pino.destination({ dest: join(process.env['FOLDER'] as string, `plain-${process.pid}.log`) }),
);
const redisPort = process.env['REDIS_PORT'];
const store: Store = redisPort === undefined ? new LevelStore() : new RedisStore(Number(redisPort));

/**
 * Asks at once, and again after each arrival under the topic, until there is an answer or `ms` have
 * passed.
 */
async function waited(topic: string, ms: number, ask: () => Promise<Token | undefined>): Promise<Token | undefined> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), ms);
  try {
    while (!over.signal.aborted) {
      const arrival = once(arrivals, topic, over).catch(() => {});
      const answer = await ask();
      if (answer !== undefined) return answer;
      await arrival;
    }
    return await ask();
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

const app = fastify();
await app.register(formbody);
app.post<{ Body: Record<string, string> }>('/authenticity', async ({ body }, reply) => {
  const kind = ['seid', 'nit', 'token'].find((name) => body[name] !== undefined);
  if (kind !== undefined) {
    const value = body[kind] as string;
    const topics = CORRELATORS.filter((name) => body[name] !== undefined).map((name) => `${name}=${body[name]}`);
    if (topics.length === 0) topics.push(POOL);
    const id = createHash('sha256').update(`${kind}\n${value}`).digest('hex');
    await store.put({ id, kind, value, receivedAt: Date.now(), state: 'live', topics });
    log.info({ id, kind }, 'token kept');
  }
  reply.type('text/plain').send('OK');
});
app.get<{ Querystring: Record<string, string> }>('/v1/tokens', async ({ query }, reply) => {
  const by = CORRELATORS.find((name) => query[name] !== undefined);
  if (by === undefined) return reply.code(400).send({ code: 'invalid_request' });
  const topic = `${by}=${query[by]}`;
  const token = await waited(topic, Number(query['wait'] ?? 0) * 1000, () => store.read(topic));
  return token ?? reply.code(204).send();
});
app.put<{ Params: { id: string }; Body: { wait?: number } }>('/v1/claims/:id', async ({ params, body }, reply) => {
  const token = await waited(POOL, (body.wait ?? 0) * 1000, () => store.claim(params.id));
  return token ?? reply.code(204).send();
});
app.delete<{ Params: { id: string } }>('/v1/claims/:id', async ({ params }, reply) => {
  await store.use(params.id);
  return reply.code(204).send();
});
await app.listen({ host: '127.0.0.1', port: Number(process.env['PORT']) });
