/**
 * Owed recharges in Redis, for any number of instances. `carat:{merchant}:r:ID` is a hash with one recharge,
 * `carat:{merchant}:ro` a sorted set of all that are owed, by the time at which somebody may act: `settle_by`, the end of a
 * lease, or the time of the next attempt, by Redis' clock. Every script declares the two keys that it touches. The
 * connection is its own, so that nothing here waits behind posts.
 */
import type { RedisAddress } from '../../config/store-url.ts';
import { tokenId } from '../../token.ts';
import { StoreAway } from '../contract.ts';
import {
  type NewRecharge,
  type NitCipher,
  type OwedRecharge,
  openedNit,
  REMEMBERED_MS,
  type RechargeDecision,
  type RechargeEnd,
  type SharedRecharges,
  type TakenRecharge,
} from '../recharges.ts';
import { CONNECT_WITHIN_DEADLINES, createRedisClient, DEADLINE_MS, type RedisClient } from './client.ts';
import { within } from './deadline.ts';
import { connected, isConnected, onTopologyChange } from './topology.ts';
import { prefixOf } from './wire.ts';

const PRELUDE = `
local record, owed = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function shown()
  return redis.call('HMGET', record, 'nit', 'usn', 'settle_by', 'decision', 'by', 'attempts', 'end', 'status')
end
`;

const BODIES = {
  /** ARGV: id, NIT, merchant USN, milliseconds until it must be settled. */
  caratRechargeOwe: `
if redis.call('EXISTS', record) == 0 then
  local settleBy = string.format('%.0f', now + tonumber(ARGV[4]))
  redis.call('HSET', record, 'nit', ARGV[2], 'usn', ARGV[3], 'settle_by', settleBy, 'attempts', 0)
  redis.call('ZADD', owed, settleBy, ARGV[1])
end
return shown()
`,
  /**
   * Brings back what this Redis may have lost. ARGV: id, NIT, merchant USN, milliseconds until it must be settled, decision
   * or '', who decided or '', milliseconds that the other instances get to bring a decision. A decision is never replaced.
   */
  caratRechargeAssert: `
if redis.call('EXISTS', record) == 0 then
  local settleBy = now + tonumber(ARGV[4])
  redis.call('HSET', record, 'nit', ARGV[2], 'usn', ARGV[3], 'settle_by', string.format('%.0f', settleBy), 'attempts', 0)
  redis.call('ZADD', owed, string.format('%.0f', math.max(settleBy, now + tonumber(ARGV[7]))), ARGV[1])
end
if ARGV[5] ~= '' and redis.call('HEXISTS', record, 'end') == 0 and redis.call('HSETNX', record, 'decision', ARGV[5]) == 1 then
  redis.call('HSET', record, 'by', ARGV[6])
  redis.call('ZADD', owed, now, ARGV[1])
end
return shown()
`,
  /** ARGV: id, decision. Only the first decision is written. */
  caratRechargeDecide: `
if redis.call('EXISTS', record) == 0 then return false end
if redis.call('HSETNX', record, 'decision', ARGV[2]) == 1 then
  redis.call('HSET', record, 'by', 'worker')
  redis.call('ZADD', owed, now, ARGV[1])
end
return shown()
`,
  caratRechargeFind: `
if redis.call('EXISTS', record) == 0 then return false end
return shown()
`,
  /** ARGV: how many. */
  caratRechargeDue: `
return { redis.call('ZRANGEBYSCORE', owed, '-inf', now, 'LIMIT', 0, ARGV[1]), redis.call('ZCARD', owed) }
`,
  /** ARGV: id, lease. What nobody decided in time is undone: decided here, with the lease. */
  caratRechargeTake: `
local due = redis.call('ZSCORE', owed, ARGV[1])
if not due or tonumber(due) > now then return false end
if redis.call('EXISTS', record) == 0 or redis.call('HEXISTS', record, 'end') == 1 then
  redis.call('ZREM', owed, ARGV[1])
  return false
end
if redis.call('HSETNX', record, 'decision', 'undo') == 1 then redis.call('HSET', record, 'by', 'guard') end
redis.call('HINCRBY', record, 'attempts', 1)
redis.call('ZADD', owed, now + tonumber(ARGV[2]), ARGV[1])
return shown()
`,
  /** ARGV: id, attempts, milliseconds. */
  caratRechargePostpone: `
if redis.call('HGET', record, 'attempts') == ARGV[2] then
  redis.call('ZADD', owed, 'XX', now + tonumber(ARGV[3]), ARGV[1])
end
return true
`,
  /** ARGV: id, end, status, milliseconds for which it is remembered. */
  caratRechargeFinish: `
if redis.call('EXISTS', record) == 1 and redis.call('HSETNX', record, 'end', ARGV[2]) == 1 then
  redis.call('HSET', record, 'status', ARGV[3])
  redis.call('PEXPIRE', record, ARGV[4])
end
redis.call('ZREM', owed, ARGV[1])
return true
`,
};
type Script = keyof typeof BODIES;
type Scripted = RedisClient & Record<Script, (...args: string[]) => Promise<unknown>>;

