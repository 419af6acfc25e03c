/**
 * What a user would build instead, doing the floor's job over Redis: HOW=polling asks Redis each 250 ms for each worker
 * that waits, HOW=blpop keeps a blocked connection for each, HOW=bullmq puts a job off for
 * each worker that waits, which the post promotes and a BullMQ worker finishes (`waitUntilFinished`).
 */
import { createServer, type ServerResponse } from 'node:http';
import { Job, Queue, QueueEvents, Worker } from 'bullmq';
import { Redis } from 'ioredis';

const POLL_EVERY_MS = 250;
const TTL_SECONDS = 900;

interface Way {
  keep(key: string, value: string): Promise<unknown>;
  wait(key: string, response: ServerResponse): Promise<string>;
}

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

function bullmq(): Way {
  const connection = { host: '127.0.0.1', port, maxRetriesPerRequest: null };
  const queue = new Queue('tokens', { connection });
  queue.setMaxListeners(0);
  const events = new QueueEvents('tokens', { connection });
  events.setMaxListeners(0);
  new Worker('tokens', async ({ data }) => data, { connection, concurrency: 64 });
  return {
    async keep(key, value) {
      const job = await Job.fromId(queue, key);
      if (job === undefined) return queue.add('token', value, { jobId: key, removeOnComplete: { age: TTL_SECONDS } });
      await job.updateData(value);
      return job.promote();
    },
    async wait(key) {
      // A job that is put off until the post comes; if the post came first, the job is there and this changes nothing.
      const options = { jobId: key, delay: TTL_SECONDS * 1000, removeOnComplete: { age: TTL_SECONDS } };
      const job = await queue.add('token', '', options);
      return (await job.waitUntilFinished(events)) as string;
    },
  };
}

const how = process.env['HOW'];
const way = how === 'polling' ? polling : how === 'blpop' ? blpop : bullmq();

createServer(async (request, response) => {
  if (request.method === 'GET') {
    const key = new URLSearchParams(request.url?.split('?')[1]).get('merchant_data') ?? '';
    const body = JSON.stringify({ kind: 'seid', value: await way.wait(key, response) });
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
    return;
  }
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  const form = new URLSearchParams(text);
  await way.keep(form.get('merchant_data') ?? '', form.get('seid') ?? '');
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 2 }).end('OK');
}).listen(Number(process.env['PORT']), '127.0.0.1');
