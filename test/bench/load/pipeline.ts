/**
 * The minimum to store a token in Redis and wake its waiter: HSET, PEXPIRE and PUBLISH in one
 * pipeline.
 */
import { Redis } from 'ioredis';
import { newValue } from './connection.ts';
import { answerLoad, loadOptions } from './load.ts';

export interface PipelineOptions {
  /** Of Redis. */
  port: number;
  /** Number of concurrent pipelines. */
  connections: number;
  seconds: number;
}

export interface PipelineResult {
  posts: number;
}

const TTL_MS = 900_000;
const { port, connections, seconds } = loadOptions<PipelineOptions>();
const redis = new Redis({ port, host: '127.0.0.1' });
const endsAt = performance.now() + seconds * 1000;
let posts = 0;
await Promise.all(
  Array.from({ length: connections }, async () => {
    while (performance.now() < endsAt) {
      const value = newValue();
      const key = `plain:${value}`;
      await redis
        .pipeline()
        .hset(key, 'value', value, 'state', 'live')
        .pexpire(key, TTL_MS)
        .publish('plain', key)
        .exec();
      posts += 1;
    }
  }),
);
answerLoad({ posts } satisfies PipelineResult);
