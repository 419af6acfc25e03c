/** What two stores know of the same thing, as one answer. */
import { MOST_DISTINCT, type ReadAnswer } from './store.ts';

/** Of what the shared store and the local one know of the same thing, the one that tells more. */
export function further(shared: ReadAnswer, local: ReadAnswer): ReadAnswer {
  if (shared.state === 'live' && local.state === 'live') {
    if (shared.token.id === local.token.id) return shared;
    const newest = shared.token.receivedAt >= local.token.receivedAt ? shared : local;
    return { ...newest, distinct: Math.min(shared.distinct + local.distinct, MOST_DISTINCT) };
  }
  const rank: ReadAnswer['state'][] = ['none', 'used', 'cancelled', 'live'];
  return rank.indexOf(local.state) > rank.indexOf(shared.state) ? local : shared;
}
