/**
 * The contract as a small model of one merchant: the answer and the effect of each operation. It
 * shares no code with the service.
 *
 * Deadlines (leases, lifetimes) are intervals, because a client knows only the time span of an
 * answer. If a deadline may or may not be over, the model tries both. The answer decides, and
 * narrows the interval.
 */

export type Kind = 'seid' | 'nit' | 'token';
export type Correlators = Partial<Record<'merchant_data' | 'sid' | 'merchant_usn' | 'order_id', string>>;
/** One correlator, or none for the pool. */
export interface Query {
  by?: keyof Correlators;
  is?: string;
  kind?: Kind;
}

export type Operation =
  | { do: 'post'; kind: Kind; value: string; correlators: Correlators }
  | { do: 'read'; query: Query }
  | { do: 'claim'; id: string; query: Query; lease: number; renew?: true }
  | { do: 'use' | 'release'; id: string }
  | { do: 'use token'; kind: Kind; value: string }
  | { do: 'expect'; kind: Kind; query: Query; ttl: number }
  /** The number of an announcement of this model. */
  | { do: 'cancel'; number: number };

/** The fields that are compared with the service's answer. Other fields are not promised. */
export interface Outcome {
  status: number;
  code?: string;
  value?: string;
  distinct?: number;
  holder?: string | null;
  deliveries?: number;
}

/** The time span of an event, in milliseconds since 1970. */
export interface Span {
  from: number;
  to: number;
}

interface Token {
  kind: Kind;
  value: string;
  correlators: Correlators;
  /** Position by arrival. */
  order: number;
  ends: Span;
  used: boolean;
  /** `ACCEPT=expected` refused it. */
  refused: boolean;
  /** The last claim of the token, even after its lease. Undefined after a release. */
  claim?: { id: string; ends: Span };
  deliveries: number;
}

interface Expectation {
  kind: Kind;
  topic: string;
  ends: Span;
  cancelled: boolean;
  filled: boolean;
}

export interface Rules {
  accept: 'any' | 'expected';
  onConflict: 'newest' | 'refuse';
  ttlSeconds: number;
}

/** A possible effect of an operation, with its answer. */
interface Prediction {
  outcome: Outcome;
  /** @param leaseEnds the end of the lease in the answer, in milliseconds since 1970 */
  apply(span: Span, leaseEnds: number): void;
}

/** Tolerance of the clocks of a client, an instance and Redis on one machine, each rounded. */
const CLOCKS_APART_MS = 5;
const MOST_PATHS = 256;
const NOTHING = (): void => {};

export class Model {
  readonly #rules: Rules;
  readonly #tokens = new Map<string, Token>();
  readonly #claims = new Map<string, { token: Token; released: boolean }>();
  readonly #expectations: Expectation[] = [];
  #order = 0;
  /** Decides whether a deadline is over, for the current prediction. */
  #isOver: (deadline: Span) => boolean = () => false;

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  get announcements(): number {
    return this.#expectations.length;
  }

