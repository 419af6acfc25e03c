/** The life of one token from the kept events: posted, read, claimed, put back, used, expired. */
import type { Event } from '../observability/event.ts';
import type { LifeStep } from './view.ts';

/** @param wanted a fingerprint or the id of a token */
export function lifeOf(events: readonly Event[], wanted: string): LifeStep[] {
  const tokens = new Set(events.map((event) => tokenNamed(event, wanted)).filter((token) => token !== undefined));
  /** Claims that hold the token, by merchant and id. */
  const claims = new Set<string>();
  return events.flatMap((event): LifeStep[] => {
    const { name, at, instance, merchant = '', facts } = event;
    const step = (what: LifeStep['what'], claimId?: string): LifeStep[] => [{ at, instance, merchant, what, claimId }];
    switch (name) {
      case 'post':
        return tokens.has(facts.token ?? '') ? step({ post: facts.reason ?? facts.outcome }) : [];
      case 'handover': {
        const { how, token, claimId } = facts;
        const claim = `${merchant} ${claimId}`;
        const isOurs = tokens.has(token);
        if (!isOurs) claims.delete(claim);
        else if (claimId !== undefined) claims.add(claim);
        return isOurs ? step({ became: how === 'claim' ? 'claimed' : 'read' }, claimId) : [];
      }
      case 'settled': {
        const { what, token, claimId } = facts;
        const isOurs = tokens.has(token ?? '') || claims.has(`${merchant} ${claimId}`);
        return isOurs ? step({ became: what }, claimId) : [];
      }
      case 'orphan':
        return tokens.has(facts.id) ? step({ became: 'orphan' }) : [];
      default:
        return [];
    }
  });
}

/** Returns the token of an event, if it is the wanted one. */
function tokenNamed({ name, facts }: Event, wanted: string): string | undefined {
  switch (name) {
    case 'post':
    case 'handover':
      return facts.token === wanted || facts.fingerprint === wanted ? facts.token : undefined;
    case 'settled':
      return facts.token === wanted ? wanted : undefined;
    case 'orphan':
      return facts.id === wanted ? wanted : undefined;
    default:
      return undefined;
  }
}
