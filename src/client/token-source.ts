/** The client as the token source of the flows in `carat-authenticity/carat`. */
import type { TokenSource } from '../carat/token-source.ts';
import type { ExpectRequest, WorkerClient } from './worker-client.ts';

/** The longest `ttl` of an announcement. */
const MAX_TTL_SECONDS = 3600;

/** The longest lease. */
const MAX_LEASE_MS = 600_000;
/** How long a token is held after the wait. The flow must mark it as used in this time. */
const SPEND_WITHIN_MS = 10_000;

/** The part of a client that a token source needs. */
type Settler = Pick<WorkerClient, 'merchant' | 'expect' | 'claim' | 'used' | 'release' | 'cancelExpectation'>;

export function createTokenSource(client: Settler): TokenSource {
  const { merchant } = client;
  const leadOf = (kind: string, selector: Record<string, string | undefined> = {}) => {
    const { merchant_data: merchantData, merchant_usn: merchantUsn, order_id: orderId } = selector;
    return { kind, merchantData, merchantUsn, orderId } as ExpectRequest;
  };
  return {
    async announce({ kind, selector, ttlSeconds }) {
      const ttl = Math.min(ttlSeconds, MAX_TTL_SECONDS) * 1000;
      const { id, merchantData } = await client.expect({ ...leadOf(kind, { ...selector }), ttl });
      return { id, kind, selector: selector ?? (merchantData === undefined ? {} : { merchant_data: merchantData }) };
    },
    async take({ kind, selector }, { claimId, timeoutMs, signal }) {
      // The post comes early in Carat's call, which may last for the whole wait. The lease is not renewed in between.
      const lease = Math.min(timeoutMs + SPEND_WITHIN_MS, MAX_LEASE_MS);
      const lead = { ...leadOf(kind, { ...selector }), claimId, lease };
      const token = await client.claim(lead, { timeout: timeoutMs, signal });
      return token && { id: token.id, value: token.value, claimId };
    },
    used: ({ claimId }) => client.used({ claim: { id: claimId }, merchant }),
    release: ({ claimId }) => client.release({ claim: { id: claimId }, merchant }),
    cancel: ({ id }) => client.cancelExpectation({ id, merchant }),
  };
}