  /**
   * Accepts an answer if it is possible for the operation in a time span.
   * @param waited the effect of a wait on the answer: at its end, a token of another claim counts
   *   as none
   * @returns `unclear` when several effects match the answer; the possible outcomes when none does
   */
  accepts(
    operation: Operation,
    got: Outcome,
    at: Span,
    leaseEnds: number,
    waited = false,
  ): true | 'unclear' | Outcome[] {
    const paths = [...this.#paths(operation, at)].map(({ prediction, decided }) => ({
      expected: waited ? afterWait(prediction.outcome) : prediction.outcome,
      prediction,
      decided,
    }));
    const [match, ...others] = paths.filter(({ expected }) => matches(expected, got));
    if (match === undefined) return paths.map(({ expected }) => expected);
    if (others.length > 0 && operation.do === 'post') return 'unclear';
    for (const [deadline, over] of others.length > 0 ? [] : match.decided) {
      if (over) deadline.to = Math.min(deadline.to, at.to);
      else deadline.from = Math.max(deadline.from, at.from);
    }
    match.prediction.apply(at, leaseEnds);
    return true;
  }

  /** Whether a deadline within a time span decides the effect of the operation. */
  isDoubtful(operation: Operation, at: Span): boolean {
    return [...this.#paths(operation, at)].length > 1;
  }

  /** Whether a worker continues to wait for each possible answer. */
  isPending(operation: Operation, at: Span): boolean {
    return [...this.#paths(operation, at)].every(({ prediction: { outcome } }) => isPending(outcome));
  }

  /** Removes old records. */
  sweep(now: number): void {
    for (const [key, { ends }] of this.#tokens) if (ends.to + 1000 < now) this.#tokens.delete(key);
    for (const [id, { token }] of this.#claims) if (token.ends.to + 1000 < now) this.#claims.delete(id);
  }

  *#paths(operation: Operation, at: Span): Iterable<{ prediction: Prediction; decided: Map<Span, boolean> }> {
    const open: boolean[][] = [[]];
    for (let tried = 0; tried < MOST_PATHS; tried++) {
      const choices = open.pop();
      if (choices === undefined) return;
      const decided = new Map<Span, boolean>();
      this.#isOver = (deadline) => {
        if (deadline.to + CLOCKS_APART_MS < at.from) return true;
        if (deadline.from - CLOCKS_APART_MS > at.to) return false;
        const before = decided.get(deadline);
        if (before !== undefined) return before;
        const number = decided.size;
        if (number === choices.length) {
          open.push([...choices, true]);
          choices.push(false);
        }
        decided.set(deadline, choices[number] as boolean);
        return choices[number] as boolean;
      };
      yield { prediction: this.#predict(operation), decided };
    }
  }

  #predict(operation: Operation): Prediction {
    switch (operation.do) {
      case 'post':
        return this.#post(operation);
      case 'read':
        return { outcome: this.#read(operation.query), apply: NOTHING };
      case 'claim':
        return this.#claim(operation);
      case 'use':
        return this.#use(operation.id);
      case 'release':
        return this.#release(operation.id);
      case 'use token':
        return this.#useToken(operation);
      case 'expect':
        return this.#expect(operation);
      case 'cancel':
        return this.#cancel(operation.number);
    }
  }

  #post({ kind, value, correlators }: Operation & { do: 'post' }): Prediction {
    const outcome = { status: 200 };
    const key = `${kind} ${value}`;
    const before = this.#tokens.get(key);
    if (before !== undefined && !this.#isOver(before.ends)) return { outcome, apply: NOTHING };
    const filled = topicsOf(kind, correlators).flatMap((topic) => {
      const open = this.#expectations.find(
        (one) => one.topic === topic && one.kind === kind && !one.cancelled && !one.filled && !this.#isOver(one.ends),
      );
      return open ?? [];
    });
    const apply = ({ from, to }: Span): void => {
      for (const one of filled) one.filled = true;
      for (const [id, { token }] of this.#claims) if (token === before) this.#claims.delete(id);
      this.#order += 1;
      const ttlMs = this.#rules.ttlSeconds * 1000;
      const ends = { from: from + ttlMs, to: to + ttlMs };
      const refused = this.#rules.accept === 'expected' && filled.length === 0;
      const order = this.#order;
      this.#tokens.set(key, { kind, value, correlators, order, ends, used: false, refused, deliveries: 0 });
    };
    return { outcome, apply };
  }

  /** Tokens that the query is about, newest first. */
  #find({ by, is, kind }: Query): Token[] {
    return [...this.#tokens.values()]
      .filter((token) => kind === undefined || token.kind === kind)
      .filter(({ correlators }) => (by === undefined ? Object.keys(correlators).length === 0 : correlators[by] === is))
      .filter((token) => !token.refused && !this.#isOver(token.ends))
      .sort((a, b) => b.order - a.order);
  }

  #holder({ claim }: Token): string | null {
    return claim === undefined || this.#isOver(claim.ends) ? null : claim.id;
  }

  #read(query: Query): Outcome {
    const live = this.#find(query).filter(({ used }) => !used);
    const [newest] = live;
    if (newest === undefined) return this.#absent(query);
    if (live.length > 1 && this.#rules.onConflict === 'refuse') return { status: 409, code: 'conflict' };
    return { status: 200, value: newest.value, distinct: live.length, holder: this.#holder(newest) };
  }

  #absent(query: Query): Outcome {
    const topic = `${query.by}=${query.is}`;
    const kinds: Kind[] = query.kind === undefined ? ['seid', 'nit', 'token'] : [query.kind];
    const newest = kinds
      .map((kind) => this.#expectations.findLastIndex((one) => one.topic === topic && one.kind === kind))
      .filter((at) => at >= 0 && !this.#isOver((this.#expectations[at] as Expectation).ends));
    const decides = this.#expectations[Math.max(-1, ...newest)];
    if (decides?.cancelled) return { status: 410, code: 'cancelled' };
    if (query.by !== undefined && this.#find(query).some(({ used }) => used)) return { status: 410, code: 'used' };
    return { status: 204 };
  }

  #claim({ id, query, lease, renew }: Operation & { do: 'claim' }): Prediction {
    const held = this.#claims.get(id);
    if (held !== undefined) {
      const { token } = held;
      const holds =
        !this.#isOver(token.ends) && !token.used && token.claim?.id === id && !this.#isOver(token.claim.ends);
      if (holds) return this.#lease(id, token, lease, {});
    }
    if (renew) return { outcome: { status: 409, code: 'lease_lost' }, apply: NOTHING };
    const live = this.#find(query).filter(({ used }) => !used);
    if (query.by === undefined) {
      const oldest = live.filter((token) => this.#holder(token) === null).at(-1);
      return oldest === undefined
        ? { outcome: { status: 204 }, apply: NOTHING }
        : this.#take(id, oldest, lease, { distinct: 1 });
    }
    const [newest] = live;
    if (newest === undefined) return { outcome: this.#absent(query), apply: NOTHING };
    if (live.length > 1 && this.#rules.onConflict === 'refuse') {
      return { outcome: { status: 409, code: 'conflict' }, apply: NOTHING };
    }
    const holder = this.#holder(newest);
    if (holder !== null) return { outcome: { status: 409, code: 'claimed', holder }, apply: NOTHING };
    return this.#take(id, newest, lease, { distinct: live.length });
  }

  #take(id: string, token: Token, lease: number, more: Partial<Outcome>): Prediction {
    const leased = this.#lease(id, token, lease, { ...more, deliveries: token.deliveries + 1 });
    const apply: Prediction['apply'] = (...answered) => {
      token.deliveries += 1;
      this.#claims.set(id, { token, released: false });
      leased.apply(...answered);
    };
    return { ...leased, apply };
  }

  #lease(id: string, token: Token, lease: number, more: Partial<Outcome>): Prediction {
    const outcome = { status: 200, value: token.value, holder: id, deliveries: token.deliveries, ...more };
    const apply: Prediction['apply'] = ({ from, to }, leaseEnds) => {
      // The answer names the time, which is checked, too.
      const [earliest, latest] = [from + lease * 1000, to + lease * 1000];
      const isShortened = leaseEnds < earliest && leaseEnds >= token.ends.from - CLOCKS_APART_MS;
      if (leaseEnds > latest + CLOCKS_APART_MS || (leaseEnds < earliest - CLOCKS_APART_MS && !isShortened)) {
        throw new Error(`expected a lease that ends from ${earliest} to ${latest}, got ${leaseEnds}`);
      }
      token.claim = { id, ends: { from: leaseEnds, to: leaseEnds } };
    };
    return { outcome, apply };
  }

  /** The last token of a claim id; undefined if the service may have forgotten it. */
  #claimOf(id: string): { token: Token; released: boolean } | undefined {
    const claim = this.#claims.get(id);
    return claim === undefined || this.#isOver(claim.token.ends) ? undefined : claim;
  }

  #use(id: string): Prediction {
    const claim = this.#claimOf(id);
    if (claim === undefined) return { outcome: { status: 404, code: 'unknown_claim' }, apply: NOTHING };
    const { token, released } = claim;
    if (released || token.claim?.id !== id) return { outcome: { status: 409, code: 'lease_lost' }, apply: NOTHING };
    const apply = (): void => {
      token.used = true;
    };
    return { outcome: { status: 204 }, apply };
  }

  #release(id: string): Prediction {
    const claim = this.#claimOf(id);
    if (claim === undefined) return { outcome: { status: 404, code: 'unknown_claim' }, apply: NOTHING };
    const { token, released } = claim;
    if (released) return { outcome: { status: 204 }, apply: NOTHING };
    if (token.used) return { outcome: { status: 410, code: 'used' }, apply: NOTHING };
    if (token.claim?.id !== id) return { outcome: { status: 409, code: 'lease_lost' }, apply: NOTHING };
    const apply = (): void => {
      claim.released = true;
      delete token.claim;
    };
    return { outcome: { status: 204 }, apply };
  }

  #useToken({ kind, value }: Operation & { do: 'use token' }): Prediction {
    const token = this.#tokens.get(`${kind} ${value}`);
    if (token === undefined || token.refused || this.#isOver(token.ends)) {
      return { outcome: { status: 404, code: 'unknown_token' }, apply: NOTHING };
    }
    const apply = (): void => {
      token.used = true;
    };
    return { outcome: { status: 204 }, apply };
  }

  #expect({ kind, query, ttl }: Operation & { do: 'expect' }): Prediction {
    const topic = query.by === undefined ? `pool=${kind}` : `${query.by}=${query.is}`;
    const apply = ({ from, to }: Span): void => {
      const ends = { from: from + ttl * 1000, to: to + ttl * 1000 };
      this.#expectations.push({ kind, topic, ends, cancelled: false, filled: false });
    };
    return { outcome: { status: 201 }, apply };
  }

  #cancel(number: number): Prediction {
    const expectation = this.#expectations[number];
    if (expectation === undefined || this.#isOver(expectation.ends)) {
      return { outcome: { status: 404, code: 'unknown_expectation' }, apply: NOTHING };
    }
    const apply = (): void => {
      expectation.cancelled = true;
    };
    return { outcome: { status: 204 }, apply };
  }
}

function topicsOf(kind: Kind, correlators: Correlators): string[] {
  const topics = Object.entries(correlators).map(([by, is]) => `${by}=${is}`);
  return topics.length === 0 ? [`pool=${kind}`] : topics;
}

/** Whether a waiting worker continues to wait. */
function isPending({ status, code }: Outcome): boolean {
  return status === 204 || code === 'used' || code === 'claimed';
}

function afterWait(outcome: Outcome): Outcome {
  return outcome.code === 'claimed' ? { status: 204 } : outcome;
}

function matches(expected: Outcome, got: Outcome): boolean {
  return Object.entries(expected).every(([name, value]) => got[name as keyof Outcome] === value);
}
