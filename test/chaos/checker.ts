/** The oracles: invariants of every history, with any faults. */
import type { Handed, History, Settled } from './history.ts';

/** Tolerance of two times from two processes, one of them rounded. */
const CLOCK_MS = 5;

/** The state of each kept token after all faults have ended. */
export interface Found {
  /** Live: from a read or from the pool. */
  live: ReadonlySet<string>;
  used: ReadonlySet<string>;
}

export function check(history: History, found: Found): string[] {
  return [
    ...history.wrong,
    ...notTheirs(history),
    ...afterUse(history),
    ...twoHolders(history),
    ...lostClaims(history),
    ...lostTokens(history, found),
  ];
}

/** Nobody gets a token of another key, or one that was not posted. */
function notTheirs({ handed, posted }: History): string[] {
  return handed.flatMap(({ how, value, merchant, kind, data, token }) => {
    const origin = posted.get(value);
    if (origin === undefined) return [`${how} gave a token that nobody posted: ${value}`];
    const fits =
      token.merchant === merchant &&
      origin.merchant === merchant &&
      (kind === undefined || (token.kind === kind && origin.kind === kind)) &&
      token.data === data &&
      origin.data === data;
    return fits ? [] : [`${how} for ${merchant}/${kind}/${data} gave ${JSON.stringify(token)}`];
  });
}

/**
 * A used token is never handed out again. During an absence, a read may be outdated; a claim may
 * not.
 */
function afterUse({ handed, settled, posted }: History): string[] {
  const uses = new Map<string, Settled>();
  for (const settling of settled) {
    if (settling.how !== 'use' || settling.status !== 204) continue;
    const before = uses.get(settling.value);
    if (before === undefined || settling.endedAt < before.endedAt) uses.set(settling.value, settling);
  }
  return handed.flatMap(({ how, value, begunAt, instance, claim }) => {
    const use = uses.get(value);
    if (use === undefined || begunAt <= use.endedAt || isRoaming(posted, value)) return [];
    if (how === 'read' && instance !== use.instance) return [];
    const late = begunAt - use.endedAt;
    return [
      `${value.slice(0, 8)} was used at ${use.instance}, and ${late} ms later given to a ${how} ${claim?.id ?? ''} at ${instance}`,
    ];
  });
}

/** A token never has two holders. */
function twoHolders({ handed, settled, posted }: History): string[] {
  const wrong: string[] = [];
  const byToken = byValue(handed.filter(({ claim }) => claim !== undefined));
  const releases = byValue(settled.filter(({ how }) => how === 'release'));
  for (const [value, holds] of byToken) {
    if (isRoaming(posted, value)) continue;
    for (const first of holds) {
      for (const second of holds) {
        if (overlap(first, second) && !gaveUp(first, second, holds, releases.get(value) ?? [])) {
          wrong.push(
            `${value.slice(0, 8)} was held by ${first.claim?.id} at ${first.instance} until ${first.claim?.leaseEndsAt}, ` +
              `and given to ${second.claim?.id} at ${second.instance} at ${second.claim?.takenAt}`,
          );
        }
      }
    }
  }
  return wrong;
}

function byValue<T extends { value: string }>(all: T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const one of all) groups.set(one.value, [...(groups.get(one.value) ?? []), one]);
  return groups;
}

function overlap(first: Handed, second: Handed): boolean {
  if (first.claim === undefined || second.claim === undefined || first.claim.id === second.claim.id) return false;
  return first.claim.takenAt <= second.claim.takenAt && second.claim.takenAt < first.claim.leaseEndsAt - CLOCK_MS;
}

/** The first holder may have released it, or shortened its lease, before the second one got it. */
function gaveUp(first: Handed, second: Handed, holds: Handed[], releases: Settled[]): boolean {
  const released = releases.some(({ claimId, begunAt }) => claimId === first.claim?.id && begunAt <= second.endedAt);
  const shortened = holds.some(
    ({ claim }) =>
      claim?.id === first.claim?.id &&
      claim?.renewal === true &&
      (first.claim?.takenAt ?? 0) <= claim.takenAt &&
      claim.leaseEndsAt <= (second.claim?.takenAt ?? 0) + CLOCK_MS,
  );
  return released || shortened;
}

/** A claim can be settled at the instance that gave it, during its lease. */
function lostClaims({ settled, kills, posted }: History): string[] {
  return settled.flatMap(({ value, claimId, status, endedAt, leaseEndsAt, instance, how, begunAt }) => {
    if (claimId === undefined || (status !== 404 && status !== 409) || (leaseEndsAt ?? 0) < endedAt) return [];
    if (isRoaming(posted, value)) return [];
    if (settled.some((other) => other.claimId === claimId && other.begunAt < begunAt)) return [];
    const killed = kills.some((kill) => kill.instance === instance && kill.at > begunAt - 10_000 && kill.at < endedAt);
    return killed ? [] : [`${claimId} held ${value.slice(0, 8)}, and its ${how} was answered ${status} at ${instance}`];
  });
}

/** Every kept token is live or used in the end. It is used only if a worker reported a use. */
function lostTokens({ posted, settled }: History, { live, used }: Found): string[] {
  const tried = new Set<string>();
  const acknowledged = new Set<string>();
  for (const { how, status, value } of settled) {
    if (how !== 'use') continue;
    tried.add(value);
    if (status === 204) acknowledged.add(value);
  }
  return [...posted.values()].flatMap((token) => {
    const { value, ackedAt, kind } = token;
    const name = `${kind} ${value.slice(0, 8)} posted at ${[...token.at].join('+')}`;
    if (acknowledged.has(value)) {
      return live.has(value) && token.at.size === 1 ? [`${name} was used, and is live in the end`] : [];
    }
    if (ackedAt === undefined || live.has(value)) return [];
    if (tried.has(value)) return [];
    return [`${name} is lost${used.has(value) ? ': it is used, and nobody said so' : ''}`];
  });
}

/**
 * A token that was posted to several cut-off places: each may treat it as its own, and only one
 * keeps it.
 */
export function isRoaming(posted: History['posted'], value: string): boolean {
  return (posted.get(value)?.at.size ?? 0) > 1;
}
