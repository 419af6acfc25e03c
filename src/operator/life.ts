/** The life of one token, as far as its events are still kept: posted, read, claimed, put back, used, expired. */
import type { Event, Events } from '../observability/events.ts';
import type { LifeStep, PostOutcome } from './view.ts';

/** @param wanted a fingerprint or the id of a token */
export function lifeOf(events: Events, wanted: string, only: string | undefined): LifeStep[] {
  const kept: Event[] = [];
  for (let place = events.begin; place < events.end; place += 1) {
    const event = events.at(place);
    if (event !== undefined && (only === undefined || event.merchant === only)) kept.push(event);
  }
  const tokens = new Set(kept.map((event) => tokenNamed(event, wanted)).filter((token) => token !== undefined));
  /** Claims that hold one of the tokens, by merchant and id. */
  const claims = new Set<string>();
  return kept.flatMap((event): LifeStep[] => {
    const { name, at, instance, merchant = '', facts } = event;
    const { claimId, token, id } = facts as { claimId?: string; token?: string; id?: string };
    const step = (what: LifeStep['what']): LifeStep[] => [{ at, instance, merchant, what, claimId }];
    const claim = `${merchant} ${claimId}`;
    const isOurs = tokens.has(token ?? '');
    switch (name) {
      case 'post':
        return isOurs ? step({ post: (facts['reason'] ?? facts['outcome']) as PostOutcome }) : [];
      case 'handover':
        if (!isOurs) claims.delete(claim);
        else if (claimId !== undefined) claims.add(claim);
        return isOurs ? step({ became: facts['how'] === 'claim' ? 'claimed' : 'read' }) : [];
      case 'settled':
        return isOurs || claims.has(claim) ? step({ became: facts['what'] as 'used' | 'released' }) : [];
      case 'orphan':
        return tokens.has(id ?? '') ? step({ became: 'orphan' }) : [];
      default:
        return [];
    }
  });
}

function tokenNamed({ name, facts }: Event, wanted: string): string | undefined {
  const token = (name === 'orphan' ? facts['id'] : facts['token']) as string | undefined;
  return token === wanted || facts['fingerprint'] === wanted ? token : undefined;
}
