/**
 * Alternatives that a user could build over Redis, with the same job as the floor. HOW=polling asks
 * Redis every 250 ms for each waiting worker. HOW=blpop keeps a blocked connection for each.
 */
import { Redis } from 'ioredis';
import { serve, type Way } from './facade.ts';

const POLL_EVERY_MS = 250;
const TTL_SECONDS = 900;

const port = Number(process.env['REDIS_PORT']);
const redis = new Redis({ port, host: '127.0.0.1' });

const polling: Way = {
  keep: (key, value) => redis.set(`polled:${key}`, value, 'EX', TTL_SECONDS),
  async wait(key, response) {
    for (;;) {
      const value = await redis.get(`polled:${key}`);
      if (value !== null || response.destroyed) return value ?? '';
      await new Promise((resolve) => setTimeout(resolve, POLL_EVERY_MS));
    }
  },
};

const blpop: Way = {
  keep: (key, value) => redis.multi().rpush(`list:${key}`, value).expire(`list:${key}`, TTL_SECONDS).exec(),
  async wait(key, response) {
    const own = redis.duplicate();
    response.once('close', () => own.disconnect());
    const popped = await own.blpop(`list:${key}`, 0).catch(() => null);
    own.disconnect();
    return popped?.[1] ?? '';
  },
};

serve(process.env['HOW'] === 'polling' ? polling : blpop);
