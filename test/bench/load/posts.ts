/** Posts at full speed: each connection sends the next post after the answer to the last one. */
import { newValue, openConnections, post } from './connection.ts';
import { answerLoad, loadOptions } from './load.ts';

export interface PostsOptions {
  port: number;
  connections: number;
  seconds: number;
  /**
   * Number of merchants, on the paths `/m0`, `/m1`, …. Without it, all posts go to `/authenticity`.
   */
  merchants?: number;
  /** Stops after this many posts. */
  most?: number;
}

export interface PostsResult {
  posts: number;
  seconds: number;
  failed: number;
  p50: number;
  p99: number;
  /**
   * The number of answered posts at a time, in milliseconds since 1970. One line for each tenth of
   * a second.
   */
  progress: [number, number][];
}

const { port, connections, seconds, merchants, most = Number.POSITIVE_INFINITY } = loadOptions<PostsOptions>();
const open = await openConnections(port, connections);
const took: number[] = [];
const progress: [number, number][] = [];
let failed = 0;
let sent = 0;
const watch = setInterval(() => progress.push([Date.now(), took.length]), 100);
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
clearInterval(watch);
took.sort((a, b) => a - b);
const quantile = (q: number): number => took[Math.floor(took.length * q)] ?? 0;
const [p50, p99] = [quantile(0.5), quantile(0.99)];
const result: PostsResult = { posts: took.length, seconds: elapsed, failed, p50, p99, progress };
answerLoad(result);
