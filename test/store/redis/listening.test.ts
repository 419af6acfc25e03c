import { expect, onTestFinished, test } from 'vitest';
import { parseStoreUrl } from '../../../src/config/store-url.ts';
import { RedisChannel } from '../../../src/store/redis/channel.ts';
import { startRedis } from '../../support/redis.ts';
import { until } from '../../support/until.ts';

test('survives a Redis that refuses its subscription, and subscribes as soon as it is permitted', async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown): void => void unhandled.push(error);
  process.on('unhandledRejection', onUnhandled);
  onTestFinished(() => void process.off('unhandledRejection', onUnhandled));
  const redis = await startRedis();
  const channel = new RedisChannel(parseStoreUrl(redis.url));
  const heard: string[] = [];
  channel.open((text) => heard.push(text));
  try {
    await until('it hears itself', () => channel.send('first') && heard.includes('first'));
    await redis.command('ACL', 'SETUSER', 'default', '-subscribe');
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    await until('it was refused', async () => JSON.stringify(await redis.command('ACL', 'LOG')).length > 2);
    await redis.command('ACL', 'SETUSER', 'default', '+subscribe');
    await until('it hears itself again', () => channel.send('second') && heard.includes('second'));
    expect(unhandled).toEqual([]);
  } finally {
    channel.close();
    await redis.stop();
  }
});
