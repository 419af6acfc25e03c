/**
 * Deadline and errors of Redis: how long an answer may take, what an error means, and whether Redis
 * may have seen the request.
 */
import { StoreAway } from '../contract.ts';

/** Answers by which Redis refuses a script before the script changed anything. */
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

/**
 * Refusals that come from the set-up of Redis or of this service. Redis stays away until the set-up
 * changes.
 */
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
  // Do not keep the error: ioredis attaches the command and its arguments, which include token
  // values.
  return new StoreAway(reasonOf(message, refusal, unsent), unsent || REFUSALS.has(refusal));
}

function misconfiguredBy(message: string): Misconfigured | undefined {
  if (/DB index is out of range|SELECT is not allowed/.test(message)) {
    return new Misconfigured('redis_no_database', 'it has no database of the number that STORE_URL names');
  }
  if (/NOPERM|ACL failure|The user executing the script can't/.test(message)) {
    const lacks = 'the user of STORE_URL needs a permission (ACL: ~carat:* &carat:* +@all)';
    // A script may have written before Redis refused one of its commands.
    const unseen = !message.includes('script');
    return new Misconfigured('redis_no_permission', `${lacks}: ${shortened(message)}`, unseen);
  }
  // A cluster client follows this answer.
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

/** Short, and without the parts of a request that Redis may repeat. */
function reasonOf(message: string, refusal: string, unsent: boolean): string {
  if (unsent) return 'not connected';
  if (refusal === 'ASK') return 'its slot is moving to another node (ASK)';
  if (REFUSALS.has(refusal)) return `refused with ${refusal}`;
  return shortened(message);
}

/**
 * Returns an answer of Redis within the deadline.
 * @throws StoreAway when Redis refuses, is unreachable, or takes longer
 */
export async function within<T>(deadlineMs: number, reply: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    const away = (): void => {
      const error = new StoreAway(`no answer within ${deadlineMs} ms`, false);
      error.late = reply;
      reject(error);
    };
    // After a stall of this process, read an answer that is already here first.
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
