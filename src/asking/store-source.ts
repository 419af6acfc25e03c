/** The service itself as the token source of the flows in `carat/`, directly on the store. */
import { randomUUID } from 'node:crypto';
import type { Announced, HeldToken, TokenSource } from '../carat/token-source.ts';
import type { Handed, Handoff } from '../handoff/handoff.ts';
import type { Recorder } from '../observability/recorder.ts';
import type { SettleAnswer, TokenStore } from '../store/contract.ts';
import { queryOf, type TokenRecord } from '../token.ts';
import { announce } from './announce.ts';

export interface StoreSourceOptions {
  store: TokenStore;
  handoff: Handoff;
  recorder: Recorder;
  merchant: string;
  /** True once the service stops. Expectations then stay open, because the post may reach another instance. */
  isStopping(): boolean;
}

/** A held token with its record in the store. */
export interface StoredToken extends HeldToken {
  record: TokenRecord;
}

/** Why the store or the handoff gave no token. Its code is one of the worker API's. */
export class SourceError extends Error {
  readonly code: SourceErrorCode;
  constructor(code: SourceErrorCode) {
    super(code);
    this.name = 'SourceError';
    this.code = code;
  }
}
export type SourceErrorCode =
  | Exclude<Handed['outcome'], 'token' | 'nothing' | 'used' | 'disconnected'>
  | Exclude<SettleAnswer, 'done' | 'away' | 'unknown'>;

/** The longest lease. */
const MAX_LEASE_MS = 600_000;
/** How long a token is held after the wait. It must be marked as used in this time. */
const SPEND_WITHIN_MS = 10_000;

export function createStoreSource(options: StoreSourceOptions): TokenSource<StoredToken> {
  const { store, handoff, recorder, merchant, isStopping } = options;
  const queryFor = ({ kind, selector }: Announced) => queryOf(merchant, kind, selector);
  /** The claim on a token that was live under the selector before. While it is held, only a newer token can be taken. */
  let former: string | undefined;

  async function holdFormer(announced: Announced, leaseMs: number): Promise<void> {
    const claimId = randomUUID();
    const request = { merchant, claimId, leaseMs, query: queryFor(announced) };
    const { outcome } = await handoff.claim(request, { waitMs: 0, signal: new AbortController().signal });
    if (outcome === 'token') former = claimId;
  }

  /** Puts the former token back. If that fails, the end of its lease does. */
  async function releaseFormer(): Promise<void> {
    if (former !== undefined) await store.settle(merchant, former, 'release').catch(() => undefined);
  }

  async function settle({ claimId }: StoredToken, how: 'use' | 'release'): Promise<void> {
    const answer = await store.settle(merchant, claimId, how);
    if (answer !== 'done')
      throw new SourceError(answer === 'unknown' ? 'lease_lost' : answer === 'away' ? 'store_away' : answer);
    recorder.settled(merchant, how === 'use' ? 'used' : 'released', { claimId });
  }

  return {
    async announce({ kind, selector, ttlSeconds }) {
      const ttlMs = ttlSeconds * 1000;
      const { id, correlators } = await announce(
        { store, recorder },
        { merchant, kind, correlators: selector ?? {}, ttlMs },
      );
      const announced = { id, kind, selector: correlators as Announced['selector'] };
      if (selector !== undefined) await holdFormer(announced, Math.min(ttlMs + SPEND_WITHIN_MS, MAX_LEASE_MS));
      return announced;
    },

    async take(announced, { claimId, timeoutMs, signal }) {
      const leaseMs = Math.min(timeoutMs + SPEND_WITHIN_MS, MAX_LEASE_MS);
      const request = { merchant, claimId, leaseMs, query: queryFor(announced) };
      const handed = await handoff.claim(request, { waitMs: timeoutMs, signal }).finally(releaseFormer);
      recorder.answered(merchant, 'claim', handed.outcome);
      // `used` means an earlier token under the same selector. No new one came.
      if (handed.outcome === 'nothing' || handed.outcome === 'used' || handed.outcome === 'disconnected')
        return undefined;
      if (handed.outcome !== 'token') throw new SourceError(handed.outcome);
      recorder.handedOver(handed.token, 'claim', handed.distinct, handed.claim);
      return { id: handed.token.id, value: handed.token.value, claimId, record: handed.token };
    },

    used: (token) => settle(token, 'use'),
    release: (token) => settle(token, 'release'),

    async cancel({ id }) {
      if (isStopping()) return;
      if ((await store.cancel(merchant, id)) === 'done') recorder.expectation(merchant, { what: 'cancelled', id });
    },
  };
}
