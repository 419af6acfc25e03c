/** The wire format of the Redis store: the arguments and the answers of its scripts. */
import {
  type Claim,
  CORRELATORS,
  type Correlators,
  type Kind,
  type NewToken,
  type TokenRecord,
  topicOf,
} from '../../token.ts';
import type { ClaimAnswer, ClaimRequest, Expiry, Hint, PutAnswer, ReadAnswer, SettleAnswer } from '../contract.ts';
import type { ClaimEntry, ExpectationEntry } from '../embedded/records.ts';
import type {
  Attendance,
  Mark,
  MergedExpectations,
  MergedToken,
  MergeResult,
  Settled,
  TokenChange,
} from '../fallback/shared-store.ts';

/** Prefix of all keys of a merchant: they live in one slot. */
export function prefixOf(merchant: string): string {
  return `carat:{${merchant}}:`;
}

/** Returns the 8 arguments of a token for the script `caratPut`. */
export function tokenArguments(token: NewToken): string[] {
  const { id, kind, value, pooled, correlators } = token;
  return [id, kind, value, pooled ? '1' : '0', ...CORRELATORS.map((name) => correlators[name] ?? '')];
}

/** The outcome for a token, and its time of arrival by the clock of Redis. */
export interface Put {
  answer: PutAnswer;
  arrivedAt: number;
}

/** Parses the answer of the script `caratPut`. */
export function putsOf(reply: unknown): Put[] {
  const answers = reply as PutAnswer[];
  const arrivedAt = Number(answers.pop());
  return answers.map((answer) => ({ answer, arrivedAt }));
}

/** Returns the 7 arguments of a claim for the script `caratClaim`. */
export function claimArguments({
  claimId,
  leaseMs,
  query,
  refuseConflict,
  call = '',
}: ClaimRequest): (string | number)[] {
  const what = query === undefined ? 'held' : query.by === 'pool' ? 'pool' : 'topic';
  const topic = query === undefined ? '' : topicOf(query);
  return [claimId, leaseMs, what, topic, query?.kind ?? '', refuseConflict ? '1' : '', call];
}

/** Returns the 19 arguments of a token and its state for the script `caratMerge`; times are relative. */
export function mergeArguments({ entry, claimEntry, formerClaims }: MergedToken, now: number): (string | number)[] {
  const { token, ends, state, seen, claim, deliveries } = entry;
  return [
    ...tokenArguments(token),
    now - token.receivedAt,
    token.expiresAt - now,
    ends ?? '',
    // A token that was refused before may be expected now.
    state === 'unexpected' ? 'deferred' : state,
    seen ? '1' : '',
    claim?.id ?? '',
    claim === undefined ? 0 : claim.leaseExpiresAt - now,
    deliveries,
    claim?.renewals ?? 0,
    claimEntry === undefined ? '' : takenOf(claimEntry, now),
    formerClaims.map((claim) => `${claim.id}${claim.released ? '!' : ''}:${takenOf(claim, now)}`).join(','),
  ];
}

/**
 * Returns the 7 arguments of an expectation for the script `caratMergeExpectations`; times are by
 * Redis' clock.
 */
export function expectationArguments(expectation: ExpectationEntry, ahead: number): (string | number)[] {
  const { id, kind, topic, openedAt, expiresAt, cancelledAt, token = '' } = expectation;
  const there = (at: number): number => Math.round(at + ahead);
  return [
    id,
    kind,
    topic,
    there(openedAt) * 1000,
    there(expiresAt),
    cancelledAt === undefined ? '' : there(cancelledAt),
    token,
  ];
}

/** Parses the answer of the script `caratMergeExpectations`. */
export function mergedExpectationsOf(reply: unknown, ahead: number): MergedExpectations {
  const [admitted, ...flat] = reply as [number, ...string[]];
  const cancelled: MergedExpectations['cancelled'] = [];
  for (let at = 0; at < flat.length; at += 2) {
    cancelled.push({ id: flat[at] as string, cancelledAt: Math.round(Number(flat[at + 1]) - ahead) });
  }
  return { admitted, cancelled };
}

/** Parses the answer of the script `caratCancel`, by a clock that says `now`. */
export function cancelledOf(reply: unknown, merchant: string, id: string, now: number): ExpectationEntry | undefined {
  const [kind, topic, age, cancelledAge, left] = reply as [Kind?, string?, number?, number?, number?];
  if (kind === undefined || topic === undefined) return undefined;
  const times = { openedAt: now - Number(age), cancelledAt: now - Number(cancelledAge), expiresAt: now + Number(left) };
  return { id, merchant, kind, topic, replication: 'replicated', ...times };
}

/** Returns when a claim took its token: absolute by the clock of Redis, or an age. */
function takenOf({ taken, takenAt }: ClaimEntry, now: number): number {
  return taken ?? (takenAt === undefined ? 0 : -Math.max(now - takenAt, 1));
}

/** Parses the answer of the script `caratMerge`. */
export function mergedOf(reply: unknown): MergeResult[] {
  const flat = reply as string[];
  return Array.from({ length: flat.length / 2 }, (_, at) => ({
    state: flat[2 * at] as MergeResult['state'],
    ends: Number(flat[2 * at + 1]),
  }));
}

/** Parses an expired entry that the script `caratSweep` returns. */
export function expiryOf(what: string, merchant: string): Expiry {
  const [type, kind, id = ''] = what.split(':') as ['t' | 'e', Kind, string];
  if (type === 't') return { what: 'orphan', merchant, kind, id };
  return { what: 'no_show', merchant, kind, expectation: id };
}

