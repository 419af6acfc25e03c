/**
 * The random actions of Carat and the workers. Each actor runs independently and records its
 * observations.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import type { Answer } from '../support/worker-api.ts';
import { MERCHANTS, type Player } from './cast.ts';
import { isRoaming } from './checker.ts';
import { count, type Handed, type History, type Posted } from './history.ts';

/**
 * The contract says one second, and the report counts slower answers. This limit is higher: the
 * machine starts and kills processes.
 */
const CARAT_MS = 5000;
/** How much later than its deadline a wait may end on such a machine. */
const WAIT_SLACK_MS = 10_000;
/**
 * A larger difference of clocks means that a nemesis set one. Every answer comes sooner than this.
 */
const CLOCK_SET_MS = 100_000;

/** An instance, as an actor sees it. */
type Target = Pick<Player, 'api'> & Partial<Pick<Player, 'isVolumeAway'>>;

export class Actor {
  readonly #name: string;
  readonly #players: readonly Target[];
  readonly #history: History;
  readonly #random: Random;
  /** Recent tokens of all actors. */
  readonly #recent: Posted[];
  /** Whether a post must be announced (`ACCEPT=expected`). */
  readonly #isStrict: boolean;
  #count = 0;

  constructor(
    name: string,
    players: readonly Target[],
    history: History,
    random: Random,
    recent: Posted[],
    isStrict = false,
  ) {
    this.#name = name;
    this.#players = players;
    this.#history = history;
    this.#random = random;
    this.#recent = recent;
    this.#isStrict = isStrict;
  }

  async act(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const what = this.#random.below(100);
      if (what < 5 && this.#isStrict) await this.#plant();
      else if (what < 30) await this.#postNew(this.#newToken());
      else if (what < 38) await this.#postAgain();
      else if (what < 50) await this.#read();
      else if (what < 60) await this.#waitForPost();
      else if (what < 70) await this.#useById();
      else await this.#claimAndSettle();
      await delay(this.#random.below(60));
    }
  }

  #newToken(): Posted {
    this.#count += 1;
    const value = randomBytes(32).toString('hex');
    const merchant = this.#random.pick(MERCHANTS);
    const token: Posted =
      this.#random.below(2) === 0
        ? { value, merchant, kind: 'token', at: new Set() }
        : { value, merchant, kind: 'seid', at: new Set(), data: `${this.#name}-${this.#count}` };
    this.#history.posted.set(value, token);
    return token;
  }

