/** Answers of the worker API: tokens, and the problems of requests without one. */
import type * as z from 'zod';
import type { Handed } from '../../handoff/handoff.ts';
import type { SettleAnswer } from '../../store/contract.ts';
import type { Claim } from '../../token.ts';
import { ProblemError } from './problems.ts';
import type { TokenAnswer } from './schemas/tokens.ts';

export function tokenAnswer({ token, distinct, claim }: Handed & { outcome: 'token' }): z.output<typeof TokenAnswer> {
  const { id, merchant, kind, value, correlators, receivedAt, expiresAt } = token;
  return {
    id,
    merchant,
    kind,
    value,
    ...correlators,
    received_at: timeText(receivedAt),
    expires_at: timeText(expiresAt),
    distinct,
    claim: claim && claimAnswer(claim),
  };
}

function claimAnswer({ id, leaseExpiresAt, deliveries }: Claim) {
  return { id, lease_expires_at: timeText(leaseExpiresAt), deliveries };
}

export function timeText(ms: number): string {
  return new Date(ms).toISOString();
}

type Unserved = Exclude<Handed, { outcome: 'token' | 'nothing' | 'disconnected' }>;

export function problemOfHanded(handed: Unserved): ProblemError {
  switch (handed.outcome) {
    case 'claimed': {
      const { id, lease_expires_at } = claimAnswer(handed.claim);
      return new ProblemError('claimed', `claimed by ${id} until ${lease_expires_at}`, {
        claim_id: id,
        lease_expires_at,
      });
    }
    case 'conflict':
      return new ProblemError('conflict', `${handed.distinct} different live tokens match this selector`);
    default:
      return new ProblemError(handed.outcome);
  }
}

export function failUnlessDone(
  answer: SettleAnswer,
  unknown: 'unknown_token' | 'unknown_claim' | 'unknown_expectation',
): void {
  if (answer === 'done') return;
  throw new ProblemError(answer === 'away' ? 'store_away' : answer === 'unknown' ? unknown : answer);
}
