/**
 * When Redis is away: what an error of it or of the way to it means, whether it can have seen the request, and for how
 * long an answer is waited for.
 */
import { StoreAway } from '../contract.ts';

/** Answers by which Redis refuses a script before it changed anything. */
const REFUSALS = new Set([
  'LOADING',
  'READONLY',
  'MISCONF',
  'OOM',
  'BUSY',
  'NOAUTH',
  'WRONGPASS',
  'CLUSTERDOWN',
  'MASTERDOWN',
  'NOREPLICAS',
  'ASK',
  'TRYAGAIN',
]);

/** Redis refuses because of how it or this service is set up: it stays away until somebody changes that. */
export class Misconfigured extends StoreAway {
  readonly code: 'redis_no_database' | 'redis_no_permission' | 'redis_is_cluster';
  constructor(code: Misconfigured['code'], message: string, unseen = true) {
    super(message, unseen);
    this.name = 'Misconfigured';
    this.code = code;
  }
}

function awayError(error: unknown): StoreAway {
  if (error instanceof StoreAway) return error;
  const { message } = error as Error;
  const misconfigured = misconfiguredBy(message);
  if (misconfigured !== undefined) return misconfigured;
  const refusal = /(?:^|ERR |script: )([A-Z]+) /.exec(message)?.[1] ?? '';
  const unsent = message.includes('enableOfflineQueue options is false');
  // The error itself is not kept: ioredis puts the command with its arguments on it, and a token's value is one of them.
  return new StoreAway(reasonOf(message, refusal, unsent), unsent || REFUSALS.has(refusal));
}

function misconfiguredBy(message: string): Misconfigured | undefined {
  if (/DB index is out of range|SELECT is not allowed/.test(message)) {
    return new Misconfigured('redis_no_database', 'it has no database of the number that STORE_URL names');
  }
  if (/NOPERM|ACL failure|The user executing the script can't/.test(message)) {
    const lacks = 'the user of STORE_URL needs a permission (ACL: ~carat:* &carat:* +@all)';
    // A script may have written before it came to what it may not do.
    const unseen = !message.includes('script');
    return new Misconfigured('redis_no_permission', `${lacks}: ${shortened(message)}`, unseen);
  }
  // A cluster's own client follows it.
  if (message.startsWith('MOVED ')) {
    return new Misconfigured(
      'redis_is_cluster',
      'it is a node of a Redis Cluster; expected redis-cluster:// in STORE_URL',
    );
  }
  return undefined;
}

function shortened(message: string): string {
  return message.split('\n')[0]?.slice(0, 120) ?? 'failed';
}

/** Short, and without what Redis may repeat of a request. */
function reasonOf(message: string, refusal: string, unsent: boolean): string {
  if (unsent) return 'not connected';
  if (refusal === 'ASK') return 'its slot is moving to another node (ASK)';
  if (REFUSALS.has(refusal)) return `refused with ${refusal}`;
  return shortened(message);
}

/** An answer of Redis, in time. @throws StoreAway when it refuses, cannot be reached, or takes longer */
export async function within<T>(deadlineMs: number, reply: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const away = (): void => reject(new StoreAway(`no answer within ${deadlineMs} ms`, false));
    // After a hold-up of our own, an answer that is here already is read first.
    timer = setTimeout(() => setImmediate(away), deadlineMs);
  });
  try {
    return await Promise.race([reply, late]);
  } catch (error) {
    throw awayError(error);
  } finally {
    clearTimeout(timer);
  }
}
