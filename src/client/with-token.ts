/**
 * The one call that does it right: *announce → open the wait → call Carat → take the token → work → settle*. Carat posts
 * the token during the call, so that the wait is opened before it.
 */
import { WorkerError } from './errors.ts';
import { Lease } from './lease.ts';
import type { Expectation, Lead } from './wire.ts';
import type { Ask, WaitOptions, WithTokenOptions, Work, WorkerClient } from './worker-client.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_GRACE_MS = 10_000;
const DEFAULT_LEASE_MS = 60_000;
/** An expectation outlives the wait for it by this much, so that the last moment is one in which the post is let in. */
const EXPECTED_LONGER_MS = 1000;

export async function withToken<T>(
  client: WorkerClient,
  { timeout = DEFAULT_TIMEOUT_MS, grace = DEFAULT_GRACE_MS, ...options }: WithTokenOptions,
  ask: Ask,
  work: Work<T>,
): Promise<T> {
  const { lease = DEFAULT_LEASE_MS, signal, onUnsettled = () => {}, ...lead } = options;
  const announced = await client.expect({ ...lead, ttl: timeout + EXPECTED_LONGER_MS }, { signal });
  const found = { ...leadTo(announced), claimId: crypto.randomUUID(), lease };

  const over = new AbortController();
  const end = () => over.abort(signal?.reason);
  signal?.addEventListener('abort', end);
  const claim = (options: WaitOptions) =>
    settled(client.claim(found, options).then((token) => token && new Lease(client, token, lease, signal)));
  try {
    // Carat may take longer to answer than a lease lasts: it is renewed from the moment in which the token is there.
    const taking = claim({ timeout, signal: over.signal });
    const asked = await settled(ask(announced, over.signal));
    if (!asked.ok || signal?.aborted) {
      end();
      const [taken] = await Promise.all([taking, settled(client.cancelExpectation(announced))]);
      await giveBack(client, announced, found.claimId, taken);
      if (!asked.ok) throw asked.error;
      signal?.throwIfAborted();
    }
    const timer = setTimeout(end, grace);
    let taken = await taking;
    clearTimeout(timer);
    // The same claim once more: it takes what came in the moment in which the wait ended, or was lost during the call.
    const isOver = taken.ok ? taken.value === undefined || taken.value.signal.aborted : over.signal.aborted;
    if (isOver && !signal?.aborted) taken = await claim({ timeout: 0, signal });
    if (signal?.aborted) {
      await giveBack(client, announced, found.claimId, taken);
      signal.throwIfAborted();
    }
    if (!taken.ok) throw taken.error;
    // The expectation is left to run out, so that the service reports a no-show.
    if (taken.value === undefined) throw new WorkerError('no_token', 'the call went well, but no token came in time');
    return await hold(client, taken.value, work, onUnsettled);
  } finally {
    signal?.removeEventListener('abort', end);
  }
}

async function hold<T>(
  client: WorkerClient,
  lease: Lease,
  work: Work<T>,
  onUnsettled: (error: unknown) => void,
): Promise<T> {
  const { token } = lease;
  let spent = false;
  const spend = async () => {
    // A renewal that arrives after this finds nothing held, and its answer would read like a loss.
    lease.stopRenewing();
    await client.used(token);
    spent = true;
    lease.end();
  };
  try {
    const result = await work(token, { signal: lease.signal, spend });
    lease.end();
    // A rejection would make the caller believe that the work was not done, and repeat it.
    if (!spent) await client.used(token).catch(onUnsettled);
    return result;
  } catch (error) {
    lease.end();
    // The lease puts it back when this does not.
    if (!spent) await settled(client.release(token));
    throw error;
  }
}

/** Puts back what was taken, or may have been: the answer that would have told can be lost. */
async function giveBack(
  client: WorkerClient,
  { merchant }: Expectation,
  id: string,
  taken: Settled<Lease | undefined>,
): Promise<void> {
  if (taken.ok && taken.value === undefined) return;
  if (taken.ok) taken.value?.end();
  await settled(client.release({ merchant, claim: { id } }));
}

/** What was announced is what is claimed. */
function leadTo({ kind, merchant, merchantData, sid, merchantUsn, orderId }: Expectation): Lead {
  return { kind, merchant, merchantData, sid, merchantUsn, orderId } as Lead;
}

type Settled<T> = { ok: true; value: T } | { ok: false; error: unknown };

function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  return promise.then(
    (value) => ({ ok: true, value }),
    (error: unknown) => ({ ok: false, error }),
  );
}
