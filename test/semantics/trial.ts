/** One trial of a row: its own token, under its own key, with the possible operations. */
import { expect } from 'vitest';
import type { CORRELATORS, Kind } from '../../src/token.ts';
import type { RedisServer } from '../support/redis.ts';
import type { Answer, RequestOptions, RunningService } from '../support/service.ts';
import { until } from '../support/until.ts';

/** An answer as in the table: a status, and the code of a problem or the outcome of a post. */
export interface Seen {
  status: number;
  code?: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: rows look into what came, whatever it is.
  json?: any;
}
/** A row creates a state and an event, and returns the answer for the comparison with the table. */
export type Row = (trial: Trial) => Promise<Seen>;

export interface Setting {
  name: string;
  env?: Record<string, string>;
  /** Each row has its own service, because it changes that service. */
  own?: true;
  /** Rows that need a shared store. */
  redisOnly?: true;
  /** Redis has the deadline of production. */
  impatient?: true;
  rows: Record<string, Row>;
}

export interface World {
  running: RunningService;
  /** Another instance on the same Redis, if a row needs one. */
  other?: RunningService | undefined;
  redis?: RedisServer | undefined;
}

/** The key of the row's token: a correlator or the pool. */
export type Key = (typeof CORRELATORS)[number] | 'pool';

let names = 0;

export class Trial {
  readonly world: World;
  readonly merchant: string;
  readonly kind: Kind;
  readonly key: Key;
  /** The value of the correlator. */
  readonly name = `name-${names++}`;
  #posts = 0;

  constructor(world: World, what: { merchant: string; kind: Kind; key: Key }) {
    this.world = world;
    this.merchant = what.merchant;
    this.kind = what.kind;
    this.key = what.key;
  }

  value(which = 1): string {
    return `${this.kind}-${this.key}-${this.name}-${which}`.padEnd(64, '.');
  }

  get selector(): Record<string, string> {
    return this.key === 'pool' ? { kind: this.kind } : { [this.key]: this.name };
  }

  /** The fields of a post of this row's token. */
  fields(which = 1): Record<string, string> {
    return { [this.kind]: this.value(which), ...(this.key === 'pool' ? {} : { [this.key]: this.name }) };
  }

  /** Sends a post. Returns its outcome. */
  async post(which = 1, at: RunningService = this.world.running): Promise<Seen> {
    return this.postForm(this.fields(which), at);
  }

  async postForm(fields: Record<string, string>, at: RunningService = this.world.running): Promise<Seen> {
    return this.send(() => at.post(fields, `/${this.merchant}`), at);
  }

  /** Sends a request to the path, expects `200 OK`, and returns its recorded outcome. */
  async send(ask: () => Promise<Answer>, at: RunningService = this.world.running): Promise<Seen> {
    const { status, text } = await ask();
    expect(text).toBe('OK');
    this.#posts += 1;
    const post = await until('the post is reported', async () => {
      const { json } = await at.worker('GET', `/v1/posts?limit=500&merchant=${this.merchant}`);
      const mine = json.posts.filter((one: Record<string, string>) =>
        Object.entries(this.selector).every(([name, value]) => one[name] === undefined || one[name] === value),
      );
      return mine.length >= this.#posts && mine[0];
    });
    return { status, code: post.reason ?? post.outcome };
  }

  read(more: Record<string, string | number> = {}, at: RunningService = this.world.running): Promise<Seen> {
    const query = new URLSearchParams({ merchant: this.merchant, ...this.selector, ...strings(more) });
    return this.ask('GET', `/v1/tokens?${query}`, {}, at);
  }

  claim(id = 'one', more: object = {}, at: RunningService = this.world.running): Promise<Seen> {
    const body = { merchant: this.merchant, ...this.selector, ...more };
    return this.ask('PUT', `/v1/claims/${this.claimId(id)}`, { body }, at);
  }

  /** Claim ids belong to a merchant: different rows must not share one. */
  claimId(id: string): string {
    return `${id}-${this.name}-${this.kind}`;
  }

  renew(id = 'one', more: object = {}): Promise<Seen> {
    const body = { merchant: this.merchant, renew: true, ...more };
    return this.ask('PUT', `/v1/claims/${this.claimId(id)}`, { body });
  }

  use(id = 'one'): Promise<Seen> {
    return this.ask('DELETE', `/v1/claims/${this.claimId(id)}?merchant=${this.merchant}`);
  }

  release(id = 'one'): Promise<Seen> {
    return this.ask('POST', `/v1/claims/${this.claimId(id)}/release?merchant=${this.merchant}`);
  }

  useToken(id: string): Promise<Seen> {
    return this.ask('DELETE', `/v1/tokens/${id}?merchant=${this.merchant}`);
  }

  expect(more: object = {}): Promise<Seen> {
    const body = { merchant: this.merchant, kind: this.kind, ...this.selector, ...more };
    return this.ask('POST', '/v1/expectations', { body });
  }

  cancel(id: string): Promise<Seen> {
    return this.ask('DELETE', `/v1/expectations/${id}?merchant=${this.merchant}`);
  }

  /** Asks the worker API of this row's service. */
  async ask(
    method: string,
    path: string,
    options: RequestOptions = {},
    at: RunningService = this.world.running,
  ): Promise<Seen> {
    const { status, json } = await at.worker(method, path, options);
    return { status, code: status >= 400 ? json?.code : undefined, json };
  }

  /** Resolves when this row's merchant has this many waiters. */
  parked(count: number): Promise<unknown> {
    return until(`${count} wait`, () => this.world.running.service.waiters.countOf(this.merchant) === count);
  }
}

function strings(more: Record<string, string | number>): Record<string, string> {
  return Object.fromEntries(Object.entries(more).map(([name, value]) => [name, String(value)]));
}
