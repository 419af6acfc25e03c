/** What an error of Redis or of the way to it means: that the store is away, and whether it can have seen the request. */
import { StoreAway } from './store.ts';

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

export function awayError(error: unknown): StoreAway {
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