/** In the order in which `shown` answers them. */
type Fields = [
  nit: string,
  usn: string,
  settleBy: string,
  decision: RechargeDecision | null,
  by: 'worker' | 'guard' | null,
  attempts: string,
  end: RechargeEnd['end'] | null,
  status: string | null,
];

export interface RedisRechargesOptions {
  address: RedisAddress;
  cipher: NitCipher;
  deadlineMs?: number;
}

/** An undecided recharge that was lost is not undone before the other instances had this time to bring its decision. */
const BRING_WITHIN_MS = 5000;

export class RedisRecharges implements SharedRecharges {
  readonly #client: Scripted;
  readonly #cipher: NitCipher;
  readonly #deadlineMs: number;

  constructor({ address, cipher, deadlineMs = DEADLINE_MS }: RedisRechargesOptions) {
    this.#cipher = cipher;
    this.#deadlineMs = deadlineMs;
    const client = createRedisClient(address, 'writer', deadlineMs);
    const select = address.db === 0 ? '' : `redis.call('SELECT', ${address.db})\n`;
    for (const [name, body] of Object.entries(BODIES)) {
      client.defineCommand(name, { lua: select + PRELUDE + body, numberOfKeys: 2 });
    }
    this.#client = client as Scripted;
  }

  /** Resolves without a connection when there is none in time; it goes on trying. */
  async open(): Promise<void> {
    // The token store reports that Redis is away.
    this.#client.on('error', () => {});
    const waitMs = CONNECT_WITHIN_DEADLINES * this.#deadlineMs;
    await Promise.race([connected(this.#client), new Promise((resolve) => setTimeout(resolve, waitMs).unref())]);
  }

  async owe({ merchant, nit, merchantUsn, settleWithinMs }: NewRecharge): Promise<OwedRecharge> {
    const id = tokenId(merchant, 'nit', nit);
    const sealed = this.#cipher.seal(nit, merchant, id);
    const reply = await this.#run('caratRechargeOwe', merchant, id, sealed, merchantUsn, settleWithinMs);
    return this.#shown(merchant, id, reply as Fields);
  }

  async assert({ merchant, id, nit = '', merchantUsn, decided }: OwedRecharge, leftMs: number): Promise<OwedRecharge> {
    const { decision, by } = decided ?? { decision: '', by: '' };
    const sealed = this.#cipher.seal(nit, merchant, id);
    const args = [sealed, merchantUsn, Math.round(leftMs), decision, by, BRING_WITHIN_MS];
    return this.#shown(merchant, id, (await this.#run('caratRechargeAssert', merchant, id, ...args)) as Fields);
  }

  onReconnect(listener: () => void): void {
    onTopologyChange(this.#client, listener);
  }

  async decide(merchant: string, id: string, decision: RechargeDecision): Promise<OwedRecharge | undefined> {
    return this.#found(merchant, id, await this.#run('caratRechargeDecide', merchant, id, decision));
  }

  async find(merchant: string, id: string): Promise<OwedRecharge | undefined> {
    return this.#found(merchant, id, await this.#run('caratRechargeFind', merchant, id));
  }

  async due(merchant: string, most: number): Promise<{ ids: string[]; owed: number }> {
    const owed = `${prefixOf(merchant)}ro`;
    const [ids, count] = (await this.#send('caratRechargeDue', owed, owed, most)) as [string[], number];
    return { ids, owed: count };
  }

  async take(merchant: string, id: string, leaseMs: number): Promise<TakenRecharge | undefined> {
    const taken = this.#found(merchant, id, await this.#run('caratRechargeTake', merchant, id, leaseMs));
    return taken?.decided && { ...taken, decided: taken.decided };
  }

  async postpone({ merchant, id, attempts }: TakenRecharge, ms: number): Promise<void> {
    await this.#run('caratRechargePostpone', merchant, id, attempts, ms);
  }

  async finish({ merchant, id }: OwedRecharge, { end, status }: RechargeEnd): Promise<void> {
    await this.#run('caratRechargeFinish', merchant, id, end, status, REMEMBERED_MS);
  }

  async close(): Promise<void> {
    this.#client.disconnect();
  }

  #run(script: Script, merchant: string, id: string, ...args: (string | number)[]): Promise<unknown> {
    const prefix = prefixOf(merchant);
    return this.#send(script, `${prefix}r:${id}`, `${prefix}ro`, id, ...args);
  }

  async #send(script: Script, ...args: (string | number)[]): Promise<unknown> {
    if (!isConnected(this.#client, String(args[0]))) throw new StoreAway('not connected', true);
    return within(this.#deadlineMs, this.#client[script](...args.map(String)));
  }

  #found(merchant: string, id: string, reply: unknown): OwedRecharge | undefined {
    return reply === null ? undefined : this.#shown(merchant, id, reply as Fields);
  }

  #shown(merchant: string, id: string, fields: Fields): OwedRecharge {
    const [sealed, merchantUsn, settleBy, decision, by, attempts, end, status] = fields;
    return {
      merchant,
      id,
      nit: openedNit(this.#cipher, sealed, merchant, id),
      merchantUsn,
      settleBy: Number(settleBy),
      attempts: Number(attempts),
      ...(decision === null || by === null ? {} : { decided: { decision, by } }),
      ...(end === null ? {} : { ended: { end, status: status ?? '' } }),
    };
  }
}
