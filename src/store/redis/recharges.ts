/**
 * Owed recharges in Redis, for any number of instances. `carat:{merchant}:r:ID` is a hash with one
 * recharge. `carat:{merchant}:ro` is a sorted set of all owed recharges, by the time of the next
 * action. That time is `settle_by`, the end of a lease or the next attempt, by Redis' clock. Every
 * script declares the two keys that it touches. The connection is separate: recharges never wait
 * behind posts.
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
import { CONNECT_WITHIN_DEADLINES, createRedisClient, DEADLINE_MS } from './client.ts';
import { within } from './deadline.ts';
import { defineScripts, type WithScripts } from './scripts.ts';
import { connected, isConnected, onTopologyChange } from './topology.ts';
import { prefixOf } from './wire.ts';

/** Script methods, by the file of `lua/`. */
const SCRIPTS = {
  caratRechargeOwe: 'recharge-owe',
  caratRechargeAssert: 'recharge-assert',
  caratRechargeDecide: 'recharge-decide',
  caratRechargeFind: 'recharge-find',
  caratRechargeDue: 'recharge-due',
  caratRechargeTake: 'recharge-take',
  caratRechargePostpone: 'recharge-postpone',
  caratRechargeFinish: 'recharge-finish',
} as const;
type Script = keyof typeof SCRIPTS;

/** Fields, in the order in which `shown` returns them. */
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

/**
 * Time that the other instances get to bring the decision of a lost recharge. An undecided one is
 * not undone before.
 */
const BRING_WITHIN_MS = 5000;

export class RedisRecharges implements SharedRecharges {
  readonly #client: WithScripts<Script>;
  readonly #cipher: NitCipher;
  readonly #deadlineMs: number;

  constructor({ address, cipher, deadlineMs = DEADLINE_MS }: RedisRechargesOptions) {
    this.#cipher = cipher;
    this.#deadlineMs = deadlineMs;
    const client = createRedisClient(address, 'writer', deadlineMs);
    this.#client = defineScripts(client, SCRIPTS, { db: address.db, numberOfKeys: 2 });
  }

  /** Resolves without a connection when none is ready in time; attempts to connect continue. */
  async open(): Promise<void> {
    // The token store reports when Redis is away.
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
