import { setTimeout as delay } from 'node:timers/promises';
import { scaled } from './time-scale.ts';

const POLL_INTERVAL_MS = 20;
/**
 * Not a promise of speed: a correct test never waits this long. Shorter than the limit of a test,
 * which reports less.
 */
const DEFAULT_DEADLINE_MS = scaled(40_000);

/**
 * Polls a check until it returns something other than `undefined` or `false`, and returns that. A
 * check that throws is repeated. After the deadline, fails with the awaited condition and the last
 * error.
 */
export async function until<Answer>(
  what: string,
  check: () => Answer | Promise<Answer>,
  deadlineMs = DEFAULT_DEADLINE_MS,
): Promise<Exclude<Answer, undefined | false>> {
  const deadline = performance.now() + deadlineMs;
  let lastError: unknown;
  while (performance.now() < deadline) {
    try {
      const answer = await check();
      if (answer !== undefined && answer !== false) return answer as Exclude<Answer, undefined | false>;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    await delay(POLL_INTERVAL_MS);
  }
  throw new Error(`expected within ${deadlineMs} ms: ${what}`, { cause: lastError });
}
