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
  'NOPERM',
  'CLUSTERDOWN',
  'MASTERDOWN',
  'NOREPLICAS',
  'MOVED',
  'ASK',
  'TRYAGAIN',
]);

function awayError(error: unknown): StoreAway {
  if (error instanceof StoreAway) return error;
  const { message } = error as Error;
  const refusal = /(?:^|ERR |script: )([A-Z]+) /.exec(message)?.[1] ?? '';
  const unsent = message.includes('enableOfflineQueue options is false');
  // The error itself is not kept: ioredis puts the command with its arguments on it, and a token's value is one of them.
  return new StoreAway(reasonOf(message, refusal, unsent), unsent || REFUSALS.has(refusal));
}

/** Short, and without what Redis may repeat of a request. */
function reasonOf(message: string, refusal: string, unsent: boolean): string {
  if (unsent) return 'not connected';
  if (REFUSALS.has(refusal)) return `refused with ${refusal}`;
  return message.split('\n')[0]?.slice(0, 120) ?? 'failed';
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
  if (refusal === 'ASK') return 'its slot is moving to another node (ASK)';