/** Parses a change that a script announces to instances with a copy; undefined for a hint. */
export function changeOf(message: string): TokenChange | undefined {
  if (!message.startsWith('\n')) return undefined;
  const [, merchant = '', id = '', what, claimId = '', ...figures] = message.split('\n');
  const [leaseMs = 0, deliveries = 0, renewals = 0, taken = 0] = figures.map(Number);
  if (what === 'used' || what === 'cancelled') return { merchant, id, what };
  if (what === 'released') return { merchant, id, what, claimId };
  return what === 'claimed' ? { merchant, id, what, claimId, leaseMs, deliveries, renewals, taken } : undefined;
}

/** Precedes the run in the mark of an instance that has stopped. */
const LEFT = 'left:';

/** Parses the answer of the script `caratAttend`. */
export function attendanceOf(reply: unknown): Attendance {
  const [run = '', now, ...flat] = reply as string[];
  const marks = new Map<string, Mark>();
  for (let at = 0; at < flat.length; at += 3) {
    const [name = '', mark = '', time] = flat.slice(at, at + 3) as string[];
    const hasLeft = mark.startsWith(LEFT);
    marks.set(name, { run: hasLeft ? mark.slice(LEFT.length) : mark, at: Number(time), hasLeft });
  }
  return { run, now: Number(now), marks };
}

/**
 * Parses a message that a script publishes. A line that begins with a tab is the token of the
 * topics after it, if any.
 */
export function hintOf(message: string): Hint {
  const [merchant = '', sequence, ...lines] = message.split('\n');
  const topics: string[] = [];
  const arrivals = new Map<string, TokenRecord>();
  let arrival: TokenRecord | undefined;
  for (const line of lines) {
    if (line.startsWith('\t')) arrival = arrivalOf(line, merchant);
    else topics.push(line);
    if (arrival !== undefined && !line.startsWith('\t')) arrivals.set(line, arrival);
  }
  return { merchant, topics, sequence: Number(sequence), arrivals };
}

function arrivalOf(line: string, merchant: string): TokenRecord | undefined {
  const [, id, kind, value = '', receivedAt, expiresAt, ...correlators] = line.split('\t');
  if (id === undefined || id === '') return undefined;
  return {
    id,
    merchant,
    kind: kind as Kind,
    value,
    correlators: correlatorsOf(correlators),
    pooled: false,
    receivedAt: Number(receivedAt),
    expiresAt: Number(expiresAt),
  };
}

type ReadReply = [ReadAnswer['state'], number, Fields, string | null | undefined, string | undefined];

export function readAnswerOf(reply: unknown, merchant: string): ReadAnswer {
  const [state, distinct, fields, key, sequence] = reply as ReadReply;
  const unknownKey = key ?? undefined;
  if (state !== 'live') return { state, unknownKey, sequence: Number(sequence) };
  return { state, token: tokenOf(fields, merchant), distinct, claim: claimOf(fields), unknownKey };
}

type ClaimReply = [ClaimAnswer['state'], number, Fields, string | null | undefined, string | undefined];

export function claimAnswerOf(reply: unknown, merchant: string): ClaimAnswer {
  const [state, number, fields, key, taken] = reply as ClaimReply;
  const unknownKey = key ?? undefined;
  switch (state) {
    case 'held': {
      const claim = { ...(claimOf(fields) as Claim), taken: Number(taken) };
      return { state, token: tokenOf(fields, merchant), distinct: number, claim, unknownKey };
    }
    case 'claimed':
      return { state, claim: claimOf(fields) as Claim, retryInMs: number };
    case 'conflict':
      return { state, distinct: number };
    case 'none':
      return typeof number === 'number' ? { state, retryInMs: number, unknownKey } : { state, unknownKey };
    default:
      return { state };
  }
}

export function settledOf(reply: unknown, merchant: string): Settled {
  if (!Array.isArray(reply)) return { answer: reply as SettleAnswer };
  return { answer: 'done', used: tokenOf(reply[2] as Fields, merchant) };
}

/** Fields, in the order in which `lua/shared/answers.lua` returns them. */
type Fields = [
  id: string,
  kind: Kind,
  value: string,
  pooled: string,
  /** One for each of `CORRELATORS`. */
  ...correlators: [string | null, string | null, string | null, string | null],
  receivedAt: string,
  expiresAt: string,
  claim: string | null,
  leaseEnd: string | null,
  deliveries: string,
  renewals: string | null,
];

function tokenOf(fields: Fields, merchant: string): TokenRecord {
  const [id, kind, value, pooled, ...others] = fields;
  const [receivedAt, expiresAt] = others.slice(CORRELATORS.length);
  return {
    id,
    merchant,
    kind,
    value,
    correlators: correlatorsOf(others),
    pooled: pooled === '1',
    receivedAt: Number(receivedAt),
    expiresAt: Number(expiresAt),
  };
}

function correlatorsOf(fields: readonly (string | null)[]): Correlators {
  const correlators: Correlators = {};
  for (const [at, name] of CORRELATORS.entries()) correlators[name] = fields[at] || undefined;
  return correlators;
}

/** The claim that holds a token; the scripts blank a claim whose lease is over. */
function claimOf(fields: Fields): Claim | null {
  const [, , , , , , , , , , id, leaseEnd, deliveries, renewals] = fields;
  if (id === null) return null;
  return { id, leaseExpiresAt: Number(leaseEnd), deliveries: Number(deliveries), renewals: Number(renewals) };
}
