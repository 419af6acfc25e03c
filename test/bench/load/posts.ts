/** Posts as fast as it goes: each connection sends the next post when the last one is answered. */
import { newValue, openConnections, post } from './connection.ts';
import { answerLoad, loadOptions } from './load.ts';

export interface PostsOptions {
  port: number;
  connections: number;
  seconds: number;
  /** How many merchants, on the paths `/m0`, `/m1`, …; without it all posts go to `/authenticity`. */
  merchants?: number;
  /** Stop after so many posts. */
  most?: number;
}

export interface PostsResult {
  posts: number;
  seconds: number;
  failed: number;
  p50: number;
  p99: number;
}

const { port, connections, seconds, merchants, most = Number.POSITIVE_INFINITY } = loadOptions<PostsOptions>();
const open = await openConnections(port, connections);
const took: number[] = [];
let failed = 0;
let sent = 0;
const startedAt = performance.now();
const endsAt = startedAt + seconds * 1000;
await Promise.all(
  open.map(
    (connection) =>
      new Promise<void>((resolve) => {
        const next = (): void => {
          const at = performance.now();
          if (at >= endsAt || sent >= most || connection.broken) {
            resolve();
            return;
          }
          sent += 1;
          const path = merchants === undefined ? '/authenticity' : `/m${sent % merchants}`;
          connection.send(post(`seid=${newValue()}&merchant_data=${14_114_532_781 + sent}`, path), (status) => {
            if (status === 200) took.push(performance.now() - at);
            else failed += 1;
            next();
          });
        };
        next();
      }),
  ),
);
const elapsed = (performance.now() - startedAt) / 1000;
took.sort((a, b) => a - b);
const quantile = (q: number): number => took[Math.floor(took.length * q)] ?? 0;
const result: PostsResult = { posts: took.length, seconds: elapsed, failed, p50: quantile(0.5), p99: quantile(0.99) };
answerLoad(result);
