/**
 * What a user would build instead, doing the floor's job over Redis: HOW=polling asks Redis each 250 ms for each worker
 * that waits, HOW=blpop keeps a blocked connection for each.
 */
import { createServer, type ServerResponse } from 'node:http';
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

const way = process.env['HOW'] === 'polling' ? polling : blpop;

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
