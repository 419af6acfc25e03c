/**
 * How much longer than on an idle machine of today things take here. Deadlines of tests that stand for a promise of the
 * product, and times that a test must not outlast, are multiplied by this. It is measured once, at the start of the run.
 */

const ROUNDS = 2500;
/** What the rounds take on an idle core. */
const IDLE_MS = 500;
const MOST = 20;

/** At least 1. Blocks for half a second, or longer where the core is slow or shared. */
export function measureTimeScale(): number {
  const text = JSON.stringify(Array.from({ length: 200 }, (_, at) => ({ id: `token-${at}`, parts: [at, { at }] })));
  const started = performance.now();
  for (let round = 0; round < ROUNDS; round++) JSON.stringify(JSON.parse(text));
  const scale = (performance.now() - started) / IDLE_MS;
  return Math.min(MOST, Math.max(1, Math.round(scale * 10) / 10));
}

const scale = Number(process.env['TEST_TIME_SCALE'] ?? 1);

/** A time of an idle machine, as it is on this one. */
export function scaled(ms: number): number {
  return Math.round(ms * scale);
}
