import { setTimeout as delay } from 'node:timers/promises';
import { scaled } from './time-scale.ts';

const POLL_INTERVAL_MS = 20;
/** No promise of speed: a test that is right never waits so long. Shorter than the limit of a test, which says less. */
const DEFAULT_DEADLINE_MS = scaled(40_000);

/**
 * Asks again and again until the answer is something other than `undefined` or `false`, and gives that answer.
 * A check that throws has not answered yet. Past the deadline it fails with what was awaited and the last error.
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
