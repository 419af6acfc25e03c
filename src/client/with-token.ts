/**
 * The whole use of a token in one call: *announce → start the wait → call Carat → take the token → work → settle*. Carat
 * posts the token during the call, so the wait starts before it.
 */
import { WorkerError } from './errors.ts';
import { Lease } from './lease.ts';
import type { Expectation, Lead } from './wire.ts';
import type { Ask, WaitOptions, WithTokenOptions, Work, WorkerClient } from './worker-client.ts';

const DEFAULT_TIMEOUT_MS = 60_000;
const DEFAULT_GRACE_MS = 10_000;
const DEFAULT_LEASE_MS = 60_000;
/** An expectation lasts this much longer than the wait, so that a post is accepted until the wait ends. */
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
    // Carat may answer later than a lease lasts, so the lease is renewed from the arrival of the token on.
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
    // Repeat the claim: it gets a token that came just as the wait ended, or whose lease was lost during the call.
    const isOver = taken.ok ? taken.value === undefined || taken.value.signal.aborted : over.signal.aborted;
    if (isOver && !signal?.aborted) taken = await claim({ timeout: 0, signal });
    if (signal?.aborted) {
      await giveBack(client, announced, found.claimId, taken);
      signal.throwIfAborted();
    }
    if (!taken.ok) throw taken.error;
    // The expectation is not cancelled, so that the service reports a no-show.
    if (taken.value === undefined) throw new WorkerError('no_token', 'the call succeeded, but no token came in time');
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
    // A renewal that arrives after this finds no held token, and its answer would look like a lost lease.
    lease.stopRenewing();
    await client.used(token);
    spent = true;
    lease.end();
  };
  try {
    const result = await work(token, { signal: lease.signal, spend });
    lease.end();
    // After a rejection, the caller would repeat work that was done.
    if (!spent) await client.used(token).catch(onUnsettled);
    return result;
  } catch (error) {
    lease.end();
    // If the release fails, the end of the lease puts the token back.
    if (!spent) await settled(client.release(token));
    throw error;
  }
}

/** Puts the token back. Also after a failed claim, because its answer may have been lost. */
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

/** Returns the claim's selector of an announced post. */
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
