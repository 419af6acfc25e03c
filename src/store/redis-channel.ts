/**
 * A Redis channel of the instances that share a database, for what nobody relies on: no queue, no retry, no deadline. It
 * has connections of its own, so that it never stands in the way of a post.
 */
import type { Channel } from '../relay.ts';
import type { RedisAddress } from './redis-address.ts';
import { createRedisClient, listen, type RedisClient } from './redis-client.ts';

/** What may lie unsent on the connection before more is refused. */
const MAX_UNANSWERED = 20;

export class RedisChannel implements Channel {
  readonly #name: string;
  readonly #writer: RedisClient;
  readonly #subscriber: RedisClient;
  #unanswered = 0;

  constructor(address: RedisAddress) {
    this.#name = `carat:${address.db}:events`;
    this.#writer = createRedisClient(address, 'writer');
    this.#subscriber = createRedisClient(address, 'subscriber');
  }

  open(onText: (text: string) => void): void {
    // That Redis is away is told by the store.
    for (const client of [this.#writer, this.#subscriber]) client.on('error', () => {});
    this.#subscriber.on('message', (_channel: string, text: string) => onText(text));
    this.#writer.connect().catch(() => {});
    void listen(this.#subscriber, this.#name);
  }

  send(text: string): boolean {
    if (this.#writer.status !== 'ready' || this.#unanswered >= MAX_UNANSWERED) return false;
    this.#unanswered += 1;
    const answered = (): void => {
      this.#unanswered -= 1;
    };
    this.#writer.publish(this.#name, text).then(answered, answered);
    return true;
  }

  close(): void {
    this.#writer.disconnect();
    this.#subscriber.disconnect();
  }
}
