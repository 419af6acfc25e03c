/** Checks that posts reach the workers and are handed over. The posted tokens are used up afterwards. */
import { isWorkerError, type Lead, type WorkerClient, WorkerError } from '../../client/index.ts';
import { tokenId } from '../../token.ts';
import type { TestPost } from './posts.ts';
import type { Finding } from './verdict.ts';

const ARRIVES_MS = 5000;

/**
 * Announces the posts, for a service that accepts only expected tokens. Returns how to cancel the
 * unfilled announcements.
 */
export async function announce(client: WorkerClient, posts: readonly TestPost[]): Promise<() => Promise<void>> {
  const announced = await Promise.all(
    posts.map(({ kind, selector }) =>
      client.expect({ kind, ...selector, ttl: 60_000 } as Parameters<WorkerClient['expect']>[0]),
    ),
  );
  return async () => {
    await Promise.allSettled(announced.map((expectation) => client.cancelExpectation(expectation)));
  };
}

export async function examineHandover(client: WorkerClient, posts: readonly TestPost[]): Promise<Finding[]> {
  return Promise.all(posts.map((post) => examineOne(client, post)));
}

async function examineOne(client: WorkerClient, post: TestPost): Promise<Finding> {
  const check = `handed over: ${post.check}`;
  const { merchant } = client;
  const id = tokenId(merchant, post.kind, post.value);
  try {
    const pooled = Object.keys(post.selector).length === 0;
    // The pool would return any token. Using up ours proves that it is there.
    const token = pooled
      ? undefined
      : await client.waitForToken({ kind: post.kind, ...post.selector } as Lead & { sid: string }, {
          timeout: ARRIVES_MS,
        });
    if (!pooled && token?.value !== post.value) throw new WorkerError('no_token', 'it did not arrive within 5 s');
    await client.useToken({ id, merchant });
    return { check, state: 'pass', seen: pooled ? 'arrived, and used up' : 'arrived, was handed over, and used up' };
  } catch (error) {
    if (!isWorkerError(error)) throw error;
    const missing = error.code === 'no_token' || error.code === 'unknown_token';
    const mend = missing
      ? `see that the URL leads to this service and to merchant "${merchant}" (--merchant)`
      : 'see that --worker and --key are right';
    return { check, state: 'fail', seen: missing ? 'it did not arrive' : error.message, mend };
  }
}