  async #postNew(token: Posted): Promise<void> {
    const announced = await this.#announce(token);
    if (announced !== undefined) await this.#post(token);
  }

  /** The announcement's id; undefined when the announcement is in doubt. */
  async #announce({ kind, merchant, data }: Posted): Promise<string | undefined> {
    if (!this.#isStrict) return '';
    const body = { kind, merchant, ttl: 3600, ...(data === undefined ? {} : { merchant_data: data }) };
    const answer = await this.#ask('announce', this.#anyInstance(), ({ api }) => api.expect(body));
    return answer?.status === 201 ? String(answer.body?.['id']) : undefined;
  }

  /** A post without an announcement, or with one that was cancelled before. */
  async #plant(): Promise<void> {
    this.#count += 1;
    const merchant = this.#random.pick(MERCHANTS);
    const data = `${this.#name}-${this.#count}`;
    const token: Posted = { value: randomBytes(32).toString('hex'), merchant, kind: 'seid', at: new Set(), data };
    if (this.#random.below(2) === 0) {
      const id = await this.#announce(token);
      if (id === undefined) return;
      const answer = await this.#ask('cancel', this.#anyInstance(), ({ api }) => api.cancel(id, merchant));
      if (answer?.status !== 204) return;
    }
    this.#history.planted.push({ merchant, data });
    const fields = { seid: token.value, merchant_data: data };
    await this.#ask('planted post', this.#anyInstance(), ({ api }) => api.post(fields, `/${merchant}`));
  }

  async #post(token: Posted, instance = this.#anyInstance()): Promise<void> {
    const { value, kind, merchant, data } = token;
    const fields = { [kind]: value, ...(data === undefined ? {} : { merchant_data: data }) };
    token.first ??= instance;
    token.at.add(this.#placeOf(instance));
    const answer = await this.#ask('post', instance, ({ api }) => api.post(fields, `/${merchant}`));
    // The volume may have gone in between.
    token.at.add(this.#placeOf(instance));
    if (answer === undefined) return;
    this.#history.postMs.push(answer.ms);
    if (answer.status !== 200) this.#history.wrong.push(`a post was answered ${answer.status}`);
    if (answer.ms > CARAT_MS) this.#history.wrong.push(`a post was answered after ${Math.round(answer.ms)} ms`);
    token.ackedAt ??= Date.now();
    this.#recent.push(token);
    if (this.#recent.length > 60) this.#recent.shift();
  }

  /** Usually the first instance of the token. Sometimes the other one, where less is promised. */
  async #postAgain(): Promise<void> {
    const token = this.#anyToken();
    if (token !== undefined) await this.#post(token, this.#random.below(8) === 0 ? this.#anyInstance() : token.first);
  }

  #placeOf(instance: number): string {
    return this.#players[instance]?.isVolumeAway ? `${instance} without its volume` : String(instance);
  }

  async #read(): Promise<void> {
    const token = this.#anyToken();
    if (token?.data === undefined) return;
    const wait = this.#random.pick([0, 0, 0.5, 2]);
    await this.#readAt(this.#anyInstance(), token.merchant, token.data, wait);
  }

  /** A worker waits, and the post arrives during the wait. */
  async #waitForPost(): Promise<void> {
    const token = this.#newToken();
    if (token.data === undefined) return this.#postNew(token);
    if ((await this.#announce(token)) === undefined) return;
    const waiting = this.#readAt(this.#anyInstance(), token.merchant, token.data, 2);
    await delay(this.#random.below(100));
    await this.#post(token);
    await waiting;
  }

  async #useById(): Promise<void> {
    const token = this.#anyToken();
    if (token?.data === undefined) return;
    const instance = this.#anyInstance();
    const read = await this.#readAt(instance, token.merchant, token.data, 0);
    if (read?.status !== 200) return;
    const { value, id } = read.body as { value: string; id: string };
    const begunAt = Date.now();
    const answer = await this.#ask('use', instance, ({ api }) => api.use(id, token.merchant));
    const status = answer?.status ?? 0;
    this.#history.settled.push({ how: 'use', instance, value, begunAt, endedAt: Date.now(), status });
  }

  async #claimAndSettle(): Promise<void> {
    this.#count += 1;
    const claimId = `${this.#name}-${this.#count}`;
    const instance = this.#anyInstance();
    const token = this.#random.below(3) === 0 ? this.#anyToken() : undefined;
    const query = token?.data === undefined ? {} : { merchant_data: token.data };
    const merchant = token?.data === undefined ? this.#random.pick(MERCHANTS) : token.merchant;
    const kind = token?.data === undefined ? 'token' : 'seid';
    const lease = this.#random.pick([1, 2, 4, 8]);
    const body = { kind, merchant, lease, wait: this.#random.pick([0, 0, 1, 2]), ...query };
    let held = await this.#claim(instance, claimId, body);
    if (held?.claim === undefined) return;
    await delay(this.#random.below(1200));
    // Repeat the claim id, like a worker that lost the answer or needs more time.
    if (this.#random.below(5) === 0) {
      held = await this.#claim(instance, claimId, body, held);
      // Without an answer, a worker does not know what its claim holds, so it settles nothing.
      if (held === undefined) return;
    }
    const end = this.#random.below(10);
    if (end === 0) return;
    const how = end < 8 ? 'use' : 'release';
    const where = this.#random.below(4) === 0 ? this.#anyInstance() : instance;
    const { value, claim } = held;
    const begunAt = Date.now();
    const answer = await this.#ask(how, where, ({ api }) =>
      how === 'use' ? api.used(claimId, merchant) : api.release(claimId, merchant),
    );
    const status = answer?.status ?? 0;
    // Only the instance that gave the claim certainly knows it.
    const relied = where === instance && claim !== undefined ? { leaseEndsAt: claim.leaseEndsAt } : {};
    this.#history.settled.push({
      how,
      instance: where,
      value,
      claimId,
      begunAt,
      endedAt: Date.now(),
      status,
      ...relied,
    });
  }

  async #claim(
    instance: number,
    claimId: string,
    body: { kind: string; merchant: string; lease: number; wait: number; merchant_data?: string },
    before?: Handed,
  ): Promise<Handed | undefined> {
    const begunAt = Date.now();
    const answer = await this.#ask('claim', instance, ({ api }) => api.claim(claimId, body), body.wait);
    if (answer?.status !== 200) return undefined;
    const { value, claim, ...token } = answer.body as unknown as Token;
    const lease = body.lease * 1000;
    let leaseEndsAt = Date.parse(claim?.lease_expires_at ?? '');
    let takenAt = leaseEndsAt - lease;
    // The clock was set. It is certain only that the claim happened between the request and now.
    if (Math.abs(takenAt - Date.now()) > CLOCK_SET_MS) [takenAt, leaseEndsAt] = [Date.now(), begunAt + lease];
    const handed: Handed = {
      how: 'claim',
      instance,
      value,
      begunAt,
      endedAt: Date.now(),
      merchant: body.merchant,
      kind: body.kind,
      ...(body.merchant_data === undefined ? {} : { data: body.merchant_data }),
      token: shown(token),
      claim: { id: claimId, takenAt, leaseEndsAt, renewal: before !== undefined },
    };
    this.#history.handed.push(handed);
    if (before?.claim !== undefined && before.value !== value) this.#another(before, handed);
    return handed;
  }

  /** While a claim holds a token, the same id gets the same token again. */
  #another(before: Handed, handed: Handed): void {
    const killed = this.#history.kills.some(({ at, instance }) => instance === before.instance && at >= before.begunAt);
    if (killed || (before.claim?.leaseEndsAt ?? 0) < handed.endedAt || isRoaming(this.#history.posted, before.value))
      return;
    this.#history.wrong.push(
      `${before.claim?.id} held ${before.value.slice(0, 8)}, and got ${handed.value.slice(0, 8)}`,
    );
  }

  async #readAt(instance: number, merchant: string, data: string, wait: number): Promise<Answer | undefined> {
    const begunAt = Date.now();
    const answer = await this.#ask(
      'read',
      instance,
      ({ api }) => api.read({ merchant, merchant_data: data, wait }),
      wait,
    );
    if (answer?.status !== 200) return answer;
    const { value, claim: _, ...token } = answer.body as unknown as Token;
    this.#history.handed.push({
      how: 'read',
      instance,
      value,
      begunAt,
      endedAt: Date.now(),
      merchant,
      data,
      token: shown(token),
    });
    return answer;
  }

  /** Undefined when no answer came: the instance was killed. */
  async #ask(
    what: string,
    instance: number,
    run: (player: Player) => Promise<Answer>,
    waitSeconds = 0,
  ): Promise<Answer | undefined> {
    try {
      const answer = await run(this.#players[instance] as Player);
      count(this.#history, what, answer.status);
      if (answer.status === 500) this.#history.wrong.push(`a ${what} was answered 500: ${answer.text}`);
      const over = answer.ms - waitSeconds * 1000;
      if (over > WAIT_SLACK_MS) this.#history.wrong.push(`a ${what} ended ${Math.round(over)} ms after its deadline`);
      return answer;
    } catch {
      count(this.#history, what, 0);
      return undefined;
    }
  }

  #anyToken(): Posted | undefined {
    return this.#recent.length === 0 ? undefined : this.#random.pick(this.#recent);
  }

  #anyInstance(): number {
    return this.#random.below(this.#players.length);
  }
}

interface Token {
  value: string;
  merchant: string;
  kind: string;
  merchant_data?: string;
  claim: { lease_expires_at: string } | null;
}

function shown({ merchant, kind, merchant_data }: Omit<Token, 'value' | 'claim'>): Handed['token'] {
  return { merchant, kind, ...(merchant_data === undefined ? {} : { data: merchant_data }) };
}
