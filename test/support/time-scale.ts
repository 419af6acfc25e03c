/**
 * How much slower this machine is than an idle modern one. Multiplies test deadlines that are
 * promises of the product, and times that a test must not exceed. Measured once, at the start of
 * the run.
 */

const ROUNDS = 2500;
/** Duration of the rounds on an idle core. */
const IDLE_MS = 500;
const MOST = 20;

/** Returns 1 or more. Blocks for half a second, or longer on a slow or shared core. */
export function measureTimeScale(): number {
  const text = JSON.stringify(Array.from({ length: 200 }, (_, at) => ({ id: `token-${at}`, parts: [at, { at }] })));
  const started = performance.now();
  for (let round = 0; round < ROUNDS; round++) JSON.stringify(JSON.parse(text));
  const scale = (performance.now() - started) / IDLE_MS;
  return Math.min(MOST, Math.max(1, Math.round(scale * 10) / 10));
}

const scale = Number(process.env['TEST_TIME_SCALE'] ?? 1);

/** Converts a time of an idle machine to this one. */
export function scaled(ms: number): number {
  return Math.round(ms * scale);
}
