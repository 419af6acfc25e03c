/**
 * The floor's job with BullMQ: a waiting worker adds a delayed job and waits for its end. A post
 * gives it the value and runs it. MODULES is the folder of its packages.
 */
import { createRequire } from 'node:module';
import { serve } from './facade.ts';

interface Job {
  data: { value?: string };
  updateData(data: { value: string }): Promise<void>;
  promote(): Promise<void>;
  waitUntilFinished(events: QueueEvents): Promise<string>;
}
interface QueueEvents {
  setMaxListeners(most: number): void;
  waitUntilReady(): Promise<unknown>;
}
interface Queue {
  add(name: string, data: { value?: string }, options: object): Promise<Job>;
  getJob(id: string): Promise<Job | undefined>;
}
/** The used part of the package, whose types are not installed. */
interface BullMq {
  Queue: new (name: string, options: object) => Queue;
  QueueEvents: new (name: string, options: object) => QueueEvents;
  Worker: new (name: string, work: (job: Job) => Promise<string | undefined>, options: object) => unknown;
}

const NAME = 'tokens';
const TTL_MS = 900_000;

const bullmq = createRequire(`${process.env['MODULES']}/`)('bullmq') as BullMq;
const options = { connection: { host: '127.0.0.1', port: Number(process.env['REDIS_PORT']) } };
const queue = new bullmq.Queue(NAME, options);
const events = new bullmq.QueueEvents(NAME, options);
events.setMaxListeners(0);
await events.waitUntilReady();
new bullmq.Worker(NAME, async ({ data }) => data.value, { ...options, concurrency: 100 });

async function wait(key: string): Promise<string> {
  const job = await queue.add('token', {}, { jobId: key, delay: TTL_MS, removeOnComplete: { age: TTL_MS / 1000 } });
  return job.waitUntilFinished(events);
}

async function keep(key: string, value: string): Promise<void> {
  const job = await queue.getJob(key);
  if (job === undefined) {
    await queue.add('token', { value }, { jobId: key });
    return;
  }
  await job.updateData({ value });
  await job.promote();
}

serve({ keep, wait });
