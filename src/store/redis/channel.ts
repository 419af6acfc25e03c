/**
 * A best-effort Redis channel between the instances that share a database: no queue, no retry, no
 * deadline. It has its own connections. A batch of events sent before a post would consume the
 * post's deadline. Redis cuts off a subscriber that does not keep up: the one that wakes waiters
 * must stay connected.
 */
import type { RedisAddress } from '../../config/store-url.ts';
import type { Channel } from '../contract.ts';
import { createRedisClient, listen, type RedisClient } from './client.ts';

/** Limit of unanswered messages on the connection; more are refused. */
const MAX_UNANSWERED = 20;
/** Silence after which the connection is dead: a sender receives its own messages. */
const DEAF_AFTER_MS = 10_000;

export class RedisChannel implements Channel {
  readonly #name: string;
  readonly #writer: RedisClient;
  readonly #subscriber: RedisClient;
  #unanswered = 0;
  #heardAt = performance.now();

  constructor(address: RedisAddress) {
    this.#name = `carat:${address.db}:events`;
    this.#writer = createRedisClient(address, 'writer');
    this.#subscriber = createRedisClient(address, 'subscriber');
  }

  open(onText: (text: string) => void): void {
    // The store reports when Redis is away.
    for (const client of [this.#writer, this.#subscriber]) client.on('error', () => {});
    this.#heardAt = performance.now();
    this.#subscriber.on('message', (_channel: string, text: string) => {
      this.#heardAt = performance.now();
      onText(text);
    });
    this.#writer.connect().catch(() => {});
    void listen(this.#subscriber, this.#name);
  }

  send(text: string): boolean {
    if (performance.now() - this.#heardAt > DEAF_AFTER_MS) {
      this.#heardAt = performance.now();
      this.#subscriber.disconnect(true);
    }
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
